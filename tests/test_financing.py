"""Terms of a loan: what they come to by hand, in both brokers and the twin, in a configuration; and the ways to pay."""

from __future__ import annotations

import json
import math
import re
import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markets import QUICK, frame, parameters, random_market

from riskoverlay.errors import InputError, RiskOverlayError
from riskoverlay.feeds import Panel, PanelFeed, sample_rate
from riskoverlay.strategies import (
    PRESETS,
    SHORTHAND,
    AccountTerms,
    Charges,
    Financing,
    MarginAccount,
    box_spread,
    flat,
    funds,
    futures,
    ibkr_pro,
    marginal_interest,
    open_account,
    retail,
)
from riskoverlay.studies.cli import main
from riskoverlay.studies.financing import (
    GIVEN,
    LEGS,
    Route,
    Routes,
    breakeven,
    charged,
    distance_to_call,
    financing_routes,
    routes_conclusion,
    routes_frame,
    routes_rows,
    routes_summary,
)
from riskoverlay.studies.ladder import ladder
from riskoverlay.studies.report import report_html
from riskoverlay.studies.sweep import parse_dimension, sweep
from riskoverlay.studies.sweep.rows import key_of
from riskoverlay.studies.workbench import make_config, simulate
from riskoverlay.studies.workbench.captions import costs_in_words
from riskoverlay.studies.workbench.loans import account_terms, financing_of
from riskoverlay.studies.workbench.outputs import write_json
from riskoverlay.studies.workbench.portfolios import backtest
from riskoverlay.studies.workbench.runs import UNLEVERED
from riskoverlay.studies.workbench.summaries import backtest_summary, read_config
from riskoverlay.studies.workbench.twins import Twins, check_twin

ROOT = Path(__file__).parents[1]
DAY = 738_000
"""An ordinal."""

TIERED = Financing(
    0.05, ((3_000.0, 0.01), (8_000.0, 0.2), (math.inf, 0.1)), day_count=360, cash_spread=-0.01, cash_free=2_000.0
)
"""Tiers and free cash that an account of 10,000 meets."""

LEVERED = {**QUICK, "lev_min": 1.8, "dd_min_scale": 1.0}
"""Levered all the time, so that interest is due."""


def with_bill(panel: Panel) -> Panel:
    return replace(panel, rates={"irx": sample_rate(panel.sessions)})


def a_night(terms: Financing, balance: float, shorts: float = 0.0) -> float:
    return Charges(terms).interest(balance, DAY, DAY + 1, shorts)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_the_brokers_published_example_to_the_cent() -> None:
    # Interactive Brokers: 600,000 at BM 5.32 %: (100,000 · 6.82 % + 500,000 · 6.32 %) / 360 = 106.72 a day.
    account = MarginAccount(financing=ibkr_pro(0.0532))  # type: ignore[call-arg]
    assert round(account.interest(600_000.0, DAY, DAY + 1), 2) == 106.72


@pytest.mark.parametrize(("debit", "by_hand"), [
    (50_000.0, 50_000 * 0.065),
    (100_000.0, 6_500.0),
    (100_001.0, 6_500.0 + 0.06),
    (1_000_000.0, 6_500 + 900_000 * 0.06),
    (60_000_000.0, 6_500 + 54_000 + 49_000_000 * 0.0575 + 10_000_000 * 0.055),
])  # fmt: skip
def test_tiers_are_marginal_and_a_year_has_360_days(debit: float, by_hand: float) -> None:
    assert a_night(ibkr_pro(0.05), debit) == pytest.approx(by_hand / 360, rel=1e-12)
    assert Charges(ibkr_pro(0.05)).interest(debit, DAY, DAY + 3) == pytest.approx(3 * by_hand / 360, rel=1e-12)


def test_rate_and_cash_have_floors() -> None:
    falling = pd.Series([0.01, -0.04], pd.to_datetime(["2021-07-01", "2021-07-05"]))
    start = pd.Timestamp("2021-07-04").toordinal()
    terms = ibkr_pro(falling)
    # Sunday at 1 % + 1.5 %, Monday at −4 % + 1.5 %: never below 0.
    assert Charges(terms).interest(1_000.0, start, start + 2) == pytest.approx(1_000 * 0.025 / 360, rel=1e-12)
    assert a_night(replace(terms, floor=0.005), 1_000.0) == pytest.approx(1_000 * 0.005 / 360, rel=1e-12)
    assert Charges(terms).interest(-20_000.0, start, start + 2) == pytest.approx(-10_000 * 0.005 / 360, rel=1e-12)
    assert a_night(replace(terms, cash_floor=0.002), -20_000.0) == pytest.approx(-10_000 * 0.002 / 360, rel=1e-12)


