"""Files as vendors write them: the same bars as from our own layout, to the last bit, or a refusal with the cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yahoo_server import adjusted, bars, with_dividend

from riskoverlay.errors import InputError
from riskoverlay.feeds import load, load_raw, read_csv_folder, read_wide_csv
from riskoverlay.feeds.columns import ALIASES, EXTRA, field_positions
from riskoverlay.feeds.sheets import decimal_of, number_of
from riskoverlay.feeds.validation import FIELDS
from riskoverlay.studies.cli import main


def prices(seed: int = 1, price: float = 1_040.0) -> pd.DataFrame:
    """124 sessions in cents, with a dividend and its adj_close; of seed 1 closes above and below 1,000."""
    table = bars(seed=seed, price=price).round(2)
    table["high"] = table[["open", "high", "close"]].max(axis=1)
    table["low"] = table[["open", "low", "close"]].min(axis=1)
    table["volume"] = (table["volume"] // 10_000) * 10_000
    return with_dividend(adjusted(table), "2024-03-15", 6.5)


def own(folder: Path, table: pd.DataFrame, adjust: bool) -> pd.DataFrame:
    """The bars as the project's own layout gives them."""
    folder.mkdir()
    table[[*FIELDS, *(["adj_close", "dividend"] if adjust else [])]].to_csv(folder / "SPY.csv")
    return read_csv_folder(folder, ["SPY"])["SPY"]


def lines(head: str, rows: list[str]) -> str:
    return "\n".join((head, *rows)) + "\n"


def cents(row: pd.Series, *fields: str) -> str:
    return ",".join(f"{row[field]:.2f}" for field in fields)


def alpha_vantage(table: pd.DataFrame) -> str:
    head = "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient"
    rows = [
        f"{day:%Y-%m-%d},{cents(row, 'open', 'high', 'low', 'close')},{row['adj_close']},{row['volume']:.0f},"
        f"{row['dividend']:.4f},1.0"
        for day, row in table[::-1].iterrows()
    ]
    return lines(head, rows)


def alpha_vantage_unadjusted(table: pd.DataFrame) -> str:
    rows = [
        f"{day:%Y-%m-%d},{cents(row, 'open', 'high', 'low', 'close')},{row['volume']:.0f}"
        for day, row in table[::-1].iterrows()
    ]
    return lines("timestamp,open,high,low,close,volume", rows)


def tiingo(table: pd.DataFrame) -> str:
    head = "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor"
    rows = [
        f"{day:%Y-%m-%d}T00:00:00.000Z,{cents(row, 'close', 'high', 'low', 'open')},{row['volume']:.0f},"
        f"{row['adj_close']},1.0,1.0,1.0,{row['volume']:.0f},{row['dividend']},1.0"
        for day, row in table.iterrows()
    ]
    return lines(head, rows)


def stooq(table: pd.DataFrame) -> str:
    rows = [
        f"{day:%Y-%m-%d},{cents(row, 'open', 'high', 'low', 'close')},{row['volume']:.0f}"
        for day, row in table.iterrows()
    ]
    return lines("Date,Open,High,Low,Close,Volume", rows)


def stooq_bulk(table: pd.DataFrame) -> str:
    rows = [
        f"SPY.US,D,{day:%Y%m%d},000000,{cents(row, 'open', 'high', 'low', 'close')},{row['volume']:.0f},0"
        for day, row in table.iterrows()
    ]
    return lines("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>", rows)


def nasdaq(table: pd.DataFrame) -> str:
    def dollars(value: float) -> str:
        return f'"${value:,.2f}"' if value >= 1_000 else f"${value:.2f}"

    rows = [
        f"{day:%m/%d/%Y},{dollars(row['close'])},{row['volume']:.0f},"
        f"{dollars(row['open'])},{dollars(row['high'])},{dollars(row['low'])}"
        for day, row in table[::-1].iterrows()
    ]
    return lines("Date,Close/Last,Volume,Open,High,Low", rows)


