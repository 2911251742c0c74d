"""The report: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from visits import Visit, until

from riskoverlay import __version__
from riskoverlay.analyzers import excess_sharpe
from riskoverlay.feeds import Panel
from riskoverlay.studies.cli import main
from riskoverlay.studies.financing import breakeven_in_words
from riskoverlay.studies.financing.spreads import BEHIND, Breakeven
from riskoverlay.studies.judgement import confidence, intervals_summary
from riskoverlay.studies.ladder import LEGS, Ladder, Leg, Rung, Step, ladder_summary
from riskoverlay.studies.pictures import write_picture
from riskoverlay.studies.report import Span, accounts, page_spans, report_html, write_report
from riskoverlay.studies.report.facts import (
    calendar_years,
    counted,
    drawdowns,
    largest_and_others,
    risk_shares,
    rolling_sharpe,
    rolling_volatility,
)
from riskoverlay.studies.report.figures import account_charts, costs, years
from riskoverlay.studies.report.markup import number, packed, script_json
from riskoverlay.studies.report.rungs import waterfall
from riskoverlay.studies.workbench import Benchmark, backtest_summary, write_json
from riskoverlay.studies.workbench.parameters import make_config
from riskoverlay.studies.workbench.portfolios import Backtest, backtest
from riskoverlay.studies.workbench.runs import load_panel

QUICK = {"cov_lookback": 60, "min_hist": 60, "vol_lookback": 20, "dd_threshold1": 0.02, "dd_threshold2": 0.05}
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    '<a href="https://example.org/">%{x}</a>',
    "A&amp;B'\"",
)


SPANS = (Span("summer", date(2011, 7, 1), date(2011, 9, 30)), Span("<b>before</b>", date(2010, 1, 4), date(2010, 2, 1)))


@pytest.fixture(scope="module")
def result(sample: Panel) -> Backtest:
    benchmarks = [Benchmark("SPY", {"SPY": 1.0}), Benchmark("<i>60/40", {"SPY": 0.6, "TLT": 0.4})]
    return backtest(sample, make_config({**QUICK, "risk_free": 0.02}), benchmarks=benchmarks)


@pytest.fixture(scope="module")
def climbed(result: Backtest) -> Ladder:
    """A ladder of three rungs, their figures made up."""

    def leg(growth: float, sharpe: float) -> Leg:
        statistics = {"growth": growth, "excess_sharpe": sharpe, "ann_ret": growth + 0.005, "ann_vol": 0.1,
                      "sharpe": sharpe + 0.1, "max_drawdown": -0.1}  # fmt: skip
        return Leg(result.base.returns, statistics, 1.5)

    steps = [
        Step(Rung(id, what), True, {"base": leg(0.07, 0.8), "dynamic": leg(growth, sharpe)})
        for id, what, growth, sharpe in (
            ("paper", "paper </script>", 0.09, 0.9),
            ("next_open", "open", 0.095, 0.95),
            ("loan", "interest", 0.05, 0.55),
        )
    ]
    return Ladder(result.config, result.panel, tuple(steps), leg(0.06, 0.6))


@pytest.fixture(scope="module")
def hostile(sample: Panel) -> Backtest:
    """Feeds refuse such symbols; a panel made by hand does not."""
    names = dict(zip(HOSTILE, sample.between(None, "2011-06-30").frames.values(), strict=False))
    panel = Panel(names, dropped=(HOSTILE[1],), warnings=(HOSTILE[2],), source=HOSTILE[0], synthetic=True)
    config = make_config({**QUICK, "data_dir": HOSTILE[1]})
    return backtest(panel, config)


# -- numbers ---------------------------------------------------------------------------------------------------------


def test_pure_risk_parity_has_equal_shares(sample: Panel) -> None:
    shares = risk_shares(backtest(sample, make_config({**QUICK, "alpha_minvar": 0.0})))
    assert np.allclose(shares, 1 / 8, atol=1e-9)


def test_risk_shares_are_those_of_the_decision(result: Backtest) -> None:
    shares, panel = risk_shares(result), result.panel
    day = shares.index[7]
    window = np.log(panel.closes.loc[:day].iloc[-61:]).diff().iloc[1:]
    S = window.cov().to_numpy()
    cov = 0.7 * S + 0.3 * np.diag(np.diag(S))
    w = result.dynamic.weights.loc[day].to_numpy()
    assert np.allclose(shares.loc[day], w * (cov @ w) / (w @ cov @ w), atol=1e-12)
    assert np.allclose(shares.sum(axis=1), 1.0)
    other = dataclasses.replace(result, config={**result.config, "shrink_alpha": 0.9})
    assert not np.allclose(risk_shares(other), shares, atol=1e-4)
    future = {
        s: f.assign(close=np.where(f.index > day, 1.0 + np.arange(len(f)) % 3, f["close"]))
        for s, f in panel.frames.items()
    }
    poisoned = dataclasses.replace(result, panel=Panel(future))
    pd.testing.assert_frame_equal(risk_shares(poisoned).loc[:day], shares.loc[:day])


def test_rolling_volatility_is_of_the_last_returns(result: Backtest) -> None:
    one = accounts(result)[2]
    got, returns = rolling_volatility(one, 20), result.dynamic.returns
    assert list(got.index) == list(counted(result.dynamic))
    assert got.iloc[:20].isna().all()
    assert got.iloc[20] == pytest.approx(returns.iloc[:20].to_numpy().std() * 252**0.5)
    assert got.iloc[-1] == pytest.approx(returns.iloc[-20:].to_numpy().std() * 252**0.5)


def test_rolling_sharpe_is_that_of_the_last_sessions_over_the_bill(result: Backtest) -> None:
    one = accounts(result)[2]
    got, run = rolling_sharpe(one, 252), result.dynamic
    assert run.risk_free.any()
    assert list(got.index) == list(counted(run))
    assert got.iloc[:252].isna().all()
    assert got.iloc[252] == pytest.approx(excess_sharpe(run.returns.iloc[:252], run.risk_free[:252]))
    assert got.iloc[-1] == pytest.approx(excess_sharpe(run.returns.iloc[-252:], run.risk_free[-252:]))
    assert rolling_sharpe(one, len(run.returns)).iloc[-1] == pytest.approx(run.statistics["excess_sharpe"])
    assert rolling_sharpe(one, len(run.returns) + 1).isna().all()


def test_calendar_years_compound_to_the_whole(result: Backtest) -> None:
    for one in accounts(result):
        table = calendar_years(one)
        assert list(table.index) == [2010, 2011, 2012]
        assert (1.0 + table).prod() == pytest.approx(one.growth.iloc[-1])
        value = one.run.value
        assert table[2011] == pytest.approx(value[:"2011-12-31"].iloc[-1] / value[:"2010-12-31"].iloc[-1] - 1.0)
        assert drawdowns(one).min() == pytest.approx(one.statistics["max_drawdown"])


def test_every_portfolio_of_a_backtest_is_a_portfolio_of_its_page(result: Backtest) -> None:
    shown = accounts(result)
    assert [one.name for one in shown] == list(result.runs) == ["base", "constant", "dynamic", "SPY", "<i>60/40"]
    assert [one.name for one in shown if one.lead] == ["dynamic"]
    assert len({one.colour for one in shown} | {one.ink for one in shown}) == 2 * len(shown)
    css = (Path(__file__).parents[1] / "studies" / "report" / "page.css").read_text()
    light, dark = css.split("prefers-color-scheme: dark", 1)
    for one in shown:
        assert f"{one.colour}: {one.ink};" in light  # pictures have the colour of the page
        assert f"{one.colour}: #" in dark
    for chart in (*account_charts(result, shown), years(shown)):
        if chart.id in ("equity", "drawdown", "volatility", "rolling", "years"):
            assert {mark.label for mark in chart.legend if mark.traces} == set(result.runs)
            assert len(chart.data) == len(shown)


def test_gather_keeps_the_sum() -> None:
    table = pd.DataFrame([[0.5, 0.2, 0.2, 0.1]], columns=list("ABCD"))
    assert largest_and_others(table, ["A", "C"]).to_dict("records") == [
        {"A": 0.5, "C": 0.2, "other (2)": pytest.approx(0.3)}
    ]
    assert list(largest_and_others(table, list("ABCD"))) == list("ABCD")


@pytest.mark.parametrize(("value", "unit", "signed", "shown"), [
    (0.12345, "percent", False, "12.35 %"), (-0.2511, "percent", False, "−25.11 %"),
    (0.0123, "points", True, "+1.23 pts"),
    (-0.00001, "points", True, "0.00 pts"), (1234567.8, "money", False, "1,234,568"), (0.0, "count", True, "0"),
    (0.8771, "ratio", False, "0.877"), (float("nan"), "ratio", False, "–"), (None, "money", False, "–"),
])  # fmt: skip
def test_numbers_for_people(value: float | None, unit: str, signed: bool, shown: str) -> None:
    assert number(value, unit, signed=signed).replace("\u00a0", " ") == shown


def test_json_cannot_end_its_script() -> None:
    content = {"</script>": ["<!--", "&", "\u2028", "]]>"]}
    text = script_json(content)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == content


# -- the file --------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A figure with what the page fills in filled in, for plotly's own check."""
    if isinstance(value, dict):
        if "css" in value:
            return "#123456"
        if "shared" in value:
            return [1.0, 2.0]
        if "bdata" in value:
            return {"dtype": value["dtype"], "bdata": value["bdata"]}
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def test_plotly_accepts_every_figure(result: Backtest, climbed: Ladder) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    shown = accounts(result)
    ladders = [waterfall(climbed, leg) for leg in LEGS]
    for chart in [*account_charts(result, shown), years(shown), costs(shown[2]), *ladders]:
        go.Figure({"data": _plain(chart.data), "layout": _plain(chart.layout)})


