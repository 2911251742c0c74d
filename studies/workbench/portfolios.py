"""The result: base, constant and dynamic portfolio and benchmarks, all through Cerebro and the same kind of account."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies.weights import WeightMemory

from .beside import Benchmark, active, benchmark_run, constant_leverage
from .parameters import Config, resolved
from .runs import UNLEVERED, Run, simulate
from .theirs import ACCOUNT

__all__ = ["Backtest", "backtest"]


@dataclass(frozen=True)
class Backtest:
    """The portfolios of one panel.

    Attributes
    ----------
    config : Config
        With the rates that `auto` came to.
    panel : Panel
    portfolios : mapping
        Name -> Run. `base` at leverage 1; `constant`, base at the constant leverage that holds on average what dynamic
        holds: dynamic − constant is what timing earned; `dynamic`, with the overlay. Of a strategy that sizes itself
        `account` alone. The last is what the result is about.
    benchmarks : mapping
        Name -> Run.
    """

    config: Config
    panel: Panel
    portfolios: Mapping[str, Run]
    benchmarks: Mapping[str, Run] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, Run]:
        """Every portfolio by name, in the order in which they are shown."""
        return {**self.portfolios, **self.benchmarks}

    @property
    def lead(self) -> str:
        """Name of the portfolio that the result is about: dynamic, or the one account."""
        return [*self.portfolios][-1]

    @property
    def leading(self) -> Run:
        """Its run."""
        return self.portfolios[self.lead]

    @property
    def overlaid(self) -> bool:
        """Whether there is an overlay, and what it is held against: base, constant and dynamic."""
        return {"base", "constant", "dynamic"} <= self.portfolios.keys()

    @property
    def base(self) -> Run:
        """Of a result with an overlay."""
        return self.portfolios["base"]

    @property
    def constant(self) -> Run:
        """Of a result with an overlay."""
        return self.portfolios["constant"]

    @property
    def dynamic(self) -> Run:
        """Of a result with an overlay."""
        return self.portfolios["dynamic"]

    @property
    def active(self) -> dict[str, dict[str, float]]:
        """What the leading portfolio did beyond each of the others: name -> `active_statistics`."""
        return {name: active(self.leading, run) for name, run in self.runs.items() if name != self.lead}


def backtest(
    panel: Panel,
    config: Config,
    *,
    benchmarks: Sequence[Benchmark] = (),
    bars: Panel | None = None,
    dynamic: Callable[[], Run] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Backtest:
    """Base, constant and dynamic, or the one account of a strategy that sizes itself, and benchmarks.

    Parameters
    ----------
    panel, config
        As `simulate`.
    benchmarks : sequence of Benchmark
    bars : Panel, optional
        What they are made of, as `benchmark_panel` (default: the panel itself).
    dynamic : callable, optional
        Gives `simulate(panel, config)`, where that was begun before (default: it is run after base).
    advance : callable, optional
        Hears of 3 × the panel's sessions.

    Returns
    -------
    Backtest

    Raises
    ------
    InputError, ConvergenceError
        As `simulate` and `benchmark_run`; two benchmarks of one name, or one named for a portfolio.
    """
    config = resolved(config, panel)
    names = ["base", "constant", "dynamic", ACCOUNT, *(one.name for one in benchmarks)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"benchmark {name} is there twice", "give it another name, as NAME=SPY:1")
    remember = WeightMemory()
    base = simulate(panel, {**config, **UNLEVERED}, advance=advance, remember=remember)
    portfolios = {ACCOUNT: base}  # what never asks for a size has none of the overlay's leverage
    if base.overlaid:
        levered = dynamic() if dynamic else simulate(panel, config, advance=advance, remember=remember)
        if dynamic and advance is not None:
            advance(len(panel.sessions))
        constant = constant_leverage(panel, config, levered.mean_leverage, advance=advance, remember=remember)
        portfolios = {"base": base, "constant": constant, "dynamic": levered}
    beside = {one.name: benchmark_run(one, bars or panel, base, config, panel.rates) for one in benchmarks}
    return Backtest(config, panel, portfolios, beside)
