"""Four panels that fit a slide."""

from pathlib import Path
from typing import Any

import pandas as pd

from ..report.facts import at_decisions, counted, drawdowns, largest_and_others
from ..workbench.outputs import write_file
from ..workbench.portfolios import Backtest
from .canvas import check_picture, new_figure

__all__ = ["write_picture"]

INK, SOFT, RULE = "#1d2126", "#5c6269", "#c9ccc9"
DYNAMIC, BASE, VOLATILITY, BRAKE = "#0b5f9e", "#83888e", "#a8690a", "#b8442c"
ASSETS = ("#6f9fd0", "#e8896b", "#ead98b", "#f2b1bd", "#9fd7f2", "#4fb79c", "#bcc95a", "#a79c3a", "#d5d5d2")
"""Colours of the eight largest assets and of the others together."""

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
    """Value, drawdown, leverage and weights, 16:9, 1920 × 1080 dots, drawn without a screen.

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
        (value, drawdown), (leverage, weights) = figure.subplots(2, 2, sharex=True)
        _value(value, result)
        _drawdown(drawdown, result)
        _leverage(leverage, result)
        _weights(weights, result)
        figure.suptitle(_heading(result), x=0.01, ha="left", fontsize=13)
        kind = Path(path).suffix[1:].lower()
        write_file(path, lambda temporary: figure.savefig(temporary, format=kind))


def _heading(result: Backtest) -> str:
    words = [
        f"{name}: growth {100 * run.statistics['growth']:.2f} % a year, volatility "
        f"{100 * run.statistics['ann_vol']:.2f} %, Sharpe {run.statistics['excess_sharpe']:.2f}, "
        f"max drawdown {100 * run.statistics['max_drawdown']:.1f} %"
        for name, run in (("Dynamic", result.dynamic), ("Base", result.base))
    ]
    notice = "Synthetic market: made-up prices, nothing here happened.\n" if result.panel.synthetic else ""
    return notice + "\n".join(words).replace("-", "−")


def _value(axes: Any, result: Backtest) -> None:
    for name, run, colour in (("base", result.base, BASE), ("dynamic", result.dynamic, DYNAMIC)):
        axes.plot(run.value.loc[counted(run)], color=colour, lw=1.3, label=name)
    axes.set_yscale("log", subs=[])
    axes.yaxis.get_major_locator().set_params(subs=(1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.set_title("Account value, logarithmic")
    axes.legend(loc="upper left")


def _drawdown(axes: Any, result: Backtest) -> None:
    axes.plot(100 * drawdowns(result.base), color=BASE, lw=1.0, label="base")
    fall = 100 * drawdowns(result.dynamic)
    axes.fill_between(fall.index, fall, color=DYNAMIC, alpha=0.13, lw=0)
    axes.plot(fall, color=DYNAMIC, lw=1.0, label="dynamic")
    for threshold in (result.config["dd_threshold1"], result.config["dd_threshold2"]):
        axes.axhline(-100 * threshold, color=BRAKE, lw=0.9, ls="--")
    axes.set_title("Drawdown, per cent, and the thresholds of the brake")
    axes.set_ylim(top=0)


def _leverage(axes: Any, result: Backtest) -> None:
    table = result.dynamic.exposure.loc[counted(result.dynamic)]
    axes.plot(table["volatility_part"], color=VOLATILITY, lw=0.9, ls=":", label="volatility part")
    axes.plot(table["brake_part"], color=BRAKE, lw=0.9, label="brake part")
    axes.plot(table["target_leverage"], color=INK, lw=0.7, label="target")
    axes.plot(table["leverage"].loc[result.dynamic.first :], color=DYNAMIC, lw=1.3, label="held")
    axes.set_ylim(bottom=0)
    axes.set_title("Leverage of dynamic")
    axes.legend(loc="lower left", ncols=4)


def _weights(axes: Any, result: Backtest) -> None:
    run = result.dynamic
    weights = at_decisions(run.weights, run)
    largest = weights.mean().nlargest(len(ASSETS) - 1).index
    table = largest_and_others(weights, [name for name in result.panel.symbols if name in largest])
    table = pd.concat([table, table.iloc[-1:].set_axis(run.sessions[-1:])])
    axes.stackplot(table.index, 100 * table.to_numpy().T, labels=[str(name) for name in table], step="post",
                   colors=ASSETS[: len(largest)] + ASSETS[-1:], edgecolor="white", lw=0.4)  # fmt: skip
    axes.set_ylim(0, 100)
    axes.set_title("Weights before leverage, per cent")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=9, handlelength=1, columnspacing=1)