@pytest.mark.parametrize(("balance", "by_hand"), [(-9_999.0, 0.0), (-10_000.0, 0.0), (-15_000.0, -5_000 * 0.045)])
def test_the_first_of_idle_cash_earns_nothing(balance: float, by_hand: float) -> None:
    assert a_night(ibkr_pro(0.05), balance) == pytest.approx(by_hand / 360, rel=1e-12, abs=1e-15)


def test_shorts_pay_a_fee_and_get_a_rebate() -> None:
    terms = Financing(0.05, short_fee=0.01, short_rebate=-0.02, day_count=360)
    assert a_night(terms, 0.0, 7_200.0) == pytest.approx(7_200 * (0.01 - 0.03) / 360, rel=1e-12)
    assert a_night(replace(terms, short_rebate=None), 0.0, 7_200.0) == pytest.approx(0.2, rel=1e-12)
    assert a_night(replace(terms, short_rebate=-0.06), 0.0, 7_200.0) == pytest.approx(0.2, rel=1e-12)  # never below 0
    assert a_night(Financing(0.05), 0.0, 7_200.0) == 0.0


@pytest.mark.parametrize(("made", "loan", "cash"), [
    (ibkr_pro(0.04), 0.055 / 360, 0.035 * 40 / 50 / 360),
    (retail(0.04), 0.12 / 360, 0.0),
    (box_spread(0.04), 0.043 / 365, 0.035 / 365),
    (futures(0.04), 0.046 / 365, 0.04 / 365),
    (funds(0.04), 0.0529 / 365, 0.035 / 365),
    (flat(0.06, 0.01), 0.06 / 365, 0.01 / 365),
    (flat(0.06, 0.01, 360), 0.06 / 360, 0.01 / 360),
    (retail(0.04, 0.05), 0.09 / 360, 0.0),
    (box_spread(0.04, 0.01), 0.05 / 365, 0.035 / 365),
    (futures(0.04, 0.01), 0.05 / 365, 0.04 / 365),
    (funds(0.04, 0.001, 0.002), 0.043 / 365, 0.035 / 365),
])  # fmt: skip
def test_presets_charge_what_their_pages_say(made: Financing, loan: float, cash: float) -> None:
    assert a_night(made, 50_000.0) == pytest.approx(50_000 * loan, rel=1e-12)
    assert a_night(made, -50_000.0) == pytest.approx(-50_000 * cash, rel=1e-12)


@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9))
def test_interest_rises_with_the_debit_and_has_no_steps(one: float, other: float) -> None:
    bounds, nights = [1e3, 1e5, math.inf], [3e-4, 2e-4, 1e-4]
    low, high = sorted((one, other))
    more = marginal_interest(high, bounds, nights) - marginal_interest(low, bounds, nights)
    assert 1e-4 * (high - low) - 1e-9 * high <= more <= 3e-4 * (high - low) + 1e-9 * high


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "said"), [
    ({"tiers": ()}, r"tiers='\(\)' do not rise from above 0 to infinity"),
    ({"tiers": ((100.0, 0.01),)}, "do not rise from above 0 to infinity"),
    ({"tiers": ((0.0, 0.01), (math.inf, 0.01))}, "do not rise"),
    ({"tiers": ((200.0, 0.01), (100.0, 0.01), (math.inf, 0.01))}, "do not rise"),
    ({"tiers": 0.05}, "are no tiers"),
    ({"tiers": ((math.inf, 1.5),)}, r"spread=1.5 is not a spread: per cent\? give 0.015"),
    ({"cash_spread": -0.5}, r"cash_spread=-0.5 is not a spread: per cent\? give 0.005"),
    ({"cash_spread": math.nan}, "cash_spread=nan is not a spread: give an annual fraction"),
    ({"short_rebate": "0.01"}, "short_rebate='0.01' is not a spread"),
    ({"short_fee": -0.01}, "short_fee=-0.01 is not a fee"),
    ({"short_fee": 3.0}, r"short_fee=3.0 is above 1: per cent\? give 0.03"),
    ({"floor": 2.0}, r"floor=2.0 is above 1: per cent\? give 0.02"),
    ({"cash_floor": math.nan}, "cash_floor=nan is not a rate"),
    ({"cash_free": -1.0}, "cash_free=-1.0 is not an amount"),
    ({"day_count": 362}, "day_count=362 is no day count"),
])  # fmt: skip
def test_terms_out_of_bounds_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Financing(0.05, **changes)


