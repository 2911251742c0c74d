"""The first words of every kind of page: what came out, and why. All of them plain text."""

import numpy as np

from riskoverlay.feeds import Panel

from ..ladder import Ladder
from ..sweep import Judged, params_in_words
from ..walkforward import Walk
from ..workbench.captions import growth_in_words, risk_free_in_words
from ..workbench.portfolios import Backtest
from ..workbench.runs import Run
from .markup import number

__all__ = [
    "TRUTH",
    "backtest_words",
    "extra_costs",
    "ladder_words",
    "simulated",
    "sweep_words",
    "symbols_in_words",
    "walk_words",
]

TRUTH = (
    "Prices, and the rate of bills where it is used, are drawn at random with the volatilities and correlations of "
    "real markets. None was ever quoted, and no result here says anything about the past of any market."
)
"""What is synthetic about the sample market."""


def simulated(costs: str) -> str:
    """What no page may leave unsaid."""
    return (
        "The accounts are simulated: orders, fills, margin and interest are what a broker in backtrader does with "
        f"these prices under the configuration below. {costs}. No money moved, no other taxes are counted, "
        "and past results promise nothing."
    )


def symbols_in_words(panel: Panel) -> str:
    """The first twelve, and how many more."""
    more = len(panel.symbols) - 12
    return ", ".join(panel.symbols[:12]) + (f" and {more} more" if more > 0 else "")


# -- backtest ----------------------------------------------------------------------------------------------------------


def extra_costs(result: Backtest) -> dict[str, float]:
    """What dynamic paid more than base, by kind, money; the largest first."""

    def paid(run: Run) -> dict[str, float]:
        return {
            "loan interest": run.interest[0],
            "slippage": float(run.costs["slippage"]),
            "commission": float(run.costs["commission"]),
            "tax on dividends": float(run.costs["tax"]),
        }

    one, other = paid(result.base), paid(result.dynamic)
    extra = {kind: other[kind] - one[kind] for kind in one}
    return dict(sorted(extra.items(), key=lambda item: -item[1]))


def account_words(result: Backtest) -> list[str]:
    """What became of the one account of a strategy that sizes itself, and what it was measured in."""
    run = result.leading
    took = run.interest[0] + sum(float(run.costs[kind]) for kind in ("slippage", "commission", "tax"))
    first = (
        f"The account {growth_in_words(run.statistics['growth'])}, and ended at {number(run.costs['end'], 'money')} "
        f"after {number(took, 'money')} of costs."
    )
    figures = (
        f"{risk_free_in_words(result.config)} {number(run.statistics['excess_sharpe'], 'ratio')}, volatility "
        f"{number(run.statistics['ann_vol'], 'percent')}, largest fall "
        f"{number(run.statistics['max_drawdown'], 'percent')}, mean leverage {number(run.mean_leverage, 'times')}; all "
        "after costs."
    ) + ("" if run.overlaid else " The strategy sizes its own orders: there is no overlay.")
    return [first, figures]


def backtest_words(result: Backtest) -> list[str]:
    """The outcome with its reason, and what it was measured in."""
    if not result.overlaid:
        return account_words(result)
    base, dynamic = result.base.statistics, result.dynamic.statistics
    first = f"Dynamic {growth_in_words(dynamic['growth'])} and base {growth_in_words(base['growth'])}: {_why(result)}."
    sharpe, volatility = (
        f"{number(dynamic[name], unit)} against {number(base[name], unit)}"
        for name, unit in (("excess_sharpe", "ratio"), ("ann_vol", "percent"))
    )
    timing = float(dynamic["growth"] - result.constant.statistics["growth"])
    held = (
        f"Its mean leverage, {number(result.constant.mean_leverage, 'times')}, held constant "
        f"{growth_in_words(result.constant.statistics['growth'])}: timing it {'added' if timing >= 0.0 else 'took'} "
        f"{number(abs(timing), 'points')} a year."
    )
    measured = f"{risk_free_in_words(result.config)} {sharpe}, volatility {volatility}, all after costs."
    return [first, f"{measured} {held}"]