def test_the_file_stands_alone_and_is_small(result: Backtest, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", result)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 6e6
    page = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert "Synthetic market" in page
    assert "What is synthetic" in page
    assert f"riskoverlay {__version__}, backtrader" in page
    assert result.panel.sha256 in page
    assert "% intervals" not in page
    assert 'id="ladder"' not in page
    with pytest.raises(ValueError, match="cannot be written"):
        write_report(tmp_path / "no" / "report.html", result)


def test_what_is_not_synthetic_is_not_called_so(result: Backtest) -> None:
    real = dataclasses.replace(result, panel=dataclasses.replace(result.panel, synthetic=False, source="csv"))
    text = report_html(real)
    page, _, config = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL).partition('<section id="config">')
    assert config
    assert "synthetic" not in page.casefold()
    assert "made up" not in page
    assert "The accounts are simulated" in page


@pytest.mark.long
def test_the_real_report_is_small(market: Path, tmp_path: Path) -> None:
    config = make_config({"source": "csv", "data_dir": str(market), "end": "2025-12-04"})
    write_report(tmp_path / "report.html", backtest(load_panel(config), config))
    assert (tmp_path / "report.html").stat().st_size < 6e6


# -- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def intervals(result: Backtest) -> Any:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    return confidence(result.dynamic.returns, result.base.returns, result.dynamic.risk_free, draws=100)