@pytest.mark.parametrize(("arguments", "said"), [
    ({"financing": ibkr_pro(0.05), "borrow_rate": 0.06}, "borrow_rate=0.06 is given beside financing"),
    ({"financing": ibkr_pro(0.05), "cash_rate": 0.01}, "cash_rate=0.01 is given beside financing"),
    ({"financing": ibkr_pro(0.05), "day_count": 360}, "day_count=360 is given beside financing"),
    ({"financing": ibkr_pro(0.05), "borrow_rate": pd.Series({"2020-01-01": 0.05})}, "is given beside financing"),
    ({"financing": "ibkr_pro"}, r"is no Financing: give e.g. ibkr_pro\(benchmark=0.04\)"),
    ({"financing": ibkr_pro()}, "financing has no benchmark: give an annual fraction or a dated series"),
    ({"financing": ibkr_pro(4.0)}, r"benchmark=4.0 is not a rate: per cent\? give 0.04"),
    ({"financing": ibkr_pro("irx")}, "benchmark='irx' is no rate"),
])  # fmt: skip
def test_an_account_has_one_loan_with_a_benchmark(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        MarginAccount(**arguments)


# -- in both brokers ---------------------------------------------------------------------------------------------------


class Orders(bt.Strategy):
    """Sends orders on bars: bar -> list of (feed, size)."""

    params: Any = (("orders", {}),)

    def next(self) -> None:
        for feed, size in self.p.orders.get(len(self) - 1, ()):
            self.buy(self.datas[feed], size=size) if size > 0 else self.sell(self.datas[feed], size=-size)


def account_of(orders: dict[int, Any], *frames: pd.DataFrame, **account: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for i, one in enumerate(frames):
        cerebro.adddata(PanelFeed(dataname=one, name=f"f{i}"))
    broker = open_account(cerebro, **{"cash": 10_000.0, "slippage_bps": 0.0, "commission_bps": 0.0, **account})
    cerebro.addstrategy(Orders, orders=orders)
    cerebro.run()
    return broker


def interest_of(broker: Any) -> float:
    return float(sum(broker.d_credit.values()))


def test_both_brokers_charge_the_same_on_the_debit_of_a_long_account() -> None:
    rng = np.random.default_rng(1)
    frames = [frame(100 * np.exp(np.cumsum(rng.normal(0, 0.004, 200)))) for _ in range(3)]
    orders = {i: [(i % 3, int(rng.integers(-5, 16)) or 1)] for i in range(1, 190, 3)}
    index = frames[0].index
    rates = pd.Series(np.linspace(0.01, 0.06, 10), index[::20] - pd.Timedelta(days=1))
    tiers = ((3_000.0, 0.01), (6_000.0, 0.2), (math.inf, 0.1))
    terms = replace(TIERED, benchmark=rates, tiers=tiers, cash_spread=None)
    ours = account_of(orders, *frames, cash=20_000.0, financing=terms)
    theirs = account_of(orders, *frames, cash=20_000.0, financing=terms, broker="stock")
    assert ours.getcash() < -6_000.0  # the last tier is reached
    assert ours.getvalue() == pytest.approx(theirs.getvalue(), rel=1e-12)
    assert interest_of(ours) == pytest.approx(interest_of(theirs), rel=1e-9)
    one_tier = account_of(orders, *frames, cash=20_000.0, financing=replace(terms, tiers=((math.inf, 0.01),)))
    assert interest_of(ours) > 1.2 * interest_of(one_tier)


@pytest.mark.parametrize(("changes", "said"), [
    ({"cash_spread": 0.0}, "financing.cash_spread=0.0 cannot be charged by backtrader's own broker"),
    ({"short_fee": 0.01}, "financing.short_fee=0.01 cannot be charged"),
    ({"short_rebate": 0.0}, "financing.short_rebate=0.0 cannot be charged"),
])  # fmt: skip
def test_what_the_stock_broker_cannot_charge_is_refused_there(changes: dict[str, Any], said: str) -> None:
    terms = Financing(0.05, **changes)
    with pytest.raises(InputError, match=said):
        account_of({}, frame([100.0] * 5), financing=terms, broker="stock")
    cerebro = bt.Cerebro(stdstats=False)  # without our door it is refused as soon as something is charged
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 5), name="f"))
    cerebro.broker.addcommissioninfo(MarginAccount(financing=terms))  # type: ignore[call-arg]
    cerebro.addstrategy(Orders, orders={1: [(0, 150)]})
    with pytest.raises(InputError, match=said):
        cerebro.run()


def test_a_short_account_night_by_night() -> None:
    closes = np.linspace(100.0, 90.0, 40)
    bars = frame(closes)
    terms = Financing(
        0.03, ((math.inf, 0.0),), short_fee=0.02, short_rebate=-0.01, cash_spread=-0.01, cash_free=1_000.0
    )
    broker = account_of({1: [(0, -60)]}, bars, financing=terms)
    cash, charged_ = 10_000.0, 0.0
    for t, (before, now) in enumerate(pairwise(bars.index), 1):
        days = (now - before).days
        short = 60 * closes[t - 1] if t > 2 else 0.0
        idle = cash - short - 1_000.0
        interest = (short * (0.02 - 0.02) - idle * 0.02) * days / 365
        cash, charged_ = cash - interest, charged_ + interest
        if t == 2:
            cash += 60 * bars.open.iloc[2]
    assert interest_of(broker) == pytest.approx(charged_, rel=1e-9)
    dearer = account_of({1: [(0, -60)]}, bars, financing=replace(terms, short_fee=0.05))
    assert interest_of(dearer) > interest_of(broker)


