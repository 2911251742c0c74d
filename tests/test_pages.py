"""The kinds of page: what each says first, spans of time, and that no words stand on a curve."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markets import panel as made_by_hand
from visits import Visit

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, load
from riskoverlay.studies.cli import main
from riskoverlay.studies.judgement import Interval
from riskoverlay.studies.ladder import LEGS, Ladder, ladder
from riskoverlay.studies.report import (
    CRISES,
    Span,
    accounts,
    check_spans,
    crises,
    page_spans,
    parse_span,
    report_html,
    spans_summary,
    walk_html,
    write_report,
    write_walk,
)
from riskoverlay.studies.report.words import backtest_words, extra_costs, ladder_words, sweep_words, walk_words
from riskoverlay.studies.sweep import Judged, heat, judge, sweep, sweep_summary
from riskoverlay.studies.sweep.space import parse_dimension
from riskoverlay.studies.walkforward import Walk, walk_summary, walkforward
from riskoverlay.studies.workbench import growth_in_words, write_json
from riskoverlay.studies.workbench.parameters import Config, make_config
from riskoverlay.studies.workbench.portfolios import Backtest, backtest

QUICK = {"cov_lookback": 40, "min_hist": 40, "vol_lookback": 10, "calendar": None}
SYMBOLS = ["SPY", "TLT", "GLD"]
GRID = ("target_vol=0.05,0.20", "lev_max=1.5,2.0,3.0")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load("sample", symbols=SYMBOLS, end="2012-03-31")


@pytest.fixture(scope="module")
def config() -> Config:
    return make_config({**QUICK, "risk_free": 0.01})


@pytest.fixture(scope="module")
def result(panel: Panel, config: Config) -> Backtest:
    return backtest(panel, config)


@pytest.fixture(scope="module")
def judged(panel: Panel, config: Config) -> Judged:
    pytest.importorskip("arch", reason="the extra `sweep` is not installed")
    return judge(sweep(panel, config, [parse_dimension(text) for text in GRID], workers=1), draws=50)


@pytest.fixture(scope="module")
def walk(panel: Panel, config: Config) -> Walk:
    return walkforward(panel, config, [parse_dimension(GRID[0])], train=9, test=4, workers=1)


@pytest.fixture(scope="module")
def climbed(panel: Panel, config: Config) -> Ladder:
    return ladder(panel, config, workers=1)


@pytest.fixture(scope="module")
def losing() -> Backtest:
    """Prices that fall by a third a year."""
    rng = np.random.default_rng(7)
    closes = {name: 100.0 * np.exp(np.cumsum(rng.normal(-0.0016, 0.006, 500))) for name in "ABC"}
    return backtest(made_by_hand(**closes), make_config(QUICK))


def sentences(page: str) -> list[str]:
    """Text of every paragraph, and of what stands under a chart's title."""
    return [html.unescape(re.sub(r"<[^>]*>", "", one)) for one in re.findall(r"<p\b[^>]*>(.*?)</p>", page, re.DOTALL)]


# -- the first words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("growth", "said"), [
    (0.0512, "grew by 5.12 % a year"), (-0.0512, "lost 5.12 % a year"), (0.00004, "neither grew nor shrank"),
    (-0.00004, "neither grew nor shrank"), (0.00005001, "grew by 0.01 % a year"), (-1.0, "lost 100.00 % a year"),
    (float("nan"), "has no growth"),
])  # fmt: skip
def test_growth_as_a_verb(growth: float, said: str) -> None:
    assert growth_in_words(growth) == said


@pytest.mark.long
def test_a_losing_account_is_not_said_to_have_won(losing: Backtest) -> None:
    for run in losing.runs.values():
        assert run.statistics["growth"] < -0.1
        assert run.costs["end"] < run.costs["start"]
    first, second = backtest_words(losing)
    for name in ("Dynamic", "base"):
        lost = -losing.runs[name.lower()].statistics["growth"]
        assert f"{name} lost {100 * lost:.2f} % a year" in first
    assert "lost" in second
    for sentence in sentences(report_html(losing)):
        assert not re.search(r"\b(made|earned|gain|gained|grew|grows|won)\b", sentence), sentence


@pytest.mark.long
def test_the_ladder_of_a_losing_account_says_so(losing: Backtest) -> None:
    climbed = ladder(losing.panel, losing.config, workers=1)
    page = report_html(losing, ladder=climbed)
    assert "grew" not in "".join(sentences(page))