def investing(table: pd.DataFrame) -> str:
    rows = []
    for day, row in table[::-1].iterrows():
        shown = [f"{row[field]:,.2f}" for field in ("close", "open", "high", "low")]
        cells = [f"{day:%m/%d/%Y}", *shown, f"{row['volume'] / 1e6:.2f}M", "-0.31%"]
        rows.append(",".join(f'"{cell}"' for cell in cells))
    return "\ufeff" + lines('"Date","Price","Open","High","Low","Vol.","Change %"', rows)


def yfinance_download(table: pd.DataFrame) -> str:
    """`yf.download("SPY").to_csv()`."""
    frame = table[["close", "high", "low", "open", "volume"]].rename(columns=str.title).rename_axis("Date")
    frame.columns = pd.MultiIndex.from_product([frame.columns, ["SPY"]], names=["Price", "Ticker"])
    return str(frame.to_csv())


def yfinance_download_by_ticker(table: pd.DataFrame) -> str:
    """`yf.download("SPY", group_by="ticker", auto_adjust=False).to_csv()`."""
    frame = table.rename(columns={"adj_close": "Adj Close"}).rename(columns=str.title).rename_axis("Date")
    frame = frame[["Open", "High", "Low", "Close", "Adj Close", "Volume"]]
    frame.columns = pd.MultiIndex.from_product([["SPY"], frame.columns], names=["Ticker", "Price"])
    return str(frame.to_csv())


def yfinance_history(table: pd.DataFrame) -> str:
    """`yf.Ticker("SPY").history().to_csv()`: winter and summer time, prices adjusted, dividends beside them."""
    frame = table[[*FIELDS, "dividend"]].rename(columns=str.title).rename(columns={"Dividend": "Dividends"})
    frame.index = pd.DatetimeIndex(frame.index).tz_localize("America/New_York").rename("Date")
    text = str(frame.assign(**{"Stock Splits": 0.0, "Capital Gains": 0.0}).to_csv())
    assert "2024-01-02 00:00:00-05:00" in text and "2024-06-28 00:00:00-04:00" in text
    return text


def european(table: pd.DataFrame) -> str:
    def comma(value: float, decimals: int) -> str:
        return f"{value:,.{decimals}f}".translate(str.maketrans(",.", ".,"))

    rows = [
        ";".join(
            [f"{day:%d.%m.%Y}", *(comma(row[f], 2) for f in ("open", "high", "low", "close")), comma(row["volume"], 0)]
        )
        for day, row in table.iterrows()
    ]
    return lines("Datum;Eröffnung;Hoch;Tief;Schluss;Volumen", rows)