@pytest.fixture(scope="module")
def report(result: Backtest, climbed: Ladder, intervals: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, result, ladder=climbed, spans=SPANS, intervals=intervals)
    return path


@pytest.mark.ci
@pytest.mark.parametrize(("width", "scheme"), [
    (390, "light"),
    *(pytest.param(*look, marks=pytest.mark.long) for look in ((1280, "dark"), (390, "dark"), (1280, "light"))),
])  # fmt: skip
def test_charts_are_drawn_nothing_is_said_and_nothing_asked_for(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    with Visit(browser, report, width, scheme) as visit:
        page = visit.ready()
        drawn = page.evaluate("""() => Object.fromEntries([...document.querySelectorAll(".chart")].map((box) => [box.id,
            [box.data.length,
             Math.min(...box.data.map((t) => [...(t.orientation === "h" ? t.x : t.y)].filter(Number.isFinite).length)),
             box.querySelectorAll(".trace path, .point path, path.js-fill").length, box.clientWidth]]))""")
        assert set(drawn) == {f"chart-{name}" for name in (
            "attribution", "equity", "drawdown", "leverage", "volatility", "rolling", "weights", "risk", "years",
            "costs", "ladder-base", "ladder-dynamic")}  # fmt: skip
        for name, (traces, numbers, paths, wide) in drawn.items():
            assert traces and numbers and paths, name
            assert 300 < wide < width
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(
            "document.querySelectorAll('nav a').length === document.querySelectorAll('section').length"
        )
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 254, 251)") == (scheme == "light")
        assert visit.said == []


