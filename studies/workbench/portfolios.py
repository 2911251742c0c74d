"""The result: base, constant and dynamic portfolio and benchmarks, all through Cerebro and the same kind of account."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel
from riskoverlay.strategies.weights import WeightMemory

from .beside import Benchmark, active, benchmark_run, constant_leverage
from .parameters import Config
from .rates import resolved_rates
from .runs import UNLEVERED, Run, simulate

__all__ = ["Backtest", "backtest"]


@dataclass(frozen=True)
class Backtest:
    """The portfolios of one panel.

    Attributes
    ----------
    config : Config
        With the rates that `auto` came to.
    panel : Panel
    base, dynamic : Run
        At leverage 1, and with the overlay.
    constant : Run
        Base at the constant leverage that holds on average what dynamic holds: dynamic − constant is what timing
        earned.
    benchmarks : mapping
        Name -> Run.
    """

    config: Config
    panel: Panel
    base: Run
    dynamic: Run
    constant: Run
    benchmarks: Mapping[str, Run] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, Run]:
        """Every portfolio by name, in the order in which they are shown."""
        return {"base": self.base, "constant": self.constant, "dynamic": self.dynamic, **self.benchmarks}

    @property
    def active(self) -> dict[str, dict[str, float]]:
        """What dynamic did beyond each of the others: name -> `active_statistics`."""
        return {name: active(self.dynamic, run) for name, run in self.runs.items() if name != "dynamic"}


def backtest(
    panel: Panel,
    config: Config,
    *,
    benchmarks: Sequence[Benchmark] = (),
    bars: Panel | None = None,
    advance: Callable[[int], None] | None = None,
) -> Backtest:
    """Base, constant and dynamic, and benchmarks.

    Parameters
    ----------
    panel, config
        As `simulate`.
    benchmarks : sequence of Benchmark
    bars : Panel, optional
        What they are made of, as `benchmark_panel` (default: the panel itself).
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
    config = resolved_rates(config, panel.rates)
    names = ["base", "constant", "dynamic", *(one.name for one in benchmarks)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"benchmark {name} is there twice", "give it another name, as NAME=SPY:1")
    remember = WeightMemory()
    base = simulate(panel, {**config, **UNLEVERED}, advance=advance, remember=remember)
    dynamic = simulate(panel, config, advance=advance, remember=remember)
    return Backtest(
        config=config,
        panel=panel,
        base=base,
        dynamic=dynamic,
        constant=constant_leverage(panel, config, dynamic.mean_leverage, advance=advance, remember=remember),
        benchmarks={one.name: benchmark_run(one, bars or panel, base, config, panel.rates) for one in benchmarks},
    )