VENDORS: dict[str, tuple[Callable[[pd.DataFrame], str], str, bool, str]] = {
    "Alpha Vantage": (
        alpha_vantage, "SPY.csv", True,
        "date from 'timestamp', open, high, low, close, volume, adj_close from 'adjusted_close', dividend from "
        "'dividend_amount', split from 'split_coefficient'; dates YYYY-MM-DD, newest first; commas, decimal point; "
        "adjusted by 'adjusted_close'",
    ),
    "Alpha Vantage, not adjusted": (
        alpha_vantage_unadjusted, "daily/SPY.csv", False,
        "date from 'timestamp', open, high, low, close, volume; dates YYYY-MM-DD, newest first; commas, decimal point; "
        "no adjusted close: prices as they are",
    ),
    "Tiingo": (
        tiingo, "spy.csv", True,
        "date, open, high, low, close, volume, adj_close from 'adjClose', dividend from 'divCash', split from "
        "'splitFactor'; not read: 'adjHigh', 'adjLow', 'adjOpen', 'adjVolume'; dates YYYY-MM-DD, oldest first; commas, "
        "decimal point; adjusted by 'adjClose'",
    ),
    "Stooq": (
        stooq, "spy_us_d.csv", False,
        "date, open, high, low, close, volume; dates YYYY-MM-DD, oldest first; commas, decimal point; no adjusted "
        "close: prices as they are",
    ),
    "Stooq, all of a market": (
        stooq_bulk, "spy.us.txt", False,
        "date from '<DATE>', open from '<OPEN>', high from '<HIGH>', low from '<LOW>', close from '<CLOSE>', volume "
        "from '<VOL>'; not read: '<TICKER>', '<PER>', '<TIME>', '<OPENINT>'; dates YYYYMMDD, oldest first; commas, "
        "decimal point; no adjusted close: prices as they are",
    ),
    "Nasdaq": (
        nasdaq, "SPY.csv", False,
        "date, open, high, low, close from 'Close/Last', volume; dates MM/DD/YYYY, newest first; commas, decimal "
        "point; no adjusted close: prices as they are",
    ),
    "Investing.com": (
        investing, "SPY.csv", False,
        "date, open, high, low, close from 'Price', volume from 'Vol.'; not read: 'Change %'; dates MM/DD/YYYY, newest "
        "first; commas, decimal point; no adjusted close: prices as they are",
    ),
    "yfinance, download": (
        yfinance_download, "SPY.csv", False,
        "date, open, high, low, close, volume; dates YYYY-MM-DD, oldest first; commas, decimal point; no adjusted "
        "close: prices as they are",
    ),
    "yfinance, download by ticker": (
        yfinance_download_by_ticker, "SPY.csv", True,
        "date, open, high, low, close, volume, adj_close from 'Adj Close'; dates YYYY-MM-DD, oldest first; commas, "
        "decimal point; adjusted by 'Adj Close'",
    ),
    "yfinance, history": (
        yfinance_history, "SPY.csv", False,
        "date, open, high, low, close, volume, dividend from 'Dividends', split from 'Stock Splits'; not read: "
        "'Capital Gains'; dates YYYY-MM-DD, oldest first; commas, decimal point; no adjusted close: prices as they are",
    ),
    "European spreadsheet": (
        european, "SPY.csv", False,
        "date from 'Datum', open from 'Eröffnung', high from 'Hoch', low from 'Tief', close from 'Schluss', volume "
        "from 'Volumen'; dates DD.MM.YYYY, oldest first; semicolons, decimal comma; no adjusted close: prices as they "
        "are",
    ),
}  # fmt: skip


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendors_file_gives_the_bars_of_our_own_layout(vendor: str, tmp_path: Path) -> None:
    make, name, adjust, _ = VENDORS[vendor]
    path = write(tmp_path / "vendor", name, make(prices()))
    frame = read_csv_folder(path.parent, ["SPY"])["SPY"]
    pd.testing.assert_frame_equal(frame, own(tmp_path / "own", prices(), adjust), check_exact=True)


@pytest.mark.parametrize("vendor", VENDORS)
def test_check_says_what_was_understood(vendor: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, name, _, words = VENDORS[vendor]
    path = write(tmp_path / "vendor", name, make(prices()))
    assert main(["check", "--source", "csv", "--data-dir", str(path.parent), "--symbols", "SPY"]) == 0
    assert f"SPY: read as {words}." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("vendor", ["yfinance, download", "Nasdaq"])
def test_several_symbols_of_one_vendor_are_one_panel(vendor: str, tmp_path: Path) -> None:
    make = VENDORS[vendor][0]
    for seed, symbol in enumerate(("SPY", "TLT"), 1):
        write(tmp_path, f"{symbol.lower()}.csv", make(prices(seed)).replace("SPY", symbol))
    panel = load("csv", "SPY,TLT", data_dir=tmp_path)
    assert panel.closes["TLT"].tolist() == prices(2)["close"].tolist()
    assert panel.dropped == ()


def test_yfinances_table_of_several_symbols_is_wide(tmp_path: Path) -> None:
    frames = {symbol: prices(seed).rename(columns=str.title) for seed, symbol in enumerate(("SPY", "TLT"), 1)}
    table = pd.concat({s: f[["Close", "High", "Low", "Open", "Volume"]] for s, f in frames.items()}, axis=1)
    table = table.swaplevel(axis=1).sort_index(axis=1).rename_axis(columns=["Price", "Ticker"]).rename_axis("Date")
    path = write(tmp_path, "SPY.csv", str(table.to_csv()))
    pd.testing.assert_frame_equal(read_wide_csv(path)["SPY"], own(tmp_path / "own", prices(), False), check_exact=True)
    with pytest.raises(InputError, match=r"SPY\.csv: has the bars of SPY, TLT: read it as wide$"):
        read_csv_folder(tmp_path, ["SPY"])


def test_a_wide_file_of_a_european_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path, "wide.csv", "Datum;SPY;TLT\n15.01.2024;1.010,5;99,25\n12.01.2024;998;\n11.01.2024;997;98\n")
    frames = read_wide_csv(path)
    assert frames["SPY"]["close"].to_dict() == {
        pd.Timestamp("2024-01-11"): 997.0, pd.Timestamp("2024-01-12"): 998.0, pd.Timestamp("2024-01-15"): 1010.5,
    }  # fmt: skip
    assert frames["TLT"]["close"].tolist() == [98.0, 99.25]
    layout = load_raw("wide", "TLT", data_dir=path)[0]["TLT"].layout
    assert layout is not None
    assert layout.in_words() == (
        "date from 'Datum', close from 'TLT' alone: open = high = low = close; no volume; dates DD.MM.YYYY, newest "
        "first; semicolons, decimal comma; no adjusted close: prices as they are"
    )


