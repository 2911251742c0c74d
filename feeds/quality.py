"""What is wrong, or odd, with daily bars: checks that any source's bars go through, with what each found."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from .actions import action_numbers, in_shares, split_evidence, unpayable
from .adjust import Raw
from .calendars import calendar_of, exchange_sessions
from .rows import FIELDS, Flags, check_numbers, check_ranges, repeated, step_back
from .spacing import irregular

__all__ = ["CHECKS", "Finding", "check_bars", "errors", "findings_table", "quality", "sentences", "spacing"]

Floats = npt.NDArray[np.float64]

CHECKS = (
    "columns", "dates", "calendar", "missing", "values", "range", "stale", "spike", "volume", "dividend", "split",
    "spacing", "currency",
)  # fmt: skip
"""In the order in which they are made."""

# Thresholds, set so that sixteen years of eight large ETFs give one finding, and each fault below gives its own.
_STALE = 5  # closes in a row that are the same
_NEIGHBOURS = 21  # sessions on either side that say what is usual
_SPIKE = 10.0  # times the usual size of a move (median of absolute log returns), there and back
_SPIKE_LEAST = 0.04  # log return below which no move is a spike
_REVERTED = 0.25  # share of a spike that may remain after the session that follows
_VOLUME = 1000.0  # times more, or less, than the neighbours' median
_SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0, 100.0)  # new shares for one
_SPLIT_OVERNIGHT = 0.04  # by which the log of an open over the close before may differ from a split's
_SPLIT_SESSION = 0.12  # by which that of the close may
_DIVIDEND = 0.0005  # fraction by which the adjusted return may differ from that of price and dividend


@dataclass(frozen=True)
class Finding:
    """One check's result for one symbol.

    Attributes
    ----------
    symbol : str
    check : str
        One of CHECKS.
    severity : {"error", "warning"}
        An error stops a run.
    text : str
        What was found, with the first date.
    dates : tuple of str
        All dates it was found on, YYYY-MM-DD.
    """

    symbol: str
    check: str
    severity: Literal["error", "warning"]
    text: str
    dates: tuple[str, ...] = ()


def quality(
    raw: Mapping[str, Raw], *, calendar: str | None = None, widened: float = 0.0, own: Collection[str] | None = None
) -> list[Finding]:
    """The findings of `check_bars` for each symbol.

    Parameters
    ----------
    raw : mapping
        symbol -> Raw.
    calendar : str, optional
        Default: each symbol's own (`calendar_of`).
    widened : float
        As `check_bars`.
    own : collection of str, optional
        Symbols whose prices are run by their own dividends and splits, as `treatment` says (default: all that have
        dividends).

    Returns
    -------
    list of Finding
    """
    found: list[Finding] = []
    for symbol, one in raw.items():
        found += check_bars(
            one.bars,
            symbol,
            calendar=calendar or calendar_of(symbol),
            widened=widened,
            own=None if own is None else symbol in own,
        )
    return found


def spacing(raw: Mapping[str, Raw], *, calendar: str | None = None) -> list[Finding]:
    """An error for each symbol whose bars are not daily, or have large holes: `irregular` says when.

    Parameters
    ----------
    raw : mapping
        symbol -> Raw.
    calendar : str, optional
        Default: each symbol's own (`calendar_of`).

    Returns
    -------
    list of Finding
        Apart from `quality`, as it is of a panel's common sessions that `load` asks this.
    """
    found = []
    for symbol, one in raw.items():
        if isinstance(one.bars.index, pd.DatetimeIndex):
            dates = one.bars.index.dropna().tz_localize(None).normalize().unique().sort_values()
            why = irregular(dates, calendar or calendar_of(symbol))
            if why is not None:
                found.append(Finding(symbol, "spacing", "error", why[0]))
    return found


def check_bars(
    bars: pd.DataFrame, symbol: str, *, calendar: str | None = "XNYS", widened: float = 0.0, own: bool | None = None
) -> list[Finding]:
    """Findings about one symbol's bars as a source gives them.

    An error is what `validate` and `as_traded` refuse, and a split that a run would take for a market's move.

    Parameters
    ----------
    bars : DataFrame
        Dates in the index; open high low close volume, perhaps adj_close (then spikes are looked for in the adjusted
        closes), dividend (cash a share on its ex-date) and split (new shares for one, 0 or 1 on other days).
    symbol : str
    calendar : str or None
        Exchange calendar whose sessions there should be; None is none.
    widened : float
        Fraction by which an open or close may lie outside low..high before that is an error. 0 for sources that are
        refused then.
    own : bool, optional
        Whether prices are run as traded, or adjusted by us, by their own dividends and splits: an announced split may
        then be in the closes (default: if there are dividends).

    Returns
    -------
    list of Finding

    Raises
    ------
    InputError
        An unknown calendar.
    """
    report = _Report(symbol)
    lowered = [str(column).strip().lower() for column in bars.columns]
    bars = bars.set_axis(lowered, axis=1)
    lacking = [field for field in FIELDS if lowered.count(field) != 1]
    if lacking or bars.empty or not isinstance(bars.index, pd.DatetimeIndex) or bars.index.hasnans:
        what = f"no column {', '.join(lacking)}" if lacking else "no dated rows"
        report.add("columns", "error", what)
        return report.found
    dates = bars.index.tz_localize(None).normalize()
    bars = bars.set_axis(dates)
    _check_dates(report, dates)
    bars = bars[~dates.duplicated()].sort_index()
    own = "dividend" in lowered if own is None else own
    values = bars[[name for name in (*FIELDS, "adj_close") if name in lowered]]
    values = values.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    if "dividend" in lowered:
        values = values.assign(dividend=action_numbers(bars["dividend"], "dividend"))
    announced = action_numbers(bars["split"], "split") if "split" in lowered else np.ones(len(bars))
    usable = np.isfinite(announced) & (announced > 0.0)
    if own:
        report.where(
            "values", "error", ~usable, values.index,
            "split on {first} is no number above zero", "split is no number above zero on {n} dates, first {first}",
        )  # fmt: skip
    split = pd.Series(np.where(usable, announced, 1.0), bars.index)
    if calendar is not None:
        _check_calendar(report, pd.DatetimeIndex(values.index), calendar)
    values = values[_check_values(report, values)]
    if len(values) > 1:
        _check_range(report, values, widened)
        _check_stale(report, values)
        _check_spikes(report, values)
        _check_volume(report, values)
        ratios = split[values.index].to_numpy()
        _check_dividends(report, values, ratios)
        _check_splits(report, values, ratios, own)
        if own:
            _check_own(report, values, ratios)
    return report.found


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that stop a run.

    Parameters
    ----------
    findings : iterable of Finding

    Returns
    -------
    list of Finding
    """
    return [finding for finding in findings if finding.severity == "error"]