@pytest.mark.parametrize("account", [
    {}, {"borrow_rate": 0.08, "cash_rate": 0.02, "day_count": 360},
    {"borrow_rate": pd.Series({"2019-01-01": 0.01, "2020-02-03": 0.09}), "cash_rate": 0.03},
])  # fmt: skip
def test_the_shorthand_is_flat(account: dict[str, Any]) -> None:
    given_ = {"borrow_rate": AccountTerms.borrow_rate, "cash_rate": AccountTerms.cash_rate, **account}
    orders = {1: [(0, 180)], 20: [(0, -120)]}
    bars = frame(np.linspace(100, 110, 60))
    one, other = account_of(orders, bars, **account), account_of(orders, bars, financing=flat(**given_))
    assert interest_of(one) == interest_of(other) != 0.0
    assert one.getvalue() == other.getvalue()


def test_a_feeds_scheme_has_no_loan_of_its_own() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PanelFeed(dataname=frame([100.0] * 5), name="f"))
    broker = open_account(cerebro, financing=ibkr_pro(0.05))
    broker.addcommissioninfo(MarginAccount(commission_bps=9.0), name="f")  # type: ignore[call-arg]
    cerebro.run()
    other = MarginAccount(financing=retail(0.05))  # type: ignore[call-arg]
    with pytest.raises(InputError, match="of feed f: the loan is the account's, not a feed's"):
        broker.addcommissioninfo(other, name="f")


# -- in a configuration ------------------------------------------------------------------------------------------------


def test_terms_are_written_and_read_again() -> None:
    terms = replace(TIERED, short_fee=0.01, short_rebate=-0.001, floor=0.001, cash_floor=0.0005, cash_benchmark=0.02)
    again = Financing.read(json.loads(json.dumps(terms.written())))
    assert vars(again) == vars(terms)
    assert Financing().written() == {}
    assert terms.written()["tiers"] == [
        {"up_to": 3_000.0, "spread": 0.01}, {"up_to": 8_000.0, "spread": 0.2}, {"spread": 0.1},
    ]  # fmt: skip


TERMS = """\
cash_spread = -0.005
cash_free = 2000
day_count = 360

[[tiers]]
up_to = 20_000
spread = 0.02

[[tiers]]
spread = 0.01
"""