# -- columns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "labels"),
    [
        (
            "adj_close",
            ["adjClose", "Adj Close", "Adj_Close", "Adj. Close", "ADJ CLOSE", "adjusted_close", "Adj Close*"],
        ),
        ("close", ["Close/Last", "Price", "<CLOSE>", "Last", "Schluss", "Schlusskurs", "close"]),
        ("date", ["timestamp", "Date", "<DATE>", "Datum", "Datetime"]),
        ("volume", ["<VOL>", "Vol.", "Volumen", "VOLUME"]),
        ("dividend", ["divCash", "Dividends", "dividend_amount"]),
        ("split", ["splitFactor", "Stock Splits", "split_coefficient"]),
    ],
)
def test_names_of_columns(field: str, labels: list[str]) -> None:
    for label in labels:
        assert field_positions(["x", label], "t") == {field: 1}


def test_every_field_has_names_and_no_name_is_of_two() -> None:
    assert set(ALIASES) == {"date", *FIELDS, *EXTRA}
    names = [name for field, others in ALIASES.items() for name in (field.replace("_", ""), *others)]
    assert len(set(names)) == len(names)


def test_a_fields_own_name_comes_first_and_two_foreign_ones_are_refused(tmp_path: Path) -> None:
    assert field_positions(["Price", "Close"], "t") == {"close": 1}
    write(tmp_path, "SPY.csv", "Date,Price,Last\n2024-01-02,1,2\n")
    with pytest.raises(
        InputError, match=r"SPY\.csv: columns 'Price' and 'Last' may all be the close: name one of them"
    ):
        read_csv_folder(tmp_path, ["SPY"])


def test_closes_alone_and_no_volume(tmp_path: Path) -> None:
    write(tmp_path, "A.csv", "Datum;Schluss\n12.01.2024;10,5\n15.01.2024;11\n")
    write(tmp_path, "B.csv", "Date,Open,High,Low,Close\n2024-01-12,10,12,9,11\n")
    write(tmp_path, "C.csv", ",close\n2024-01-12,10\n")  # an index without a name
    write(tmp_path, "D.csv", "date,open,close\n2024-01-12,10,11\n")
    assert read_csv_folder(tmp_path, ["A"])["A"].to_numpy().tolist() == [[10.5] * 4 + [0.0], [11.0] * 4 + [0.0]]
    assert read_csv_folder(tmp_path, ["B"])["B"].to_numpy().tolist() == [[10.0, 12.0, 9.0, 11.0, 0.0]]
    assert read_csv_folder(tmp_path, ["C"])["C"]["open"].tolist() == [10.0]
    with pytest.raises(InputError, match=r"D\.csv: column 'high' is missing: give one each of date, open"):
        read_csv_folder(tmp_path, ["D"])


# -- which file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SPY.csv", "spy.csv", "Spy.CSV", "spy_us_d.csv", "SPY.US.TXT"])
def test_the_name_of_a_file_in_any_case_or_as_stooq_has_it(name: str, tmp_path: Path) -> None:
    write(tmp_path, name, stooq(prices()))
    assert list(read_csv_folder(tmp_path, ["SPY"])) == ["SPY"]
    assert [symbol.upper() for symbol in read_csv_folder(tmp_path)] == ["SPY"]