def priced(result: Backtest, ends: tuple[float, float], costs: tuple[float, float, float]) -> Backtest:
    """The same result with other ends, and costs of interest, slippage and commission: base pays nothing."""
    interest, slippage, commission = costs

    def run(one: Any, end: float, scale: float) -> Any:
        sessions = {**one.costs["sessions"], "interest": [scale * interest, 0.0]}
        paid = {"slippage": scale * slippage, "commission": scale * commission}
        return dataclasses.replace(one, costs={**one.costs, **paid, "end": end, "sessions": sessions})

    base, dynamic = run(result.base, ends[0], 0.0), run(result.dynamic, ends[1], 1.0)
    return dataclasses.replace(result, portfolios={**result.portfolios, "base": base, "dynamic": dynamic})


@pytest.mark.parametrize(("ends", "costs", "said"), [
    ((200e3, 190e3), (11e3, 2e3, 1e3),
     "costs took 14,000 more from dynamic, 11,000 of it loan interest, and that is more than the 10,000 by which it "
     "ended behind"),
    ((200e3, 150e3), (1e3, 8e3, 500.0),
     "costs took 9,500 more from dynamic, 8,000 of it slippage; it ended 50,000 behind base, and the rest is"),
    ((200e3, 250e3), (1e3, 2e3, 3e3),
     "dynamic ended 50,000 ahead of base, although costs took 6,000 more from dynamic, 3,000 of it commission"),
    ((200e3, 199e3), (0.0, 0.0, 0.0), "dynamic ended 1,000 behind base and paid no more in costs"),
    ((200e3, 200e3), (-50.0, 0.0, 0.0), "dynamic ended level with base and paid no more in costs"),
    ((200e3, 200e3), (0.0, -50.0, 0.0), "dynamic ended level with base and paid 50 less in costs"),
])  # fmt: skip
def test_the_first_sentence_says_why(
    result: Backtest, ends: tuple[float, float], costs: tuple[float, float, float], said: str
) -> None:
    assert said in backtest_words(priced(result, ends, costs))[0]


def test_extra_costs_are_those_of_the_accounts(result: Backtest) -> None:
    extra = extra_costs(result)
    assert list(extra.values()) == sorted(extra.values(), reverse=True)
    assert extra["commission"] == pytest.approx(result.dynamic.costs["commission"] - result.base.costs["commission"])
    assert extra["slippage"] == pytest.approx(result.dynamic.costs["slippage"] - result.base.costs["slippage"])
    assert extra["loan interest"] == pytest.approx(result.dynamic.interest[0] - result.base.interest[0])


def test_the_ladder_says_which_rung_costs_most(climbed: Ladder) -> None:
    first, second = ladder_words(climbed)
    changes = climbed.changes("dynamic")
    worst = int(np.nanargmin(changes))
    assert changes[worst] < -0.005
    assert climbed.steps[worst].rung.id.replace("_", " ") in first
    assert f"−{-changes[worst]:.2f} of Sharpe ratio" in first
    for leg in LEGS:
        assert f"{climbed.sharpes(leg)[0]:.2f} on paper and {climbed.sharpes(leg)[-1]:.2f}" in second.replace("−", "-")


def test_a_ladder_without_a_loss_says_so(climbed: Ladder) -> None:
    top = climbed.steps[0]
    flat = dataclasses.replace(climbed, steps=(top, dataclasses.replace(top, rung=climbed.steps[1].rung)))
    assert ladder_words(flat)[0] == "No single rung between paper and account costs dynamic anything."


@pytest.mark.parametrize(("own", "gain", "said"), [
    (1.2, (0.1, 0.4), "1.200, clearly above the 0.900 of base"), (1.2, (-0.1, 0.4), "1.200, not clearly above the"),
    (0.8, (-0.3, 0.1), "0.800, not clearly below the 0.900"), (0.8, (-0.3, -0.1), "0.800, clearly below the 0.900"),
])  # fmt: skip
def test_the_verdict_on_a_sweep_has_base_beside_it(
    judged: Judged, own: float, gain: tuple[float, float], said: str
) -> None:
    found = {
        "dynamic": Interval(own, 0.0, 2.0, 0.95), "base": Interval(0.9, 0.0, 2.0, 0.95),
        "difference": Interval(own - 0.9, *gain, 0.95),
    }  # fmt: skip
    intervals = {leg: {**judged.intervals[leg], "excess_sharpe": one} for leg, one in found.items()}
    first, second = sweep_words(dataclasses.replace(judged, intervals=intervals))
    assert first.startswith("The best of 6 tries (target_vol ")
    assert said in first
    assert f"{judged.luck:.2f}" in second