def test_a_file_of_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(TERMS)
    flags = ["--end", "2012-06-29", "--lev-min", "1.8", "--csv", ""]
    assert main([*flags, "--financing", "mine.toml", "--json", "a.json"]) == 0
    assert "Loans at T-bill + 2 % to 20,000, + 1 % above a year, idle cash at T-bill − 0.5 %" in " ".join(
        capsys.readouterr().out.split()
    )
    stored = json.loads(Path("a.json").read_text())["config"]["financing"]
    assert stored == {
        "cash_spread": -0.005, "cash_free": 2000, "day_count": 360,
        "tiers": [{"up_to": 20_000.0, "spread": 0.02}, {"spread": 0.01}],
    }  # fmt: skip
    Path("mine.json").write_text(json.dumps(stored))
    Path("mine.toml").unlink()  # what was run is in the summary
    assert main(["--config", "a.json", "--csv", "", "--json", "b.json"]) == 0
    assert main([*flags, "--financing", "mine.json", "--json", "c.json"]) == 0
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes() == Path("c.json").read_bytes()
    # One way to say it gives way to another.
    assert main(["--config", "a.json", "--borrow-rate", "0.03", "--csv", "", "--json", "d.json"]) == 0
    assert json.loads(Path("d.json").read_text())["config"]["financing"] is None
    assert main(["--config", "d.json", "--financing", "retail", "--csv", "", "--json", "e.json"]) == 0
    assert json.loads(Path("e.json").read_text())["config"]["borrow_rate"] == "auto"
    growth = [json.loads(Path(f"{name}.json").read_text())["dynamic"]["growth"] for name in "ade"]
    assert growth[0] > growth[1] > growth[2]
    # An input is no output.
    assert main([*flags, "--financing", "mine.json", "--json", "mine.json"]) == 2
    assert "the file of the loan's terms" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "content", "said"), [
    ("cheap", None, "financing='cheap' is unknown: give one of ibkr_pro, retail, box_spread, futures, funds, flat, or"),
    ("retail:margin=3", None, "margin=3 is no argument of retail: give one of benchmark, spread"),
    ("retail:spread=8.0", None, "spread=8.0 is not a spread"),
    ("retail:spread=None", None, "spread=None is not a number"),
    ("retail:benchmark='sofr'", None, "benchmark='sofr' is unreadable: give a number as 0.05, or irx.0.001"),
    ("no.toml", None, "financing no.toml does not exist: give a file, or one of ibkr_pro"),
    ("t.toml", "tiers = [", "financing t.toml cannot be read"),
    ("t.json", "[1]", "financing t.json holds no terms"),
    ("t.json", '{"spreads": 1}', r"financing t.json: spreads=1 is not a parameter"),
    ("t.json", '{"tiers": [0.1]}', "financing t.json: tiers='\\[0.1\\]' are no tiers"),
    ("t.json", '{"tiers": [{"up_to": 5}]}', "has no spread"),
    ("t.json", '{"tiers": [{"upto": 5, "spread": 0.01}]}', "upto=5 is not a parameter: did you mean up_to"),
    ("t.json", '{"cash_free": "much"}', "cash_free='much' is not a number"),
    ("t.json", '{"floor": null}', "floor=None is not a number"),
    ("t.json", '{"day_count": true}', "day_count=True is not a number"),
])  # fmt: skip
def test_what_is_no_financing_is_refused_in_a_line(
    text: str, content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(text).write_text(content)
    assert main(["--financing", text, "--csv", "", "--json", ""]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    with pytest.raises(InputError, match=said):
        raise InputError(err, "")


def test_two_prices_for_one_loan_are_refused(capsys: Any) -> None:
    for name, value in (("borrow_rate", 0.05), ("cash_rate", "irx"), ("day_count", 360)):
        with pytest.raises(InputError, match=f"{name}=.* is given beside financing"):
            make_config({"financing": "retail", name: value})
        flag = f"--{name.replace('_', '-')}"
        assert main(["--financing", "retail", flag, str(value), "--csv", "", "--json", ""]) == 2
        assert "is given beside financing, which says it: give one of them" in capsys.readouterr().err


def test_the_bill_is_asked_for_and_missed(tmp_path: Path, sample: Panel, capsys: Any) -> None:
    bare = replace(sample.between(None, "2010-12-31"), rates={})
    with pytest.raises(InputError, match="benchmark='irx' needs dated rates"):
        account_terms(make_config({"financing": "retail"}), bare.rates)
    simulate(bare, make_config({**QUICK, "risk_free": 0.0, "financing": "retail:benchmark=0.02"}))
    for symbol in ("SPY", "TLT"):
        bare.frames[symbol].to_csv(tmp_path / f"{symbol}.csv", index_label="date")
    flags = ["--source", "csv", "--data-dir", str(tmp_path), "--symbols", "SPY,TLT", "--csv", "", "--json", ""]
    assert main([*flags, "--financing", "retail", "--offline", "--cache-dir", str(tmp_path / "cache")]) == 2
    assert "financing='irx'" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "said"), [
    ("ibkr_pro", "Loans (ibkr_pro) at T-bill + 1.5 % to 100,000, + 1 % to 1,000,000, + 0.75 % to 50,000,000, + 0.5 % "
     "above a year, idle cash at T-bill − 0.5 % above 10,000,"),
    ("futures", "Loans (futures) at T-bill + 0.6 % a year, idle cash at T-bill,"),
    ("retail:benchmark=0.02", "Loans (retail:benchmark=0.02) at 2 % + 8 % a year, idle cash at 0 %,"),
    ({"cash_benchmark": 0.01, "cash_spread": 0.0}, "Loans at T-bill a year, idle cash at 1 %,"),
])  # fmt: skip
def test_in_words(value: Any, said: str) -> None:
    config = {**make_config({"financing": value}), "prices": "adjusted"}
    assert costs_in_words(config).startswith(said)


@pytest.mark.parametrize(("changes", "cost"), [
    ({"benchmark": 0.06}, -1), ({"tiers": ((math.inf, 0.03),)}, 1), ({"tiers": ((1e3, 0.01), (math.inf, 0.03))}, 1),
    ({"floor": 0.2}, 1), ({"day_count": 360}, 1), ({"cash_benchmark": 0.01}, 1), ({"cash_spread": 0.0}, -1),
    ({"cash_floor": 0.05}, -1), ({"cash_free": 3_000.0}, 1),
])  # fmt: skip
def test_every_term_acts_on_the_account_and_on_its_twin(changes: dict[str, Any], cost: int, sample: Panel) -> None:
    panel = with_bill(sample.between(None, "2010-12-31").select(["SPY", "TLT"]))
    base = Financing(0.04, ((math.inf, 0.01),), cash_spread=-0.01)

    def paid(terms: Financing) -> float:
        total = 0.0
        for leverage in (1.8, 0.6):  # a loan, and idle cash
            config = make_config({**QUICK, "lev_min": leverage, "lev_max": leverage, "financing": terms})
            run = simulate(panel, config)
            check_twin(panel, config, run)
            total += run.costs["interest"]
        return total

    assert math.copysign(1.0, paid(replace(base, **changes)) - paid(base)) == cost