def test_two_files_of_one_symbol_are_refused(tmp_path: Path) -> None:
    for name in ("SPY.csv", "TLT.csv", "tlt.us.txt"):
        write(tmp_path, name, stooq(prices()))
    assert list(read_csv_folder(tmp_path, ["SPY"])) == ["SPY"]
    with pytest.raises(InputError, match=r"TLT\.csv and tlt\.us\.txt are both of TLT: keep one of them$"):
        read_csv_folder(tmp_path, ["TLT"])
    write(tmp_path, "spy.csv", stooq(prices()))
    if len(list(tmp_path.iterdir())) == 4:  # a file system that tells cases apart
        with pytest.raises(InputError, match=r"SPY\.csv and spy\.csv are both of SPY: keep one of them$"):
            read_csv_folder(tmp_path, ["SPY"])


# -- order and dates ---------------------------------------------------------------------------------------------------


def closes(*dates: str) -> str:
    return lines("date,close", [f"{day},{10 + at}" for at, day in enumerate(dates)])


def days(folder: Path, *dates: str) -> list[str]:
    write(folder, "SPY.csv", closes(*dates))
    return [f"{day:%Y-%m-%d}" for day in read_csv_folder(folder, ["SPY"])["SPY"].index]


def test_three_rows_are_an_order_and_two_are_not(tmp_path: Path) -> None:
    assert days(tmp_path, "2024-01-04", "2024-01-03", "2024-01-02") == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert read_csv_folder(tmp_path)["SPY"]["close"].tolist() == [12.0, 11.0, 10.0]
    for dates in (
        ("2024-01-03", "2024-01-02"),
        ("2024-01-04", "2024-01-02", "2024-01-03"),
        ("2024-01-03", "2024-01-03", "2024-01-02"),
    ):
        with pytest.raises(InputError, match=r"comes after|more than once"):
            days(tmp_path, *dates)


@pytest.mark.parametrize(
    "dates",
    [
        ("2024-01-12", "2024-01-16"), ("20240112", "20240116"), ("2024/1/12", "2024/1/16"),
        ("2024.01.12", "2024.01.16"),
        ("2024-01-12 00:00:00", "2024-01-16 00:00:00"), ("2024-01-12T00:00:00Z", "2024-01-16T00:00:00Z"),
        ("2024-01-12T00:00:00.000Z", "2024-01-16T00:00:00.000Z"),
        ("2024-01-12 00:00:00-05:00", "2024-01-16 00:00:00-04:00"),
        ("01/12/2024", "01/16/2024"), ("12/01/2024", "16/01/2024"), ("12.1.2024", "16.1.2024"),
        ("12-01-2024", "16-01-2024"), ("1/12/2024 16:00", "1/16/2024 16:00"),
    ],
)  # fmt: skip
def test_forms_of_dates(dates: tuple[str, ...], tmp_path: Path) -> None:
    assert days(tmp_path, *dates) == ["2024-01-12", "2024-01-16"]


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (("01/02/2024", "01/03/2024"),
         "SPY.csv: dates such as '01/02/2024' may have the day or the month first: write them YYYY-MM-DD"),
        (("12.01.2024", "01.12.2024"), "dates such as '12.01.2024' may have the day or the month first"),
        (("01/02/2024", "13/02/2024", "02/14/2024"),
         "SPY.csv: date '13/02/2024' in line 3 has the day first, '02/14/2024' in line 4 the month: write all of them"),
        (("2024-01-02", "01/03/2024"), "SPY.csv, line 3: date '01/03/2024' is unreadable: write it YYYY-MM-DD"),
        (("13/01/2024", "2024-01-14"), "line 3: date '2024-01-14' is unreadable: write it as the others, 13/01/2024"),
        (("2024-01-12", "2024-02-30"), "line 3: date '2024-02-30' is unreadable"),
        (("13/02/2024", "30/02/2024"), "line 3: date '30/02/2024' is unreadable"),
        (("1/13/24", "1/14/24"), "line 2: date '1/13/24' is unreadable"),
        (("soon",), "line 2: date 'soon' is unreadable: write it YYYY-MM-DD"),
    ],
)  # fmt: skip
def test_dates_that_are_refused(dates: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        days(tmp_path, *dates)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("first", "second", "form"), [("12", "13", "MM/DD/YYYY"), ("13", "12", "DD/MM/YYYY")])
def test_one_number_above_twelve_tells_the_order(first: str, second: str, form: str, tmp_path: Path) -> None:
    write(tmp_path, "SPY.csv", closes(f"{first}/{second}/2024"))
    layout = load_raw("csv", "SPY", data_dir=tmp_path)[0]["SPY"].layout
    assert layout is not None
    assert layout.dates == form
    assert [f"{day:%m-%d}" for day in read_csv_folder(tmp_path)["SPY"].index] == ["12-13"]


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "decimal", "values"),
    [
        (["1234.5", "0.1"], ".", [1234.5, 0.1]),
        (["1,234.5", "999"], ".", [1234.5, 999.0]),
        (["$1,234,567.25", "€ 2.5"], ".", [1234567.25, 2.5]),
        (["1'234.50"], ".", [1234.5]),
        (["1234,5", "0,1"], ",", [1234.5, 0.1]),
        (["1.234,5", "999"], ",", [1234.5, 999.0]),
        (["1.234.567", "0,123"], ",", [1234567.0, 0.123]),
        (["1 234,5 €", "1\u00a0234\u202f567"], ",", [1234.5, 1234567.0]),
        (["1.234"], ".", [1.234]),
        (["1e-05", "-1.5E+3", ".5", "5."], ".", [1e-05, -1500.0, 0.5, 5.0]),
        (["0.1234567890123456789"], ".", [0.1234567890123456789]),
    ],
)
def test_points_and_commas(cells: list[str], decimal: str, values: list[float]) -> None:
    assert decimal_of(cells, Path("t.csv")) == decimal
    assert [number_of(cell, decimal) for cell in cells] == values