def test_the_verdict_on_a_walk_forward_is_what_choosing_was_worth(walk: Walk) -> None:
    first, second = walk_words(walk)
    own, given, best = (walk.legs[name]["excess_sharpe"] for name in ("walk_forward", "unchosen", "in_sample_winner"))
    assert f"{'added' if own > given else 'cost'} {abs(own - given):.3f} of Sharpe ratio" in first
    assert growth_in_words(walk.legs["walk_forward"]["growth"]) in first
    assert f"{best:.3f}" in second.replace("−", "-")


# -- spans -------------------------------------------------------------------------------------------------------------


def test_a_span_is_read() -> None:
    assert parse_span("Covid=2020-02-19:2020-03-23") == Span("Covid", date(2020, 2, 19), date(2020, 3, 23))
    assert parse_span("a=b =2020-02-19:2020-03-23").name == "a=b"
    for span in CRISES:
        assert parse_span(str(span)) == span


@pytest.mark.parametrize("text", [
    "Covid", "Covid=2020-02-19", "2020-02-19:2020-03-23", "Covid=19/02/2020:23/03/2020", "Covid=2020-02-30:2020-03-23",
    "Covid=20200219:20200323", "Covid=2020-03-23:2020-02-19", "Covid=2020-02-19:2020-02-19", "=2020-02-19:2020-03-23",
    "Covid=2020-02-19:2020-03-23,", "",
])  # fmt: skip
def test_what_is_no_span_is_refused_with_a_cure(text: str) -> None:
    with pytest.raises(InputError, match=r"span=.*: give (name|dates)"):
        parse_span(text)


def test_crises_are_those_within_the_sessions() -> None:
    covid = next(span for span in CRISES if span.name == "Covid")
    assert covid in crises(pd.DatetimeIndex(["2020-02-19", "2020-03-23"]))
    assert covid not in crises(pd.DatetimeIndex(["2020-02-20", "2020-03-23"]))
    assert covid not in crises(pd.DatetimeIndex(["2020-02-19", "2020-03-20"]))
    assert list(CRISES) == sorted(CRISES, key=lambda span: span.first)


def test_a_span_is_from_close_to_close(result: Backtest) -> None:
    """From a day without a close, a Saturday, the close before it counts."""
    shown = accounts(result)
    span = Span("autumn", date(2011, 9, 3), date(2011, 11, 25))
    (found,) = spans_summary([span], shown)
    assert (found["from"], found["to"]) == (pd.Timestamp("2011-09-02"), pd.Timestamp("2011-11-25"))
    for one in shown:
        value = one.run.value["2011-09-02":"2011-11-25"]
        assert found[one.name]["return"] == pytest.approx(value.iloc[-1] / value.iloc[0] - 1.0)
        assert found[one.name]["max_drawdown"] == pytest.approx((value / value.cummax()).min() - 1.0)


def test_a_span_that_is_not_covered_shows_what_is(result: Backtest) -> None:
    shown = accounts(result)
    first, last = shown[0].before, result.panel.sessions[-1]
    whole, before, after = spans_summary(
        [Span(name, *map(date.fromisoformat, days)) for name, days in {
            "whole": ("2009-01-01", "2020-01-01"), "before": ("2009-01-01", f"{first:%Y-%m-%d}"),
            "after": (f"{last:%Y-%m-%d}", "2020-01-01"),
        }.items()],
        shown,
    )  # fmt: skip
    assert (whole["from"], whole["to"]) == (first, last)
    assert whole["dynamic"]["return"] == pytest.approx(shown[2].growth.iloc[-1] - 1.0)
    assert whole["dynamic"]["max_drawdown"] == pytest.approx(result.dynamic.statistics["max_drawdown"])
    for empty in (before, after):
        assert empty["from"] is None and np.isnan(empty["dynamic"]["return"])


def test_a_span_without_prices_is_refused(panel: Panel) -> None:
    day = panel.sessions[0].date()
    check_spans([Span("early", date(1990, 1, 1), panel.sessions[1].date())], panel.sessions)
    with pytest.raises(InputError, match=r"fewer than two closes among the prices, 2010-01-04 to .*: give dates"):
        check_spans([Span("early", date(1990, 1, 1), day)], panel.sessions)