@pytest.mark.long
def test_figures_are_those_of_the_summary(
    browser: Any, report: Path, result: Backtest, climbed: Ladder, intervals: Any, tmp_path: Path
) -> None:
    more = {"spans": page_spans(result.panel, accounts(result), SPANS), "rungs": ladder_summary(climbed)["rungs"]}
    write_json(tmp_path / "s.json", backtest_summary(result) | more | {"confidence": intervals_summary(intervals)})
    content = json.loads((tmp_path / "s.json").read_text())
    with Visit(browser, report) as visit:
        found = visit.ready().evaluate(
            "[...document.querySelectorAll('data[data-key]')].map((d) => [d.dataset.key, d.value, d.textContent])"
        )
        assert visit.page.text_content("code[data-key]") == content["data"]["sha256"]
    assert {
        "base.growth", "dynamic.excess_sharpe", "dynamic.max_drawdown", "constant.interest_paid", "dynamic.turnover",
        "benchmarks.SPY.interest_earned", "benchmarks.<i>60/40.growth", "base.sessions_below_maintenance",
        "dynamic_beyond.constant.active_return", "dynamic.drawdown.worst.0.depth", "rungs.2.dynamic.excess_sharpe",
        "rungs.0.base.growth", "rungs.1.base.sharpe", "confidence.difference.growth.low", "spans.0.SPY.return",
        "spans.0.dynamic.max_drawdown",
    } <= {key for key, _, _ in found}  # fmt: skip
    assert not {"ann_ret", "sharpe"} & {key.rpartition(".")[2] for key, _, _ in found if not key.startswith("rungs.")}
    for key, value, text in found:
        wanted: Any = content
        for name in key.split("."):
            wanted = wanted[int(name)] if isinstance(wanted, list) else wanted[name]
        if wanted is None:
            assert (value, text) == ("", "–")
            continue
        assert float(value) == wanted, key
        shown = text.replace("−", "-").replace(",", "").split()
        digits = len(shown[0].partition(".")[2])
        scale = 100.0 if shown[-1] in ("%", "pts") else 1.0
        assert float(shown[0]) == pytest.approx(scale * wanted, abs=0.5000001 * 10**-digits), key


@pytest.mark.long
def test_time_axes_are_linked(browser: Any, report: Path) -> None:
    ranges = """() => [...document.querySelectorAll(".chart")].filter((b) => b.layout.xaxis.type === "date")
        .map((b) => b.layout.xaxis.range
            .map((t) => typeof t === "number" ? t : Date.parse(t.replace(" ", "T") + "Z")))"""
    with Visit(browser, report) as visit:
        page = visit.ready()
        whole = page.evaluate(ranges)
        assert len(whole) == 7 and all(one == whole[0] for one in whole)
        page.click("button[data-years='1']")
        year = page.evaluate(ranges)
        assert all(one == year[0] for one in year)
        assert 364 < (year[0][1] - year[0][0]) / 86_400_000 < 367
        low, high = page.evaluate("document.getElementById('chart-equity').layout.yaxis.range")
        values = page.evaluate("[...document.getElementById('chart-equity').data[0].y].slice(-200)")
        assert 10**low < min(values) and max(values) < 10**high
        page.evaluate("document.getElementById('risk').scrollIntoView({behavior: 'instant', block: 'center'})")
        box = page.locator("#chart-risk .nsewdrag").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + 300, box["y"] + 82, steps=5)
        page.mouse.up()
        until(page, "document.getElementById('range').textContent.slice(0, 10) > '2012'")
        page.wait_for_timeout(300)
        zoomed = page.evaluate(ranges)
        assert year[0][0] < zoomed[0][0] < zoomed[0][1] < year[0][1]
        assert all(np.allclose(one, zoomed[0], atol=60_000) for one in zoomed)
        page.click("button[data-years='0']")
        assert page.evaluate(ranges) == whole
        assert visit.said == []


