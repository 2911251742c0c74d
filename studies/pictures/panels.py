"""Four panels that fit a slide."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..report.facts import at_decisions, counted, drawdowns, largest_and_others
from ..report.portfolios import Account, accounts, lead_first, lead_last, leader
from ..report.words import symbols_in_words
from ..workbench.captions import costs_in_words, risk_free_in_words
from ..workbench.outputs import write_file
from ..workbench.portfolios import Backtest
from .canvas import check_picture, new_figure, save

__all__ = ["write_picture"]

INK, SOFT, RULE = "#1d2126", "#5c6269", "#c9ccc9"
DYNAMIC, VOLATILITY, BRAKE = "#0b5f9e", "#a8690a", "#b8442c"
ASSETS = ("#6f9fd0", "#e8896b", "#ead98b", "#f2b1bd", "#9fd7f2", "#4fb79c", "#bcc95a", "#a79c3a", "#d5d5d2")
"""Colours of the eight largest assets and of the others together."""

ABOVE = 26
"""Points between a plot and its title: room for the legend."""

STYLE = {
    "axes.edgecolor": RULE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.labelcolor": SOFT,
    "grid.color": "#ecece6",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "font.size": 10,
    "legend.frameon": False,
    "text.parse_math": False,  # a symbol may hold a dollar
}


def write_picture(path: str | Path, result: Backtest) -> None:
    """Value, drawdown, leverage, and weights or costs, 16:9, 1920 × 1080 dots, drawn without a screen.

    Parameters
    ----------
    path : str or Path
        The kind of file is that of the ending.
    result : Backtest

    Raises
    ------
    InputError, MissingExtraError
        As `check_picture` and `write_file`.
    """
    check_picture(path)
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = new_figure(16, 9, dpi=120, layout="constrained")
        (value, drawdown), (leverage, last) = figure.subplots(2, 2, sharex=True)
        shown = accounts(result)
        _value(value, shown)
        _drawdown(drawdown, result, shown)
        _leverage(leverage, result)
        if result.leading.decided:
            _weights(last, result)
        else:
            _costs(last, result)
        figure.suptitle(_heading(result, shown), x=0.01, ha="left", fontsize=12, linespacing=1.4)
        write_file(path, lambda temporary: save(figure, temporary, dpi=120))


def _heading(result: Backtest, shown: Sequence[Account]) -> str:
    """The figures of every account, of what and over which sessions, and after which costs."""
    words = [
        f"{one.label[0].upper()}{one.label[1:]}: growth {100 * one.statistics['growth']:.2f} % a year, volatility "
        f"{100 * one.statistics['ann_vol']:.2f} %, Sharpe ratio {one.statistics['excess_sharpe']:.2f}, "
        f"max drawdown {100 * one.statistics['max_drawdown']:.1f} %".replace("-", "−")
        for one in lead_first(shown)
    ]
    dates = shown[0].returns.index
    scope = f"{symbols_in_words(result.panel)}; {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}; {result.panel.source}"
    after = f"After costs: {costs_in_words(result.config)}. {risk_free_in_words(result.config)}."
    notice = ["Synthetic market: made-up prices, nothing here happened."] if result.panel.synthetic else []
    return "\n".join([*notice, *words, *(textwrap.fill(line, 190) for line in (scope, after))])


def _legend(axes: Any, **more: Any) -> None:
    """Between the title and the plot, where no curve is."""
    look = {"ncols": 9, "columnspacing": 1.2, "borderaxespad": 0.0, "borderpad": 0.2}
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.015), **look, **more)


def _value(axes: Any, shown: Sequence[Account]) -> None:
    for one in lead_last(shown):
        axes.plot(one.values, color=one.ink, lw=1.3, label=one.label)
    axes.set_yscale("log", subs=[])
    axes.yaxis.get_major_locator().set_params(subs=(1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.set_title("Account value, logarithmic", pad=ABOVE)
    _legend(axes)


def _drawdown(axes: Any, result: Backtest, shown: Sequence[Account]) -> None:
    for one in lead_last(shown):
        axes.plot(100 * drawdowns(one), color=one.ink, lw=1.0, label=one.label)
    lead = leader(shown)
    fall = 100 * drawdowns(lead)
    axes.fill_between(fall.index, fall, color=lead.ink, alpha=0.13, lw=0)
    config = result.config
    levels = {
        "brake starts": -100.0 * config["dd_threshold1"],
        f"brake full,\nleverage × {config['dd_min_scale']:g}": -100.0 * config["dd_threshold2"],
    } if result.overlaid else {}  # fmt: skip
    low = 1.05 * min(*(100.0 * float(drawdowns(one).min()) for one in shown), *levels.values())
    axes.set_ylim(low, 0.0)
    at = 0.0
    for text, level in levels.items():
        axes.axhline(level, color=BRAKE, lw=0.9, ls="--")
        at = min(level, at + 0.12 * low)  # beside the plot, and not over the one above
        label = f"−{-level:g} %, {text}"
        axes.text(1.01, at, label, color=BRAKE, size=9, va="center", transform=axes.get_yaxis_transform())
    axes.set_title("Drawdown, per cent", pad=ABOVE)
    _legend(axes)


def _leverage(axes: Any, result: Backtest) -> None:
    run = result.leading
    table = run.exposure.loc[counted(run)]
    if result.overlaid:
        axes.plot(table["volatility_part"], color=VOLATILITY, lw=0.9, ls=":", label="volatility part")
        axes.plot(table["brake_part"], color=BRAKE, lw=0.9, label="brake part")
        axes.plot(table["target_leverage"], color=INK, lw=0.7, label="target")
    axes.plot(table["leverage"].loc[run.first :], color=DYNAMIC, lw=1.3, label="held")
    axes.set_ylim(bottom=0)
    axes.set_title(f"Leverage of {result.lead}", pad=ABOVE)
    _legend(axes)


def _costs(axes: Any, result: Backtest) -> None:
    """What a strategy that decides no weights has paid by each session."""
    run = result.leading
    kinds = [("commission", INK), ("slippage", VOLATILITY), ("interest", BRAKE)]
    for kind, color in kinds + [("tax", ASSETS[0])] * bool(run.costs["tax"]):
        paid = pd.Series(run.costs["sessions"][kind], run.sessions).cumsum().loc[run.begins :]
        axes.plot(paid, color=color, lw=1.1, label=kind)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.set_title(f"Costs of {result.lead} so far", pad=ABOVE)
    _legend(axes)


def _weights(axes: Any, result: Backtest) -> None:
    run = result.leading
    weights = at_decisions(run.weights, run)
    largest = weights.mean().nlargest(len(ASSETS) - 1).index
    table = largest_and_others(weights, [name for name in result.panel.symbols if name in largest])
    table = pd.concat([table, table.iloc[-1:].set_axis(run.sessions[-1:])])
    axes.stackplot(table.index, 100 * table.to_numpy().T, labels=[str(name) for name in table], step="post",
                   colors=ASSETS[: len(largest)] + ASSETS[-1:], edgecolor="white", lw=0.4)  # fmt: skip
    axes.set_ylim(0, 100)
    axes.set_title("Weights before leverage, per cent", pad=ABOVE)
    _legend(axes, handlelength=1)
