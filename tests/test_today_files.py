"""What a broker says one holds, in each broker's way of saying it; what is sent, and that it is read back so."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from riskoverlay.errors import InputError, MissingFileError
from riskoverlay.studies.today import Statement, read_statement, write_basket, write_orders

OURS = ("SPY", "TLT", "BRK-B")

ACTIVITY = """\
Statement,Header,Field Name,Field Value
Statement,Data,Title,Activity Statement
Statement,Data,Period,"March 3, 2025"
Account Information,Data,Base Currency,USD
Cash Report,Header,Currency Summary,Currency,Total,Securities,Futures,
Cash Report,Data,Starting Cash,Base Currency Summary,9000,9000,0,
Cash Report,Data,Ending Cash,Base Currency Summary,"12,345.67",12345.67,0,
Cash Report,Data,Ending Cash,USD,12345.67,12345.67,0,
Cash Report,Data,Ending Settled Cash,Base Currency Summary,11000,11000,0,
Open Positions,Header,DataDiscriminator,Asset Category,Currency,Symbol,Quantity,Mult,Cost Price,Cost Basis,Code
Open Positions,Data,Summary,Stocks,USD,SPY,"1,200",1,410.5,492600,
Open Positions,Data,Lot,Stocks,USD,SPY,700,,400,280000,LT
Open Positions,Data,Lot,Stocks,USD,SPY,500,,425.2,212600,ST
Open Positions,Data,Summary,Stocks,USD,BRK B,-3.5,1,480,-1680,
Open Positions,Data,Summary,Stocks,EUR,SAP,7,1,120,840,
Open Positions,Total,,Stocks,USD,,,,,490920,
Open Positions,Header,DataDiscriminator,Asset Category,Currency,Symbol,Open,Quantity,Mult,Cost Price,Cost Basis,Code
Open Positions,Data,Summary,Equity and Index Options,USD,SPY 20JUN25 600 C,-,-2,100,3.1,-620,
Open Positions,Data,Summary,CFDs,USD,TLT,-,40,1,90,3600,
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,Code
Trades,Data,Order,Stocks,USD,TLT,"2025-03-03, 10:00:00",99,90,O
"""

FLEX = """\
"ClientAccountID","CurrencyPrimary","AssetClass","Symbol","Description","Multiplier","Quantity","Side","LevelOfDetail"
"U0","USD","STK","SPY","SPDR S&P 500","1","10","Long","SUMMARY"
"U0","USD","STK","SPY","SPDR S&P 500","1","10","Long","LOT"
"U0","USD","STK","BRK B","BERKSHIRE","1","-4","Short","SUMMARY"
"U0","USD","FUT","ESM5","E-mini","50","1","Long","SUMMARY"
"""

TWS = """\
Financial Instrument,Position,Last,Market Value
SPY,"1,000",600.1,"600,100"
TLT NASDAQ.NMS,20,90,1800
BRK B NYSE,3,500,1500
SPY Jun20'25 600 CALL,-2,3.1,-620
QQQ,5,500,2500
"""


def read(folder: Path, text: str | bytes, symbols: tuple[str, ...] = OURS) -> Statement:
    path = folder / "held.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_statement(path, symbols)


PLAIN = {
    "as we write it": "symbol,shares\nSPY,100\nTLT,-2.5\n",
    "upper case, other columns": "SYMBOL,Name,Quantity\nspy,SPDR,100\nTLT,Bonds,-2.5\n",
    "position": "Position,Symbol\n100,SPY\n-2.5,TLT\n",
    "qty and blanks": "\n ticker , Qty\n\n SPY , 100 \n,\n TLT , -2.5 \n\n",
    "semicolons": "symbol;shares\nSPY;100\nTLT;-2.5\n",
    "tabs": "symbol\tshares\nSPY\t100\nTLT\t-2.5\n",
    "Windows": "symbol,shares\r\nSPY,100\r\nTLT,-2.50\r\n",
    "a byte order mark": "symbol,shares\nSPY,100\nTLT,-2.5\n".encode("utf-8-sig"),
    "cp1252": "symbol,shares,name\nSPY,100,Börse\nTLT,-2.5,é\n".encode("cp1252"),
    "zero and asset class": "symbol,shares,asset class\nSPY,100,ETF\nTLT,-2.5,Stock\nBRK.B,0,\nOLD,0,\n",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_plain_files(tmp_path: Path, text: str | bytes) -> None:
    assert read(tmp_path, text) == Statement({"SPY": 100.0, "TLT": -2.5, "BRK-B": 0.0}, {}, None)


def test_thousands_in_quotes_and_what_is_not_ours(tmp_path: Path) -> None:
    found = read(tmp_path, 'Symbol,Shares\nSPY,"1,234"\nQQQ,"2,000.5"\nUSD,10\nQQQ,1\nVTI,0\n')
    assert found.positions["SPY"] == 1234.0
    assert found.others == {"QQQ": 2001.5, "USD": 10.0}


@pytest.mark.parametrize(
    "text", ["symbol,shares\n", "Open Positions,Header,Symbol,Quantity\n", "symbol;shares", ",,\n\nsymbol,shares"]
)
def test_nothing_is_held(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == Statement(dict.fromkeys(OURS, 0.0), {}, None)


@pytest.mark.parametrize("name", ["BRK B", "brk b", "BRK-B", "BRK.B", "BRK  B", "BRK B NYSE"])
def test_share_classes(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"symbol,shares\n{name},3\n", ("BRK-B",)).positions == {"BRK-B": 3.0}


def test_share_classes_with_a_point(tmp_path: Path) -> None:
    assert read(tmp_path, "symbol,shares\nBRK B,3\n", ("BRK.B",)).positions == {"BRK.B": 3.0}
    other = read(tmp_path, "symbol,shares\nLEN B,3\n", ("LEN",))  # another class is another share
    assert other == Statement({"LEN": 0.0}, {"LEN B": 3.0}, None)


def test_activity_statement(tmp_path: Path) -> None:
    found = read(tmp_path, ACTIVITY)
    assert found.positions == {"SPY": 1200.0, "TLT": 0.0, "BRK-B": -3.5}
    assert found.others == {"SAP": 7.0, "SPY 20JUN25 600 C": -2.0, "TLT": 40.0}
    assert found.cash == 12345.67
    without = "\n".join(line for line in ACTIVITY.splitlines() if not line.startswith("Cash Report"))
    assert read(tmp_path, without) == Statement(found.positions, found.others, None)


def test_flex_query(tmp_path: Path) -> None:
    assert read(tmp_path, FLEX) == Statement({"SPY": 10.0, "TLT": 0.0, "BRK-B": -4.0}, {"ESM5": 1.0}, None)


def test_portfolio_of_tws(tmp_path: Path) -> None:
    found = read(tmp_path, TWS)
    assert found.positions == {"SPY": 1000.0, "TLT": 20.0, "BRK-B": 3.0}
    assert found.others == {"SPY Jun20'25 600 CALL": -2.0, "QQQ": 5.0}
    typed = "Financial Instrument,Security Type,Position\nSPY,STK,6\nTLT,CFD,7\nSPY Jun25,FUT,1\n"
    assert read(tmp_path, typed).positions == {"SPY": 6.0, "TLT": 0.0, "BRK-B": 0.0}


HEAD = ACTIVITY.splitlines()[9]
CASH = "Cash Report,Header,Currency Summary,Currency,Total\n"
ENDING = "Cash Report,Data,Ending Cash,Base Currency Summary,"

NUMBER = "which is no number or may be two: write 1234"

DOUBTS = {
    "no symbol": ("name,shares\nSPY,1\n", "line 1: 'name,shares' is no header of positions: give"),
    "no shares": ("symbol\nSPY\n", "line 1: 'symbol' is no header"),
    "no header": ("\nSPY,100\n", "line 2: 'SPY,100' is no header"),
    "two of shares": ("symbol,shares,position\nSPY,1,2\n", "line 1: .* is no header"),
    "two of symbol": ("symbol,Financial Instrument,position\nSPY,SPY,2\n", "line 1: .* is no header"),
    "no positions": ("Statement,Header,Field Name,Field Value\n", "line 1: .*statement in English"),
    "a title": ("Open Positions\nsymbol,shares\nSPY,1\n", "line 1: 'Open Positions' is no header"),
    "empty": ("", "empty: '' is no header of positions: give a CSV file"),
    "blank": ("\n \n,,\n", "empty: '' is no header"),
    "not a number": ("symbol,shares\nTLT,1\nSPY,many\n", f"line 3: SPY has 'many', {NUMBER}"),
    "empty cell": ("symbol,shares\nSPY,\n", f"line 2: SPY has '', {NUMBER}"),
    "not a finite number": ("symbol,shares\nSPY,1e999\n", f"line 2: SPY has '1e999', {NUMBER}"),
    "too long a number": (f"symbol,shares\nSPY,{'9' * 400}\n", f"line 2: SPY has '9{{40}}', {NUMBER}"),
    "short line": ("symbol,shares\nSPY\n", f"line 2: SPY has '', {NUMBER}"),
    "thousands not quoted": ("symbol,shares\nSPY,1,234\n", "line 2: more cells than the header has: write 1234"),
    "a quote without end": ('symbol,shares,name\nSPY,1,"x\nTLT,2,y\n', "line 3: more cells than the header has"),
    "a cell without end": ('symbol,shares\n"' + "x" * 200_000, "cannot be read"),
    "money": ("symbol,position\nSPY,$500\n", rf"line 2: SPY has '\$500', {NUMBER}"),
    "no name": ("symbol,shares\n,5\n", "line 2: that is no position, but a sum"),
    "twice": ("symbol,shares\nSPY,1\nTLT,1\nSPY,2\n", "line 4: SPY once more: .*added up"),
    "twice, spelt otherwise": ("symbol,shares\nBRK B,1\nBRK.B,2\n", "line 3: BRK-B once more"),
    "twice, of which one is nothing": ("symbol,shares\nSPY,0\nSPY,2\n", "line 3: SPY once more"),
    "comma": ("symbol;shares\nSPY;1,234\n", f"line 2: SPY has '1,234', {NUMBER}"),
    "decimal comma": ("symbol;shares\nSPY;-2,5\n", f"line 2: SPY has '-2,5', {NUMBER}"),
    "quoted decimal comma": ('symbol,shares\nSPY,"2,5"\n', f"line 2: SPY has '2,5', {NUMBER}"),
    "both": ("symbol;shares\nSPY;1.234,5\n", f"line 2: SPY has '1.234,5', {NUMBER}"),
    "both in quotes": ('symbol,shares\nSPY,"1.234,5"\n', f"line 2: SPY has '1.234,5', {NUMBER}"),
    "point or thousands": ("symbol\tshares\nSPY\t1.234\n", "line 2: SPY has '1.234', .*or 1.2340"),
    "trades": ("Symbol,Quantity,TradeDate\nSPY,1,20250303\n", "line 1: .* is no header of positions"),
    "orders": ("symbol,side,shares\nSPY,BUY,1\n", "line 2: SPY is no position, but .* an order"),
    "executions": ("Action,Quantity,Symbol\nBOT,1,QQQ\n", "line 2: QQQ is no position, but .* a trade"),
    "a class of ours": ("symbol,shares\nBRK B FOO,1\n", "line 2: BRK B FOO may be BRK-B"),
    "instrument": ("Financial Instrument,Position\nSPY FOO,1\n", "line 2: SPY FOO may be SPY: write SPY, or leave"),
    "lots alone": (
        f"{HEAD}\nOpen Positions,Data,Lot,Stocks,USD,SPY,7,,,,\n",
        "line 2: SPY is no position, but .* a lot",
    ),
    "cash": (f"{HEAD}\n{CASH}{ENDING}n/a\n", f"line 3: Ending Cash is 'n/a', {NUMBER}"),
    "cash twice": (f"{HEAD}\n{CASH}{ENDING}1\n{ENDING}2\n", "line 4: Ending Cash once more: give"),
}


@pytest.mark.parametrize(("text", "said"), DOUBTS.values(), ids=DOUBTS)
def test_what_may_be_misread_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        read(tmp_path, text)
    assert "held.csv" in str(refused.value) and "\n" not in str(refused.value) and refused.value.cure


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.csv cannot be read \(No such file.*: give a CSV file"):
        read_statement(tmp_path / "none.csv", OURS)
    with pytest.raises(InputError, match="cannot be read"):
        read_statement(tmp_path, OURS)


def order(symbol: str, side: str, shares: float, close: float, cost: float) -> dict[str, Any]:
    """As an answer of `advance` has it."""
    money = shares * close * (1.0 if side == "BUY" else -1.0)
    said = {"symbol": symbol, "side": side, "shares": shares, "last_close": close}
    return {**said, "estimated_cost": cost, "money": money}


LINES = (
    order("SPY", "BUY", 12.0, 600.1300048828125, 0.4249),
    order("BRK-B", "SELL", 3.0, 500.5, 1.0),
    order("TLT", "BUY", 0.1 + 0.2, 90.0, 0.35),
)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_orders_come_back(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    write_orders(path, LINES)
    found = table(path)
    assert list(found[0]) == ["symbol", "side", "shares", "last_close", "estimated_cost", "money"]
    for line, row in zip(LINES, found, strict=True):
        assert (row["symbol"], row["side"]) == (line["symbol"], line["side"])
        for name in ("shares", "last_close"):
            assert float(row[name]) == pytest.approx(line[name], rel=1e-14)
        for name in ("estimated_cost", "money"):
            assert float(row[name]) == pytest.approx(line[name], abs=0.005)
    assert found[0]["shares"] == "12" and found[1]["money"] == "-1501.5" and found[2]["shares"] == "0.3"
    with pytest.raises(InputError, match="no header of positions"):  # what is wanted is never taken for what is held
        read_statement(path, OURS)


def test_a_basket_as_tws_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "basket.csv"
    write_basket(path, [*LINES[:2], order("BF.B", "BUY", 1.0, 40.0, 1.0)])
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    assert head == "Action,Quantity,Symbol,SecType,Exchange,Currency,TimeInForce,OrderType"
    assert rows == [
        "BUY,12,SPY,STK,SMART,USD,OPG,MKT",
        "SELL,3,BRK B,STK,SMART,USD,OPG,MKT",
        "BUY,1,BF B,STK,SMART,USD,OPG,MKT",
    ]
    assert table(path)[1]["Symbol"] == "BRK B"


@pytest.mark.parametrize("symbol", ["VOD.L", "SAP.DE", "7203.T", "^IRX", "EURUSD=X", "ES=F", "BTC-USD", "BAC-PL"])
def test_a_basket_is_of_american_shares(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(InputError, match=r"no order of whole shares listed in the United States: .*by hand"):
        write_basket(tmp_path / "basket.csv", [order(symbol, "BUY", 1.0, 1.0, 0.0)])


def test_a_basket_takes_no_fractions_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "basket.csv"
    write_basket(path, LINES[:1])
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"BUY 0\.3 TLT is no order of whole shares.*: leave --no-whole"):
        write_basket(path, LINES)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["basket.csv"]


@pytest.mark.parametrize("write", [write_orders, write_basket])
def test_files_are_written_whole_or_not_at_all(tmp_path: Path, write: type) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "none" / "orders.csv", LINES[:1])
    write(tmp_path / "orders.csv", [])
    assert table(tmp_path / "orders.csv") == []
    with pytest.raises(InputError, match="no header of positions"):  # and no orders are not nothing held
        read_statement(tmp_path / "orders.csv", OURS)