@pytest.mark.long
def test_legend_hides_a_line_and_theme_and_paper_redraw(browser: Any, report: Path) -> None:
    line = "getComputedStyle(document.querySelector('#chart-equity .trace path.js-line')).stroke"
    hidden = [False, None, None, None, None]
    with Visit(browser, report) as visit:
        page = visit.ready()
        light = page.evaluate(line)
        page.click("#equity .legend button >> text=base")
        assert page.evaluate("document.getElementById('chart-equity').data.map((t) => t.visible)") == hidden
        page.emulate_media(color_scheme="dark")
        until(page, f"{line} !== {light!r}")
        assert page.evaluate("document.getElementById('chart-equity').data[0].visible") is False
        page.click("#equity .legend button >> text=base")
        assert page.evaluate("document.getElementById('chart-equity').data[0].visible") is True
        assert len(page.pdf()) > 50_000
        assert page.evaluate("document.querySelectorAll('main details[open]').length") == 1
        assert visit.said == []


@pytest.mark.long
def test_all_trades_are_there(browser: Any, report: Path, result: Backtest) -> None:
    row = "() => [...document.querySelectorAll('#trade-table tbody tr:{}-child td')].map((cell) => cell.textContent)"
    fills = result.dynamic.fills
    with Visit(browser, report) as visit:
        page = visit.ready()
        assert page.text_content("#trade-count").startswith(f"{len(fills):,} fills")
        date, side, symbol, shares, price, *_ = page.evaluate(row.format("first"))
        last = fills[-1]
        assert (date, side) == (f"{last['executed']:%Y-%m-%d}", "buy" if last["size"] > 0 else "sell")
        assert (symbol, float(shares.replace(",", ""))) == (last["symbol"], abs(last["size"]))
        assert float(price.replace(",", "")) == pytest.approx(last["price"], abs=0.006)
        page.click("button[name=older]")
        page.evaluate("() => { const b = document.querySelector('[name=older]'); while (!b.disabled) b.click(); }")
        assert page.evaluate(row.format("last"))[2] == fills[0]["symbol"]
        page.select_option("select[name=account]", "base")
        page.select_option("select[name=symbol]", "GLD")
        count = sum(fill["symbol"] == "GLD" for fill in result.base.fills)
        assert page.text_content("#trade-count").startswith(f"{count} fills, latest first, page 1 ")
        with page.expect_download() as download:
            page.click("button[name=save]")
        assert len(Path(download.value.path()).read_text().splitlines()) == count + 1