def random_terms(rng: np.random.Generator) -> Financing:
    bounds = np.sort(rng.uniform(50.0, 60_000.0, int(rng.integers(0, 4))))
    spreads = rng.uniform(-0.02, 0.2, len(bounds) + 1)
    days = pd.date_range("2019-12-01", periods=12, freq="20D")
    dated = pd.Series(rng.uniform(-0.05, 0.3, 12), days)
    return Financing(
        dated if rng.random() < 0.7 else 0.05,
        tuple(zip([*bounds, math.inf], spreads, strict=True)),
        day_count=int(rng.choice([360, 365])),
        cash_spread=float(rng.uniform(-0.05, 0.05)) if rng.random() < 0.7 else None,
        cash_free=float(rng.choice([0.0, 500.0])),
    )


def compare(seed: int) -> bool:
    rng = np.random.default_rng([20, seed])
    panel = random_market(rng, 110, int(rng.integers(1, 5)))
    config = {**make_config({name: value for name, value in parameters(rng).items() if name not in SHORTHAND})}
    config |= {"financing": random_terms(rng)}
    try:
        run = simulate(panel, config)
    except RiskOverlayError as error:
        with pytest.raises(type(error)) as other:
            Twins(panel).run(config)
        assert str(other.value) == str(error)
        return False
    check_twin(panel, config, run)
    return bool(run.costs["interest"])


def test_random_terms_in_random_markets() -> None:
    assert sum(compare(seed) for seed in range(25)) >= 12


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(10))
def test_five_hundred_random_terms(chunk: int) -> None:
    assert sum(compare(seed) for seed in range(100 + 50 * chunk, 150 + 50 * chunk)) >= 25


def test_a_rate_of_later_changes_nothing_before_it(sample: Panel) -> None:
    panel = with_bill(sample.between(None, "2010-12-31").select(["SPY", "TLT"]))
    config = make_config({**LEVERED, "financing": "ibkr_pro"})
    later = panel.sessions[150]
    other = replace(panel, rates={"irx": panel.rates["irx"].where(panel.rates["irx"].index <= later, 0.9)})
    one, two = (simulate(each, config).value for each in (panel, other))
    assert (one[:later] == two[:later]).all()
    assert one.iloc[-1] != two.iloc[-1]


def test_the_ladder_ends_in_the_account_with_its_terms(sample: Panel) -> None:
    panel = with_bill(sample.between(None, "2011-06-30").select(["SPY", "TLT"]))
    config = make_config({**LEVERED, "financing": "ibkr_pro"})
    climbed = ladder(panel, config, workers=1)
    run = simulate(panel, config)
    assert climbed.bottom.statistics == pytest.approx(run.statistics, rel=1e-12)
    assert climbed.steps[-1].changes
    free = simulate(panel, make_config({**LEVERED, "borrow_rate": 0.0, "cash_rate": 0.0}))
    assert climbed.steps[-2].legs["dynamic"].statistics["growth"] == pytest.approx(free.statistics["growth"], abs=1e-4)


def test_a_sweep_over_terms(sample: Panel) -> None:
    panel = with_bill(sample.between(None, "2011-06-30").select(["SPY", "TLT"]))
    config = make_config(LEVERED)
    found = sweep(panel, config, [parse_dimension("financing=ibkr_pro,retail")], workers=1)
    by_terms = {one.params["financing"]: one.returns for one in found.good}
    for name, returns in by_terms.items():
        np.testing.assert_allclose(returns, simulate(panel, {**config, "financing": name}).returns, atol=1e-12)
    assert by_terms["ibkr_pro"].sum() > by_terms["retail"].sum()


def test_dated_terms_are_written_found_and_run_again(short: Panel, tmp_path: Path) -> None:
    dated = pd.Series([0.01, 0.05], pd.to_datetime(["2009-12-01", "2010-09-01"]))
    config = make_config({**LEVERED, "financing": retail(dated)})
    terms = (retail(dated), retail(dated), retail(2 * dated), "retail", {"day_count": 360}, None)
    assert len({key_of({**config, "financing": one}) for one in terms}) == 5
    result = backtest(short, config)
    write_json(tmp_path / "a.json", backtest_summary(result))
    again = read_config(tmp_path / "a.json")
    write_json(tmp_path / "b.json", backtest_summary(backtest(short, again)))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


# -- the ways to pay ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short(sample: Panel) -> Panel:
    return with_bill(sample.between(None, "2011-06-30").select(["SPY", "TLT", "GLD"]))


@pytest.fixture(scope="module")
def routes(short: Panel) -> Routes:
    return financing_routes(short, make_config(QUICK))