def test_no_crisis_of_history_happened_on_a_synthetic_market(result: Backtest) -> None:
    shown, mine = accounts(result), Span("mine", date(2011, 3, 1), date(2011, 4, 1))
    assert page_spans(result.panel, shown) == []
    assert [one["name"] for one in page_spans(result.panel, shown, [mine])] == ["mine"]
    real = dataclasses.replace(result.panel, synthetic=False)
    known = ["flash crash, Greece", "euro crisis, US downgrade", "mine"]
    assert [one["name"] for one in page_spans(real, shown, [mine])] == known
    assert '<section id="crises">' not in report_html(result)
    assert "euro crisis, US downgrade" in report_html(dataclasses.replace(result, panel=real))


SHORT = ["--symbols", ",".join(SYMBOLS), "--end", "2011-06-30", "--cov-lookback", "40", "--min-hist", "40"]


def test_the_command_shows_spans_in_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly")
    monkeypatch.chdir(tmp_path)
    spans = ["--span", "spring=2011-03-01:2011-04-29", "--span", "all=2010-01-01:2012-01-01"]
    assert main(["backtest", *SHORT, "--csv", "", "--json", "b.json", "--html", "b.html", *spans]) == 0
    stored = json.loads(Path("b.json").read_text())["spans"]
    assert [stored[0][key] for key in ("name", "from", "to")] == ["spring", "2011-03-01", "2011-04-29"]
    page = Path("b.html").read_text()
    assert f'<data value="{stored[0]["dynamic"]["return"]!r}" data-key="spans.0.dynamic.return">' in page
    assert main(["backtest", *SHORT, "--span", "spring=2011-03-01"]) == 2
    assert "span='spring=2011-03-01' is no span: give name=" in capsys.readouterr().err
    assert main(["backtest", *SHORT, "--span", "old=1990-01-01:1990-02-01"]) == 2
    assert "fewer than two closes" in capsys.readouterr().err
    assert main(["ladder", *SHORT, *spans]) == 2
    assert "is shown in no file: give --html page.html, too" in capsys.readouterr().err


# -- every kind of page ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(
    result: Backtest, losing: Backtest, climbed: Ladder, judged: Judged, walk: Walk, tmp_path_factory: Any
) -> dict[str, Path]:
    pytest.importorskip("plotly")
    folder = tmp_path_factory.mktemp("pages")
    paths = {name: folder / f"{name}.html" for name in ("backtest", "losing", "ladder", "sweep", "walk")}
    best = backtest(judged.sweep.panel, judged.sweep.config_of(judged.winner))
    mine = [Span("mine", date(2011, 3, 1), date(2011, 4, 1))]
    write_report(paths["backtest"], result)
    write_report(paths["losing"], losing)
    write_report(paths["ladder"], result, ladder=climbed)
    write_report(paths["sweep"], best, sweep=judged)
    write_walk(paths["walk"], walk, spans=mine)
    return paths


KINDS = ("backtest", "losing", "ladder", "sweep", "walk")
LOOKS = [
    (390, "dark"),
    *(pytest.param(*look, marks=pytest.mark.long) for look in ((1280, "light"), (390, "light"), (1280, "dark"))),
]

WORDS_ON_BARS = """() => {
  const box = (node) => node.getBoundingClientRect();
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const found = [];
  for (const chart of document.querySelectorAll(".chart")) {
    const texts = [...chart.querySelectorAll(".annotation-text, text.bartext")].filter((t) => t.textContent);
    const bars = [...chart.querySelectorAll(".bars .point > path")].map(box).filter((b) => b.width > 0);
    const plot = box(chart);
    for (const text of texts) {
      const own = box(text);
      if (bars.some((bar) => meet(own, bar))) found.push(`${chart.id}: ${text.textContent} on a bar`);
      if (texts.some((t) => t !== text && meet(own, box(t)))) found.push(`${chart.id}: ${text.textContent} on a text`);
      if (own.left < plot.left || own.right > plot.right) found.push(`${chart.id}: ${text.textContent} cut off`);
    }
  }
  return found;
}"""


def words_on_charts(page: Any, kind: str) -> list[str]:
    """What is wrong with the words of charts; those of curves have none inside: levels are named in the legend."""
    curves = "[...document.querySelectorAll('.chart')].filter((box) => box.querySelector('.js-line, .js-fill'))"
    words = "[...box.querySelectorAll('.annotation, text.bartext')]"
    found: list[str] = page.evaluate(f"{curves}.flatMap((box) => {words}).map((text) => text.textContent)")
    if kind == "ladder":  # a label and a figure for each of 15 bars, twice
        assert page.evaluate(f"[...document.querySelectorAll('.chart')].flatMap((box) => {words}).length") == 60
    return found + page.evaluate(WORDS_ON_BARS)