@pytest.mark.parametrize("cells", [["1,234"], ["1,234", "850"], ["850", "1,234", "0"]])
def test_a_comma_that_may_be_either_is_refused(cells: list[str]) -> None:
    with pytest.raises(InputError, match=r"^t\.csv: 1,234 may be 1234 or 1\.234: write numbers with a decimal point"):
        decimal_of(cells, Path("t.csv"))


def test_numbers_that_are_none(tmp_path: Path) -> None:
    for cell in ("", "-", "N/A", "1.5M", "nan", "inf", "1_000", "0x10", "12,34.5", "1e999", "--1", "$", "٣", "1.2.3"):
        assert np.isnan(number_of(cell, ".")), cell
    write(tmp_path, "SPY.csv", "Datum;Schluss\n12.01.2024;1.010,5\n15.01.2024;1.010.5\n")
    with pytest.raises(InputError, match=r"SPY\.csv, line 3: Schluss '1\.010\.5' is not a number: correct or remove"):
        read_csv_folder(tmp_path, ["SPY"])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.5M", 1_500_000.0), ("85.23M", 85_230_000.0), ("2B", 2e9), ("850.1k", 850_100.0), ("1,234", 1234.0),
     ("", 0.0), ("-", 0.0), ("N/A", 0.0), ("1e3", 1000.0)],
)  # fmt: skip
def test_volumes(cell: str, value: float) -> None:
    assert number_of(cell, ".", volume=True) == value


def test_real_prices_survive_every_vendor(market: Path, tmp_path: Path) -> None:
    table = pd.read_csv(market / "SPY.csv", index_col="date", parse_dates=True)
    whole = read_csv_folder(market, ["SPY"])["SPY"]
    path = write(tmp_path, "spy.csv", re.sub(r"\.00,", ",", tiingo_exactly(table)))
    pd.testing.assert_frame_equal(read_csv_folder(path.parent, ["SPY"])["SPY"], whole, check_exact=True)


def tiingo_exactly(table: pd.DataFrame) -> str:
    names = {"adj_close": "adjClose", "dividend": "divCash"}
    frame = table.rename(columns=names).assign(splitFactor=1.0)[::-1]
    return str(frame.to_csv(date_format="%m/%d/%Y", sep=";", decimal=","))