def test_every_route_is_the_account_under_its_terms(short: Panel, routes: Routes) -> None:
    assert routes.routes[0].name == GIVEN
    assert {route.name for route in routes.routes} == {GIVEN, *PRESETS}
    rates = [route.legs["dynamic"].loan_rate for route in routes.routes[1:]]
    assert rates == sorted(rates)
    for route in routes.routes:
        config = make_config({**QUICK, **({} if route.name == GIVEN else {"financing": route.name})})
        result = backtest(short, config)
        for leg in LEGS:
            run, one = result.runs[leg], route.legs[leg]
            assert one.statistics == pytest.approx(run.statistics, rel=1e-9)
            assert one.mean_leverage == pytest.approx(run.mean_leverage, rel=1e-9)
            counts = slice(int(run.sessions.searchsorted(run.first)), None)
            paid = sum(np.asarray(run.costs["sessions"][name])[counts].sum() for name in
                       ("interest", "commission", "slippage", "tax"))  # fmt: skip
            years = (run.sessions[-1] - run.begins).days / 365
            assert one.cost == pytest.approx(paid / run.value.to_numpy()[counts].mean() / years, rel=1e-9)
            held = run.exposure["leverage"].loc[run.first :]
            assert one.margin_used == pytest.approx(0.25 * held.max(), rel=1e-9)
    by_name = {route.name: route.legs["dynamic"] for route in routes.routes}
    assert by_name["flat"].loan_rate == pytest.approx(0.05, rel=1e-9)
    bills = short.rates["irx"]
    assert by_name["retail"].loan_rate == pytest.approx((bills.mean() + 0.08) * 365 / 360, abs=2e-4)
    assert by_name["box_spread"].cost < by_name["ibkr_pro"].cost < by_name["retail"].cost


def test_the_twin_and_cerebro_give_the_same_routes(short: Panel, routes: Routes) -> None:
    other = financing_routes(short, make_config(QUICK), engine="cerebro", workers=2)
    assert (routes.engine, other.engine) == ("twin", "cerebro")
    pd.testing.assert_frame_equal(routes_frame(routes), routes_frame(other), rtol=1e-9)


@pytest.mark.parametrize(("leverage", "maintenance"), [(1.5, 0.25), (2.0, 0.25), (3.9, 0.25), (6.0, 0.15), (1.01, 0.3)])
def test_distance_to_a_call_by_letting_it_fall(leverage: float, maintenance: float) -> None:
    fall = float(distance_to_call([leverage], maintenance)[0])
    equity, held = 1.0 - leverage * fall, leverage * (1.0 - fall)
    assert equity == pytest.approx(maintenance * held, rel=1e-12)
    assert distance_to_call([1.0, 0.5, 0.0], maintenance).tolist() == [1.0, 1.0, 1.0]
    assert distance_to_call([1.01 / maintenance], maintenance)[0] < 0.0


def test_the_worst_of_a_run_that_was_called() -> None:
    rng = np.random.default_rng(3)
    closes = 100 * np.exp(np.cumsum(np.r_[rng.normal(0.0005, 0.005, 90), [-0.55], rng.normal(0.0, 0.005, 9)]))
    config = make_config({**QUICK, "symbols": "S", "borrow_rate": 0.05, "cash_rate": 0.0, "risk_free": 0.0,
                          "lev_min": 1.9, "lev_max": 1.9})  # fmt: skip
    panel = replace(random_market(rng, 100, 1), frames={"S": frame(closes)})
    run = simulate(panel, config)
    assert run.below_maintenance
    assert charged(run, 0.25).to_call < 0.0
    assert charged(Twins(panel).run(config), 0.25).to_call == pytest.approx(charged(run, 0.25).to_call, rel=1e-9)


def test_rows_words_and_files(routes: Routes) -> None:
    rows = routes_rows(routes)
    assert len(rows) == 3 * len(routes.routes)
    assert rows[2][1] == "dynamic"
    own = routes.routes[0].legs["dynamic"]
    assert rows[2][2:4] == [f"{100 * own.loan_rate:.2f}", f"{100 * own.statistics['growth']:.2f}".replace("-", "−")]
    summary = json.loads(json.dumps(routes_summary(routes), default=str))
    table = routes_frame(routes)
    assert summary["routes"][1]["base"]["growth"] == table.loc[(summary["routes"][1]["name"], "base"), "growth"]
    assert summary["config"]["financing"] is None


def led(growth: float, sharpe: float, name: str) -> Route:
    base = {"growth": 0.05, "excess_sharpe": 0.5}
    legs = {"base": base, "constant": base, "dynamic": {"growth": growth, "excess_sharpe": sharpe}}
    return Route(name, "", {leg: charged_(statistics) for leg, statistics in legs.items()})


def charged_(statistics: dict[str, float]) -> Any:
    from riskoverlay.studies.financing import Charged

    return Charged(statistics, 1.0, 0.05, 0.0, 0.0, 0.3, 0.5)


def test_the_conclusion_says_which_way_to_pay_decides(routes: Routes) -> None:
    mixed = replace(routes, routes=(led(0.06, 0.4, GIVEN), led(0.07, 0.45, "cheap"), led(-0.01, 0.1, "dear")))
    assert routes_conclusion(mixed) == [
        "By growth dynamic is ahead of base with the loan as given, cheap, and not with dear.",
        "By Sharpe ratio dynamic is behind base with every way to pay.",
        "With cheap dynamic grew by 7.00 % a year, with dear it lost 1.00 % a year: the loan alone decides over "
        "8.00 % of growth a year.",
    ]
    ahead = replace(routes, routes=(led(0.06, 0.6, GIVEN), led(0.07, 0.6, "cheap")))
    assert routes_conclusion(ahead)[0] == "By growth dynamic is ahead of base with every way to pay."