@pytest.mark.ci
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("kind", [
    kind if kind in ("losing", "sweep") else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS
])  # fmt: skip
def test_every_kind_is_drawn_alone_in_its_width_and_no_words_on_bars(
    browser: Any, pages: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    assert pages[kind].stat().st_size < 6e6
    with Visit(browser, pages[kind], width, scheme) as visit:
        page = visit.ready()
        empty = page.evaluate("""[...document.querySelectorAll(".chart")].filter(
            (box) => !box.querySelector(".trace path, .point path, path.js-fill, .heatmaplayer image, .hm image"))
            .map((box) => box.id)""")
        assert empty == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("document.querySelectorAll('.chart').length") >= 4
        assert page.evaluate(
            "document.querySelectorAll('nav a').length === document.querySelectorAll('section').length"
        )
        assert words_on_charts(page, kind) == []
        assert visit.said == []


def test_what_a_page_is_about_comes_first(pages: dict[str, Path]) -> None:
    wanted = {
        "backtest": ("Dynamic against base", ["figures", "attribution", "time"]),
        "ladder": ("From paper to account", ["ladder", "figures"]),
        "sweep": ("The best of 6 tries", ["verdict", "tries", "figures"]),
        "walk": ("Walk-forward: chosen on the past, traded next", ["verdict", "windows", "time"]),
    }
    for kind, (heading, first) in wanted.items():
        page = pages[kind].read_text(encoding="utf-8")
        assert re.findall(r"<h1>(.*?)</h1>", page) == [heading]
        assert f"<title>{heading}, 20" in page
        assert re.findall(r'<section id="(\w+)">', page)[: len(first)] == first


def keyed(page: str) -> dict[str, float]:
    """Exact value of every figure of a page that names its place in the summary."""
    found = re.findall(r'<data value="([^"]*)" data-key="([^"]*)">', page)
    return {html.unescape(key): float(value) for value, key in found}


def at(content: Any, key: str) -> Any:
    for name in key.split("."):
        content = content[int(name)] if isinstance(content, list) else content[name]
    return content


def test_figures_of_a_sweep_are_those_of_its_summary(pages: dict[str, Path], judged: Judged, tmp_path: Path) -> None:
    write_json(tmp_path / "s.json", sweep_summary(judged))
    content = json.loads((tmp_path / "s.json").read_text())
    page = pages["sweep"].read_text(encoding="utf-8")
    found = {key: value for key, value in keyed(page).items() if key.startswith(("judgement.", "tries."))}
    assert {"judgement.intervals.dynamic.excess_sharpe.estimate", "judgement.intervals.base.growth.low"} <= set(found)
    assert {f"tries.{i}.excess_sharpe" for i in range(6)} <= set(found)
    for key, value in found.items():
        assert value == at(content, key), key
    for line in content["judgement"]["in_words"]:
        assert html.escape(line) in page


def test_figures_of_a_walk_forward_are_those_of_its_summary(pages: dict[str, Path], walk: Walk, tmp_path: Path) -> None:
    write_json(tmp_path / "w.json", walk_summary(walk))
    content = json.loads((tmp_path / "w.json").read_text())
    found = keyed(pages["walk"].read_text(encoding="utf-8"))
    assert {"walk_forward.growth", "constant.excess_sharpe", "unchosen.max_drawdown", "windows.0.in_sample",
            "windows.0.account", "costs.slippage"} <= set(found)  # fmt: skip
    assert {f"spans.0.{name}.return" for name in walk.legs} <= set(found)
    for key, value in found.items():
        assert key.startswith("spans.") or value == at(content, key), key
    assert "Configuration" in walk_html(walk)


def test_a_map_has_the_sharpe_ratio_of_a_year(judged: Judged) -> None:
    found = heat(judged)
    assert found
    rows, columns, cells = found
    assert {rows.name, columns.name} == {"target_vol", "lev_max"}
    assert np.nanmax(cells) == pytest.approx(judged.sweep.statistics[judged.best]["excess_sharpe"])
    assert np.nanmax(cells) == pytest.approx(judged.intervals["dynamic"]["excess_sharpe"].estimate)