@pytest.mark.long
def test_hostile_names_do_nothing(browser: Any, hostile: Backtest, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", hostile)
    with Visit(browser, tmp_path / "report.html") as visit:
        page = visit.ready()
        assert page.evaluate("document.scripts.length") == 3
        assert page.evaluate("document.images.length") == 0
        assert page.locator("#trade-filter [name=symbol] option").all_text_contents() == ["all symbols", *HOSTILE]
        assert page.locator("#weights .legend button").all_text_contents() == list(HOSTILE)
        page.evaluate(
            "Plotly.Fx.hover('chart-weights', [0, 1, 2, 3].map((i) => ({curveNumber: i, pointNumber: 5})), 'xy')"
        )
        hover = page.text_content("#chart-weights .hoverlayer")
        assert all(name in hover.replace("\u00a0", " ") for name in HOSTILE), hover
        assert page.evaluate("document.querySelectorAll('main a').length") == 0
        assert HOSTILE[1] in page.text_content("#config")
        assert all(name in page.text_content("#data") for name in HOSTILE[:3])
        assert visit.said == []


# -- pictures, command line ------------------------------------------------------------------------------------------


def test_picture_has_four_panels_and_the_size_of_a_slide(hostile: Backtest, result: Backtest, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    before = {k: v for k, v in matplotlib.rcParams.items() if k != "backend"}
    write_picture(tmp_path / "report.png", result)
    data = (tmp_path / "report.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (1920, 1080)
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        write_picture(tmp_path / "report.svg", hostile)
        write_picture(tmp_path / "plain.svg", result)
    text, plain = ((tmp_path / name).read_text() for name in ("report.svg", "plain.svg"))
    assert text.count('<g id="axes_') == 4
    assert "Synthetic market" in text
    assert "<script" not in text
    for words in ("SPY, QQQ, IWM", f"{result.dynamic.first:%Y-%m-%d} to 2012-12-31", "Loans at", "slippage 2 bps",
                  "Sharpe ratio over", "−2 %, brake starts", "−5 %, brake full,", "constant"):  # fmt: skip
        assert words in plain, words
    assert {k: v for k, v in matplotlib.rcParams.items() if k != "backend"} == before
    with pytest.raises(ValueError, match=r"report\.txt does not end as a picture does: give"):
        write_picture(tmp_path / "report.txt", result)


COMMAND = ["--end", "2011-03-31", "--cov-lookback", "60", "--min-hist", "60", "--vol-lookback", "20"]


def test_files_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*COMMAND, "--csv", "", "--json", "", "--html", "r.html", "--png", "r.png", "--quiet"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"r.html", "r.png"}
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert main([*COMMAND, "--png", "r.doc"]) == 2
    assert "r.doc does not end as a picture does" in capsys.readouterr().err
    assert main([*COMMAND, "--html", "no/r.html"]) == 2
    assert "folder no does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "module", "cure"), [
    ("--html", "plotly", "report"), ("--confidence", "arch", "sweep"), ("--png", "matplotlib", "plot"),
])  # fmt: skip
def test_a_missing_library_costs_one_line(
    flag: str,
    module: str,
    cure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == module else find(name, *rest))
    monkeypatch.chdir(tmp_path)
    value = [] if flag == "--confidence" else ["file.png"]
    assert main([*COMMAND, flag, *value]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(rf"error: .*{module}.*pip install 'backtrader-riskoverlay\[{cure}\]'\n", error), error
    assert not list(tmp_path.iterdir())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colours_and_a_bar_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def shown(*flags: str) -> str:
        monkeypatch.setattr(sys, "stdout", Terminal())
        assert main([*COMMAND, "--csv", "", "--json", "", *flags]) == 0
        return str(sys.stdout.getvalue())  # type: ignore[attr-defined]

    colour = re.compile(r"\x1b\[[\d;]*3[0-7]m")
    loud, plain = shown(), shown("--no-color")
    assert colour.search(loud)
    for text in (loud, plain):
        lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).replace("\r", "\n").splitlines()
        assert any(re.match(r"backtest \[#+\.*\] [\d,]+/[\d,]+ \d+:\d\d\b", one) for one in lines)
        assert any("Sharpe ratio" in one for one in lines)
        assert max(map(len, lines)) <= 80
    assert not colour.search(plain)
    assert shown("--quiet") == ""


def test_packed_keeps_seven_digits() -> None:
    values = np.array([1.2345678, np.nan, -9e8])
    spec = packed(values)
    back = np.frombuffer(base64.b64decode(spec["bdata"]), f"<{spec['dtype']}")
    assert np.allclose(back, values, rtol=1e-7, equal_nan=True)


def test_the_breakeven_spread_where_it_was_searched(result: Backtest) -> None:
    found = Breakeven(True, {"growth": 244, "excess_sharpe": BEHIND}, {})
    assert breakeven_in_words(found) in html.unescape(report_html(result, spread=found))
    assert "no more than base, by growth" not in report_html(result)