def test_without_the_bill_or_the_overlay_there_are_no_routes(short: Panel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"over the bill's rate, which is not known here: put \^IRX.csv beside"):
        financing_routes(replace(short, rates={}), make_config(QUICK))
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import backtrader as bt\nclass Holds(bt.Strategy):\n    def next(self):\n"
        "        if not self.position: self.buy(size=10)\n"
    )
    with pytest.raises(InputError, match="a strategy that sizes itself has no leverage of ours to pay for"):
        financing_routes(short, make_config({"strategy": f"{mine}:Holds"}))


def test_somebodys_strategy_under_the_overlay(short: Panel, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "import backtrader as bt\nclass Buys(bt.Strategy):\n    def next(self):\n"
        "        if not self.position: self.buy()\n"
    )
    config = make_config({"strategy": f"{mine}:Buys", "vol_lookback": 20, "lev_min": 1.5})
    found = financing_routes(short.select(["SPY"]), config, workers=2)
    assert found.engine == "cerebro"
    by_name = {route.name: route.legs["dynamic"].statistics["growth"] for route in found.routes}
    assert by_name["box_spread"] > by_name["retail"]


def test_breakeven_of_terms_is_a_spread_of_their_benchmark(short: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskoverlay.studies.financing.spreads.STEP", 425)
    terms = {"tiers": [{"up_to": 1_000, "spread": 0.2}, {"spread": 0.0}], "cash_spread": -0.002, "day_count": 360}
    config = make_config({**QUICK, "lev_min": 1.2, "financing": terms})
    found = breakeven(short, config)
    spread = next(one for one in found.spreads.values() if isinstance(one, int))
    name = next(name for name, one in found.spreads.items() if one == spread)
    leads = []
    for one in (spread, spread + 1):
        loan = replace(financing_of(terms), tiers=((math.inf, one / 1e4),))
        priced = {**config, "financing": loan}
        base, dynamic = (simulate(short, c).statistics[name] for c in ({**priced, **UNLEVERED}, priced))
        leads.append(dynamic - base)
    assert (leads[0] > 0.0) != (leads[1] > 0.0)


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--end", "2011-06-30", "--symbols", "SPY,TLT", "--cov-lookback", "60", "--min-hist", "60",
             "--vol-lookback", "20"]  # fmt: skip
    files = ["--json", "a.json", "--csv", "a.csv", "--png", "a.png", "--html", "a.html"]
    assert main(["financing", *flags, *files]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "as given: T-bill + 1.5 %; " in out and "retail: T-bill + 8 %." in out
    assert "the loan alone decides over" in out
    assert "Spread of the loan over the bill at which dynamic is worth no more than base" in out
    content = json.loads(Path("a.json").read_text())
    assert content["breakeven"]["over_bill"] is True
    assert content["routes"][0]["name"] == GIVEN
    assert len(pd.read_csv("a.csv")) == 21
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
    page = Path("a.html").read_text()
    assert '<section id="financing">' in page and "the loan alone decides over" in page
    for i, route in enumerate(content["routes"]):
        value = route["dynamic"]["loan_rate"]
        assert f'<data value="{value!r}" data-key="routes.{i}.dynamic.loan_rate">' in page
    assert main(["financing", *flags, "--financing", "retail", "--json", "b.json"]) == 0
    names = [route["name"] for route in json.loads(Path("b.json").read_text())["routes"]]
    assert names[0] == "retail" and len(names) == len(PRESETS)


def test_a_page_without_routes_has_no_such_section(short: Panel) -> None:
    assert 'id="financing"' not in report_html(backtest(short, make_config(QUICK)))


def page() -> str:
    return (ROOT / "docs" / "financing.md").read_text(encoding="utf-8")


def test_the_terms_of_the_page_are_terms() -> None:
    found = re.search(r"```toml\n(.*?)```", page(), re.DOTALL)
    assert found
    terms = Financing.read(tomllib.loads(found[1]))
    assert terms.tiers == ((20_000.0, 0.02), (math.inf, 0.01))
    assert (terms.benchmark, terms.day_count, terms.cash_spread, terms.cash_free) == ("irx+0.0005", 360, -0.005, 10_000)


@pytest.mark.long
def test_the_published_table_on_real_prices(market: Path, capsys: Any) -> None:
    found = re.search(r"```\n\$ riskoverlay (financing .*?)\n(.*?)```", page(), re.DOTALL)
    assert found
    assert main(found[1].replace(" prices ", f" {market} ").split()) == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == found[2].splitlines()