def _why(result: Backtest) -> str:
    extra = extra_costs(result)
    kind, most = next(iter(extra.items()))
    total = sum(extra.values())
    gap = float(result.dynamic.costs["end"]) - float(result.base.costs["end"])
    distance = number(abs(gap), "money")
    ended = f"ended {distance} {'ahead of' if gap > 0.0 else 'behind'} base" if round(gap) else "ended level with base"
    if round(total) <= 0:
        paid = f"{number(-total, 'money')} less" if round(total) else "no more"
        return f"dynamic {ended} and paid {paid} in costs, so its leverage decided, not its costs"
    costs = f"costs took {number(total, 'money')} more from dynamic, {number(most, 'money')} of it {kind}"
    if gap >= 0.0:
        return f"dynamic {ended}, although {costs}"
    if total >= -gap:
        return f"{costs}, and that is more than the {distance} by which it ended behind"
    return f"{costs}; it {ended}, and the rest is from when and how much it was levered"


# -- ladder ------------------------------------------------------------------------------------------------------------


def ladder_words(ladder: Ladder) -> list[str]:
    """Which rung costs most, and where each portfolio began and ended."""
    lead = ladder.legs[-1]
    changes = np.nan_to_num(ladder.changes(lead))
    worst = int(np.argmin(changes))
    between = f"{ladder.top} and account"
    who = lead if lead == "dynamic" else f"the {lead}"
    if round(float(changes[worst]), 2) < 0.0:
        rung = ladder.steps[worst].rung
        first = (
            f"What costs {who} most between {between} is {rung.id.replace('_', ' ')} ({rung.what}): "
            f"{number(float(changes[worst]), 'level')} of Sharpe ratio."
        )
    else:
        first = f"No single rung between {between} costs {who} anything."
    ends = [
        f"{leg} has {number(sharpes[0], 'level')} on {ladder.top} and {number(sharpes[-1], 'level')} in the account"
        for leg, sharpes in ((leg, ladder.sharpes(leg)) for leg in reversed(ladder.legs))
    ]
    text = ", ".join(ends)
    return [first, f"{text[0].upper()}{text[1:]}. {risk_free_in_words(ladder.config)}."]


# -- sweep -------------------------------------------------------------------------------------------------------------


def sweep_words(judged: Judged) -> list[str]:
    """The verdict on the best try: base beside it, and luck."""
    tries = len(judged.sweep.good)
    own, base = (judged.intervals[leg]["excess_sharpe"].estimate for leg in ("dynamic", "base"))
    gain = judged.intervals["difference"]["excess_sharpe"]
    side = "above" if own >= base else "below"
    told = "clearly " if gain.low > 0.0 or gain.high < 0.0 else "not clearly "
    what = f"the best of {tries} tries ({params_in_words(judged.winner.params)})" if tries > 1 else "the only try"
    first = (
        f"{what[0].upper()}{what[1:]} has a Sharpe ratio of {number(own, 'ratio')}, {told}{side} the "
        f"{number(base, 'ratio')} of "
        + ("base, the same portfolio without leverage." if judged.against == "base" else "the strategy as given.")
    )
    if tries < 2:
        return [first, f"{risk_free_in_words(judged.sweep.config)}."]
    luck = (
        f"Luck alone would give the best of {tries} independent tries {number(judged.luck, 'level')}; that this one is "
        f"more than luck has a probability of {100 * judged.deflated.probability:.0f} %."
    )
    return [first, f"{luck} {risk_free_in_words(judged.sweep.config)}."]


# -- walk-forward ------------------------------------------------------------------------------------------------------


def walk_words(walk: Walk) -> list[str]:
    """What choosing was worth, and what hindsight would have shown."""
    names = ("walk_forward", "unchosen", "in_sample_winner")
    own, unchosen, winner = (walk.legs[name]["excess_sharpe"] for name in names)
    worth = own - unchosen
    verb = "added" if worth > 0.0 else "cost"
    account, given = (growth_in_words(walk.legs[name]["growth"]) for name in names[:2])
    first = (
        f"Choosing {len(walk.windows)} times among {len(walk.sweep.good)} tries {verb} {number(abs(worth), 'ratio')} "
        f"of Sharpe ratio: the account {account}, at {number(own, 'ratio')}; with the parameters as given it {given}, "
        f"at {number(unchosen, 'ratio')}."
    )
    best = params_in_words(walk.sweep.good[walk.winner].params)
    second = (
        f"The best in hindsight, {best}, shows {number(winner, 'ratio')}; nobody "
        f" could have known it. {risk_free_in_words(walk.sweep.config)}."
    )
    return [first, second]