def sentences(findings: Iterable[Finding]) -> list[str]:
    """One sentence for each distinct text, with all symbols it is true of.

    Parameters
    ----------
    findings : iterable of Finding

    Returns
    -------
    list of str
    """
    who: dict[str, list[str]] = {}
    for finding in findings:
        who.setdefault(finding.text, []).append(finding.symbol)
    return [f"{', '.join(symbols)}: {text}" for text, symbols in who.items()]


def findings_table(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings as plain dictionaries, for JSON.

    Parameters
    ----------
    findings : iterable of Finding

    Returns
    -------
    list of dict
        One a finding, its attributes by name.
    """
    return [{**asdict(finding), "dates": list(finding.dates)} for finding in findings]


class _Report:
    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.found: list[Finding] = []

    def add(
        self, check: str, severity: Literal["error", "warning"], text: str, dates: pd.DatetimeIndex | None = None
    ) -> None:
        """`text` may hold {first}, the first date, and {n}, their count."""
        days = () if dates is None else tuple(f"{day:%Y-%m-%d}" for day in dates)
        shown = text.format(first=days[0] if days else "", n=len(days))
        self.found.append(Finding(self.symbol, check, severity, shown, days))

    def where(
        self, check: str, severity: Literal["error", "warning"], flags: Flags, dates: pd.Index, one: str, many: str
    ) -> None:
        """`one` or `many` for the dates that are flagged, if any is."""
        if flags.any():
            self.add(check, severity, one if flags.sum() == 1 else many, pd.DatetimeIndex(dates[flags]))


def _check_dates(report: _Report, dates: pd.DatetimeIndex) -> None:
    report.where(
        "dates", "error", repeated(dates), dates,
        "{first} is there more than once", "{n} rows repeat a date, first {first}",
    )  # fmt: skip
    report.where(
        "dates", "error", step_back(dates), dates,
        "{first} comes after a later date", "{n} rows come after a later date, first {first}",
    )  # fmt: skip


def _check_calendar(report: _Report, dates: pd.DatetimeIndex, calendar: str) -> None:
    sessions = exchange_sessions(dates[0], dates[-1], calendar)
    report.where(
        "calendar", "warning", ~dates.isin(sessions), dates,
        f"{{first}} is no session of {calendar}", f"{{n}} dates are no session of {calendar}, first {{first}}",
    )  # fmt: skip
    report.where(
        "missing", "warning", ~sessions.isin(dates), sessions,
        f"session {{first}} of {calendar} is missing", f"{{n}} sessions of {calendar} are missing, first {{first}}",
    )  # fmt: skip


def _check_values(report: _Report, values: pd.DataFrame) -> Flags:
    """Which rows can be looked at further."""
    usable = np.ones(len(values), dtype=bool)
    what = {"number": "not a number", "price": "not above zero", "volume": "negative", "size": "beyond all measure"}
    for field, rule, bad in check_numbers(values):
        report.where(
            "values", "error", bad, values.index,
            f"{field} on {{first}} is {what[rule]}", f"{field} is {what[rule]} on {{n}} dates, first {{first}}",
        )  # fmt: skip
        usable &= ~bad
    return usable


def _check_range(report: _Report, values: pd.DataFrame, widened: float) -> None:
    high, low = (values[field].to_numpy() for field in ("high", "low"))
    for field, rule, bad in check_ranges(values):
        if rule == "crossed":
            report.where(
                "range", "error", bad, values.index,
                "high is below low on {first}", "high is below low on {n} dates, first {first}",
            )  # fmt: skip
            continue
        price = values[field].to_numpy()
        slightly = bad & (price <= high * (1 + widened)) & (price >= low * (1 - widened))
        report.where(
            "range", "error", bad & ~slightly, values.index,
            f"{field} is outside low .. high on {{first}}",
            f"{field} is outside low .. high on {{n}} dates, first {{first}}",
        )  # fmt: skip
        report.where(
            "range", "warning", slightly, values.index,
            f"{field} was slightly outside low .. high on {{first}}, which were widened to hold it",
            f"{field} was slightly outside low .. high on {{n}} dates, first {{first}}; they were widened to hold it",
        )  # fmt: skip


def _check_stale(report: _Report, values: pd.DataFrame) -> None:
    close = values["close"].to_numpy()
    starts = np.flatnonzero(np.r_[True, close[1:] != close[:-1]])
    lengths = np.diff(np.r_[starts, len(close)])
    long = lengths >= _STALE
    if long.any():
        text = f"close does not move for {int(lengths.max())} sessions"
        text += ", from {first}" if long.sum() == 1 else " at most, {n} times, first from {first}"
        report.add("stale", "warning", text, pd.DatetimeIndex(values.index[starts[long]]))
    same = np.r_[False, (values[list(FIELDS)].to_numpy()[1:] == values[list(FIELDS)].to_numpy()[:-1]).all(axis=1)]
    traded = (values["volume"].to_numpy() > 0) & (values["high"].to_numpy() > values["low"].to_numpy())
    report.where(
        "stale", "warning", same & traded, values.index,
        "the whole bar before is repeated on {first}", "{n} bars repeat the one before, first on {first}",
    )  # fmt: skip


def _check_spikes(report: _Report, values: pd.DataFrame) -> None:
    """A move many times the usual that the next session takes back: a wrong price more often than a market."""
    field = "adj_close" if "adj_close" in values.columns else "close"
    moves = np.diff(np.log(values[field].to_numpy()))
    if len(moves) < 3:
        return
    usual = _local_median(np.abs(moves))
    there, back = moves[:-1], moves[1:]
    spike = (np.abs(there) > _SPIKE_LEAST) & (np.minimum(np.abs(there), np.abs(back)) > _SPIKE * usual[:-1])
    spike &= np.abs(there + back) < _REVERTED * np.abs(there)
    flags = np.r_[False, spike, False]
    if flags.any():
        first = int(np.argmax(flags))
        jump = 100.0 * (np.exp(moves[first - 1]) - 1.0)
        report.where(
            "spike", "warning", flags, values.index,
            f"close jumps by {jump:.1f} % on {{first}} and is back a session later",
            f"close jumps and is back a session later on {{n}} dates, first by {jump:.1f} % on {{first}}",
        )  # fmt: skip


def _check_volume(report: _Report, values: pd.DataFrame) -> None:
    volume = values["volume"].to_numpy()
    if not (volume > 0).any():
        return  # a source without volumes
    usual = _local_median(volume)
    zero = (volume == 0) & (usual > 0)
    report.where(
        "volume", "warning", zero, values.index,
        "no volume on {first}", "no volume on {n} dates, first {first}",
    )  # fmt: skip
    absurd = ~zero & (usual > 0) & ((volume * _VOLUME < usual) | (volume > usual * _VOLUME))
    if absurd.any():
        first = int(np.argmax(absurd))
        shown = f"{volume[first]:,.0f} on {{first}}, where {usual[first]:,.0f} is usual"
        report.where(
            "volume", "warning", absurd, values.index,
            f"volume is {shown}", f"volume is absurd on {{n}} dates, first {shown}",
        )  # fmt: skip


def _check_dividends(report: _Report, values: pd.DataFrame, split: Floats) -> None:
    """The adjusted return against price and dividend D, of either way to adjust.

    Closes before an ex-date t are multiplied by 1 - D/C(t-1), as vendors do, or by C(t)/(C(t) + D), which makes the
    return (C(t) + D)/C(t-1) - 1; they differ by the square of the yield. Where closes are as they were quoted, those
    before a split are divided by it, too; those of other vendors were divided before.
    """
    if "dividend" not in values.columns or "adj_close" not in values.columns:
        return
    paid, close = values["dividend"].to_numpy(), values["close"].to_numpy()
    adjusted = values["adj_close"].to_numpy()
    factor = (adjusted[:-1] / close[:-1]) / (adjusted[1:] / close[1:])
    miss = 1.0 - paid[1:] / close[:-1] - factor
    other = close[1:] / (close[1:] + paid[1:]) - factor
    # Adjusted prices are printed to six decimals, which matters where a long history makes them small.
    room = _DIVIDEND + 1e-6 / np.minimum(adjusted[1:], adjusted[:-1])
    undone = 1.0 - paid[1:] / close[:-1] - factor * split[1:]
    off = np.r_[False, np.minimum.reduce(np.abs([miss, other, undone])) > room]
    if off.any():
        first = int(np.argmax(off))
        shown = 100.0 * miss[first - 1]
        report.where(
            "dividend", "warning", off, values.index,
            f"adjusted return is {shown:+.2f} % off price and dividend on {{first}}",
            f"adjusted return is off price and dividend on {{n}} dates, first by {shown:+.2f} % on {{first}}",
        )  # fmt: skip


def _check_splits(report: _Report, values: pd.DataFrame, split: Floats, own: bool) -> None:
    """Splits in the prices that a run would use: announced and never taken out, taken out twice, or not announced.

    An announced split is there still, or once too often, if the move of that session is nearer to it than to none.
    Closes that are run by their own dividends and splits may hold it.
    """
    adjusted = "adj_close" in values.columns
    price = np.log(values["adj_close" if adjusted else "close"].to_numpy())
    moves, ratio = np.diff(price), np.log(split[1:])
    for sign, how in ((1.0, "is in the prices"), (-1.0, "was taken out of the prices twice")):
        if own and not adjusted and sign > 0.0:
            continue
        flags = np.r_[False, (ratio != 0.0) & (np.abs(moves + sign * ratio) < np.abs(moves))]
        if flags.any():
            first = f"the split of {in_shares(split[int(np.argmax(flags))])} on {{first}} {how}"
            cure = "give an adj_close without it, or bars from after it"
            report.where("split", "error", flags, values.index, f"{first}: {cure}", f"{first}, of {{n}} such: {cure}")
    price = np.log(values["close"].to_numpy()) if own else price
    moves = np.diff(price)
    overnight = moves - np.log(values["close"].to_numpy()[1:] / values["open"].to_numpy()[1:])
    jumps = np.abs(overnight) > _SPIKE * _local_median(np.abs(moves))
    best = np.argmin(np.abs(np.abs(overnight)[:, None] - np.log(_SPLITS)), axis=1)
    likely = np.log(np.asarray(_SPLITS)[best])
    alike = np.abs(np.abs(overnight) - likely) < _SPLIT_OVERNIGHT
    alike &= np.abs(np.abs(moves) - likely) < _SPLIT_SESSION
    flags = np.r_[False, (ratio == 0.0) & jumps & alike]
    if flags.any():
        at = int(np.argmax(flags)) - 1
        shown = in_shares(_SPLITS[best[at]] if overnight[at] < 0.0 else 1.0 / _SPLITS[best[at]])
        what = f"prices jump overnight as after a split of {shown}, which nothing announces"
        report.where("split", "warning", flags, values.index, f"{what}, on {{first}}", f"{what}, first on {{first}}")


def _check_own(report: _Report, values: pd.DataFrame, split: Floats) -> None:
    """What `as_traded` would refuse: splits of which some are in the prices, dividends of all that a share is worth."""
    close, dividend = values["close"].to_numpy(), values["dividend"].to_numpy()
    evidence = split_evidence(close, dividend, split)
    if evidence.against:
        at = list(evidence.against)
        found = "is not in the prices, but others are" if evidence.traded else "is in the prices, but others are not"
        cure = "give all prices as traded, or all adjusted for splits"
        text = f"the split of {in_shares(split[at[0]])} on {{first}} {found}: {cure}"
        report.add("split", "error", text, pd.DatetimeIndex(values.index[at]))
    report.where(
        "dividend", "error", unpayable(close, dividend, split if evidence.traded else np.ones(len(split))),
        values.index, "dividend on {first} is not below the close before",
        "dividend is not below the close before on {n} dates, first {first}",
    )  # fmt: skip


def _local_median(sizes: Floats) -> Floats:
    """Median of each value's neighbourhood, itself included."""
    window = 2 * _NEIGHBOURS + 1
    return np.asarray(pd.Series(sizes).rolling(window, center=True, min_periods=1).median(), dtype=np.float64)
