"""Many runs: tries of parameters, kept by Optuna as they finish, and the best of them judged."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyzers import summary as statistics
from feeds import Panel

from .backtest import UNLEVERED, simulate
from .judgement import (
    Deflated,
    Interval,
    Overfitting,
    annual_sharpe,
    confidence,
    cscv,
    deflated_sharpe,
    session_sharpe,
)
from .outputs import data_summary, versions
from .parameters import PARAMETERS, Config
from .pools import Outcome, check_workers, open_pool
from .space import Dimension, Params, check_dimensions, check_optuna, distributions, grid, propose, size

__all__ = [
    "BATCH",
    "CRITERIA",
    "SEARCHES",
    "Judged",
    "Sweep",
    "Try",
    "in_words",
    "interval_rows",
    "intervals_summary",
    "judge",
    "number_of_tries",
    "params_in_words",
    "ranking_rows",
    "sweep",
    "sweep_frame",
    "sweep_summary",
    "value_in_words",
]

SEARCHES = ("grid", "tpe")

CRITERIA = {"sharpe": "sharpe", "return": "ann_ret"}
"""What may be maximised, and the name of that statistic."""

BATCH = 8
"""Points that TPE proposes at once. The tries depend on it, so it does not depend on the workers."""

BLOCKS = (16, 14, 12, 10, 8, 6, 4, 2)
"""Numbers of blocks for CSCV; the first that leaves 20 sessions or more to a block."""


@dataclass(frozen=True)
class Try:
    """One point, run."""

    number: int
    """Which point it is, from 0: of the grid in its order, or of the search."""
    params: Params
    returns: npt.NDArray[np.float64]
    """Of the dynamic portfolio, on the last sessions of the panel, shape (m,); (0,) if it failed."""
    reason: str | None
    """Why it failed; None if it did not."""


@dataclass(frozen=True)
class Sweep:
    """Every try of a sweep, finished."""

    config: Config
    panel: Panel
    dimensions: tuple[Dimension, ...]
    search: str
    criterion: str
    tries: tuple[Try, ...]
    """In the order of their numbers."""

    @property
    def good(self) -> list[Try]:
        """Tries that did not fail."""
        return [one for one in self.tries if one.reason is None]

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """Sessions that count for every good try, shape (m,)."""
        return self.panel.sessions[-min(one.returns.size for one in self.good) :]

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Returns of the good tries on `sessions`, shape (m, n_good)."""
        m = len(self.sessions)
        return np.column_stack([one.returns[-m:] for one in self.good])

    @property
    def statistics(self) -> list[dict[str, float]]:
        """ann_ret, ann_vol, sharpe, max_drawdown of each good try on `sessions`."""
        return [statistics(column) for column in self.returns.T]

    def config_of(self, one: Try) -> Config:
        """The whole configuration of a try: `simulate` runs it again."""
        return {**self.config, **one.params}


def sweep(
    panel: Panel,
    config: Config,
    dimensions: Sequence[Dimension],
    *,
    search: str = "grid",
    trials: int | None = None,
    seed: int = 0,
    batch: int = BATCH,
    criterion: str = "sharpe",
    storage: str | None = None,
    study: str = "sweep",
    workers: int | None = 1,
    dask: str | None = None,
    advance: Callable[[int], None] | None = None,
) -> Sweep:
    """Try every point of a grid, or what TPE proposes.

    Only finished tries are stored, each in one transaction of this process, so a sweep that is stopped in whatever way
    leaves nothing to clean up: called again it runs what is missing. Neither results nor proposals depend on
    `workers`, `dask`, or on how often it was stopped.

    Parameters
    ----------
    panel, config : bars, and every parameter that is not tried
    dimensions : what is tried
    search : "grid", every point; "tpe", `trials` points proposed by Optuna's TPE in batches of `batch` from `seed`
    criterion : what is best: "sharpe" or "return", of the dynamic portfolio
    storage : path of an SQLite file or any URL that SQLAlchemy takes; None keeps nothing
    study : name of the sweep in its storage
    workers : processes on this machine, None: one a processor. With more than one, a script must call this under
        `if __name__ == "__main__":`, because each process reads the script again
    dask : address of a scheduler: tries are run there, and `workers` means nothing
    advance : called with the number of tries done since the last call

    Raises
    ------
    ValueError, ImportError
        Bad arguments, a storage that holds a sweep of something else, every try failed; an extra is not installed.
    KeyboardInterrupt
        With a message that says what is kept.
    """
    check_optuna()
    check_dimensions(dimensions)
    if search not in SEARCHES:
        raise ValueError(f"search={search!r} is unknown: give one of {', '.join(SEARCHES)}")
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} is unknown: give one of {', '.join(CRITERIA)}")
    total = number_of_tries(dimensions, search, trials)
    if batch < 1 or seed < 0:
        name, value = ("batch", batch) if batch < 1 else ("sweep_seed", seed)
        raise ValueError(f"{name}={value!r} is too small: give a whole number >= {int(name == 'batch')}")

    processes = (os.cpu_count() or 1) if workers is None else workers
    check_workers(processes)

    plan: dict[str, Any] = {
        "search": search,
        "criterion": criterion,
        "grid": [str(dimension) for dimension in dimensions],
    }
    if search == "tpe":
        plan |= {"sweep_seed": seed, "batch": batch}
    kept = _Kept(storage, study, panel, config, dimensions, plan)
    tries = kept.read()
    done = sum(number < total for number in tries)
    if advance is not None:
        advance(done)
    try:
        with open_pool(panel, workers=processes, dask=dask) as pool:
            for start in range(0, total, total if search == "grid" else batch):
                count = total if search == "grid" else min(batch, total - start)
                wanted = range(start, start + count)
                if all(number in tries for number in wanted):
                    continue
                if search == "grid":
                    points = grid(dimensions)
                else:
                    history = [(tries[k].params, _worth(tries[k], criterion)) for k in range(start)]
                    points = propose(dimensions, history, count=batch, seed=seed)
                todo = {
                    number: params
                    for number, params in zip(wanted, points, strict=False)
                    if number not in tries
                }
                jobs = {number: {**config, **params} for number, params in todo.items()}
                for number, outcome in pool.perform(jobs):
                    tries[number] = kept.add(number, todo[number], outcome)
                    done += 1
                    if advance is not None:
                        advance(1)
    except KeyboardInterrupt:
        where = (
            f"they are kept in {kept.name}, the same command goes on from there"
            if storage
            else "none is kept"
        )
        raise KeyboardInterrupt(f"interrupted after {done} of {total} tries: {where}") from None
    found = Sweep(
        config=config,
        panel=panel,
        dimensions=tuple(dimensions),
        search=search,
        criterion=criterion,
        tries=tuple(tries[number] for number in sorted(tries) if number < total),
    )
    if not found.good:
        raise ValueError(f"all {len(found.tries)} tries failed, the first with: {found.tries[0].reason}")
    return found


def number_of_tries(dimensions: Sequence[Dimension], search: str, trials: int | None) -> int:
    """Tries that a sweep will make. ValueError for trials with a grid, without for TPE, or more than points."""
    if search == "grid":
        if trials is not None:
            raise ValueError(
                f"trials={trials} is for --search tpe: a grid has {len(grid(dimensions))}, all of them"
            )
        return len(grid(dimensions))
    if trials is None or trials < 1:
        raise ValueError(f"trials={trials} is not a number of tries: give --trials N with --search tpe")
    if trials > size(dimensions):
        raise ValueError(
            f"trials={trials} is more than the {size(dimensions):.0f} points: give fewer, or no --search"
        )
    return trials


def _worth(one: Try, criterion: str) -> float | None:
    return None if one.reason is not None else statistics(one.returns)[CRITERIA[criterion]]


# -- storage -----------------------------------------------------------------------------------------------------------


class _Kept:
    """A sweep's finished tries in an Optuna study, which belongs to one set of prices and parameters."""

    def __init__(
        self,
        storage: str | None,
        study: str,
        panel: Panel,
        config: Config,
        dimensions: Sequence[Dimension],
        plan: Mapping[str, Any],
    ) -> None:
        import optuna
        import sqlalchemy

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._criterion = CRITERIA[plan["criterion"]]
        self._distributions = distributions(dimensions)
        self.name = str(storage)
        url = None if storage is None else storage if "://" in storage else f"sqlite:///{storage}"
        try:
            if url is not None:
                self.name = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
                self.name = self.name.removeprefix("sqlite:///")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._study = optuna.create_study(
                    storage=url, study_name=study, direction="maximize", load_if_exists=True
                )
        except (
            sqlalchemy.exc.SQLAlchemyError,
            optuna.exceptions.OptunaError,
            RuntimeError,
            ImportError,
        ) as error:
            cause = error.__cause__ or error
            line = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
            raise ValueError(
                f"storage={self.name!r} cannot be opened ({line}): give a path for SQLite, or a URL such as "
                "postgresql://user@host/name with its driver installed"
            ) from None
        searched = {dimension.name for dimension in dimensions}
        fixed = {
            name: value
            for name, value in config.items()
            if name not in searched and PARAMETERS[name].owner != "data"
        }
        identity = {"prices": _prices_hash(panel), **plan, **fixed}
        self._check(json.loads(json.dumps(identity, default=repr)), study)

    def _check(self, identity: dict[str, Any], study: str) -> None:
        """Claim a new study for this sweep; refuse one of another."""
        known = self._study.user_attrs.get("sweep")
        if known is None:
            if self._study.trials:
                raise ValueError(
                    f"study={study!r} in {self.name} was not made by a sweep: give another --study or --storage"
                )
            self._study.set_user_attr("sweep", identity)
            self._study.set_user_attr("versions", versions())
            return
        for name in {**known, **identity}:
            was, now = known.get(name), identity.get(name)
            if was != now:
                what = "other prices" if name == "prices" else f"{name}={_short(was)}, not {_short(now)}"
                raise ValueError(
                    f"{self.name} holds a sweep {'of' if name == 'prices' else 'with'} {what}: "
                    "give the flags it was begun with, another --storage, or another --study"
                )

    def read(self) -> dict[int, Try]:
        """Finished tries by number."""
        found: dict[int, Try] = {}
        for trial in self._study.get_trials(deepcopy=False):
            attrs = trial.user_attrs
            if "try" in attrs and trial.state.is_finished():
                returns = np.frombuffer(base64.b64decode(attrs.get("returns", "")), dtype="<f8")
                found.setdefault(
                    attrs["try"],
                    Try(attrs["try"], dict(trial.params), returns.astype(float), attrs.get("reason")),
                )
        return found

    def add(self, number: int, params: Params, outcome: Outcome) -> Try:
        """Store a finished try, in one transaction."""
        states = self._optuna.trial.TrialState
        attrs: dict[str, Any] = {"try": number}
        one = Try(number, params, outcome.returns, outcome.reason)
        if outcome.reason is None:
            packed = base64.b64encode(outcome.returns.astype("<f8").tobytes()).decode()
            attrs |= {**outcome.statistics, "returns": packed}
        else:
            one = Try(number, params, np.empty(0), outcome.reason)
            attrs["reason"] = outcome.reason
        trial = self._optuna.trial.create_trial(
            state=states.COMPLETE if outcome.reason is None else states.FAIL,
            value=outcome.statistics[self._criterion] if outcome.reason is None else None,
            params=params,
            distributions=self._distributions,
            user_attrs=attrs,
        )
        if trial.datetime_complete is not None:
            trial.datetime_start = trial.datetime_complete - dt.timedelta(seconds=outcome.seconds)
        self._study.add_trial(trial)
        return one


def _prices_hash(panel: Panel) -> str:
    """Of bars and dated rates."""
    digest = hashlib.sha256(panel.sha256.encode())
    for name, rate in panel.rates.items():
        digest.update(name.encode())
        digest.update(pd.DatetimeIndex(rate.index).to_numpy().astype("datetime64[D]").astype("<i8").tobytes())
        digest.update(rate.to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


# -- judgement ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """The best of a sweep and what to think of it, on the sessions that all tries share."""

    sweep: Sweep
    best: int
    """Its place among the sweep's good tries."""
    base: npt.NDArray[np.float64]
    """Returns of the unlevered portfolio with the same parameters, shape (m,)."""
    deflated: Deflated
    luck: float
    """`deflated.luck` as the annual Sharpe ratio of the tables."""
    overfitting: Overfitting | None
    """None with fewer than 2 good tries, or too few sessions."""
    intervals: dict[str, dict[str, Interval]]
    """As `confidence` gives them."""

    @property
    def winner(self) -> Try:
        return self.sweep.good[self.best]

    @property
    def ranking(self) -> list[int]:
        """Places of the good tries, best first; of equal ones the first tried."""
        worth = [s[CRITERIA[self.sweep.criterion]] for s in self.sweep.statistics]
        return sorted(range(len(worth)), key=lambda i: -worth[i])


def judge(result: Sweep, *, draws: int = 1000, level: float = 0.95) -> Judged:
    """Judge the best of a sweep: deflated Sharpe ratio, overfitting, intervals, and the base it must beat.

    draws, level : of the bootstrap. ImportError without arch; ValueError with fewer than 50 sessions.
    """
    returns, found = result.returns, result.statistics
    worth = [s[CRITERIA[result.criterion]] for s in found]
    best = int(np.argmax(worth))
    run = simulate(result.panel, {**result.config_of(result.good[best]), **UNLEVERED})
    base = np.asarray(run.returns, dtype=np.float64)[-len(returns) :]
    deflated = deflated_sharpe(returns[:, best], session_sharpe(returns))
    blocks = next((blocks for blocks in BLOCKS if len(returns) // blocks >= 20), None)
    return Judged(
        sweep=result,
        best=best,
        base=base,
        deflated=deflated,
        luck=annual_sharpe(deflated.luck, found[best]["ann_vol"]),
        overfitting=cscv(returns, blocks=blocks, criterion=result.criterion)
        if blocks and returns.shape[1] > 1
        else None,
        intervals=confidence(returns[:, best], base, draws=draws, level=level),
    )


def params_in_words(params: Params) -> str:
    """target_vol 0.1, dd_threshold1 0.05."""
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in params.items())


def value_in_words(value: Any) -> str:
    """0.1, 252, ME: a parameter's value to print."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def in_words(judged: Judged) -> list[str]:
    """What to think of the best try, one sentence or two a line."""
    d, tries = judged.deflated, len(judged.sweep.good)
    own = judged.intervals["dynamic"]
    gain = judged.intervals["difference"]["sharpe"]
    lines = [
        f"Best: {params_in_words(judged.winner.params)}. With {100 * gain.level:g} % intervals: Sharpe ratio "
        f"{_with_ends(own['sharpe'])}, return {_with_ends(own['ann_ret'], 100)} %, max drawdown "
        f"{_with_ends(own['max_drawdown'], 100)} %."
    ]
    if tries > 1:
        lines.append(
            f"Of {tries} tries, luck alone would give a Sharpe of {judged.luck:.2f}; yours is "
            f"{own['sharpe'].estimate:.2f}. That it is more than the luck of choosing has a probability of "
            f"{100 * d.probability:.0f} % (deflated Sharpe ratio); more than nothing, {100 * d.zero:.0f} %."
        )
    years = d.sessions / 252
    needed = (
        "no record would show it"
        if not np.isfinite(d.needed)
        else f"{d.needed / 252:.1f} years of record would"
    )
    lines.append(
        f"To be 95 % sure that it is more than luck, {needed}; there are {years:.1f} (minimum track record length)."
    )
    if judged.overfitting is not None:
        lines.append(
            f"Chosen on half of the sessions, the best try was in the worse half of all tries on the other "
            f"{100 * judged.overfitting.probability:.0f} % of the time (probability of backtest overfitting; "
            "50 % is what a blind choice does)."
        )
    sure = "" if gain.low > 0.0 or gain.high < 0.0 else ": not told apart from none"
    lines.append(
        f"Against the base portfolio its Sharpe ratio differs by {gain.estimate:+.2f}, "
        f"between {gain.low:+.2f} and {gain.high:+.2f}{sure}."
    )
    failed = len(judged.sweep.tries) - tries
    if failed:
        first = next(one for one in judged.sweep.tries if one.reason is not None)
        lines.append(
            f"{failed} of {len(judged.sweep.tries)} tries failed; the first, {params_in_words(first.params)}: "
            f"{first.reason}"
        )
    if judged.sweep.panel.synthetic:
        lines.append("The market is synthetic: none of this happened.")
    return lines


def _with_ends(interval: Interval, scale: float = 1.0) -> str:
    estimate, low, high = (scale * x for x in (interval.estimate, interval.low, interval.high))
    return f"{estimate:.2f} ({low:.2f} to {high:.2f})"


def ranking_rows(judged: Judged, most: int = 10) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of a table of the best tries, best first; return, volatility and drawdown in per cent."""
    result, found = judged.sweep, judged.sweep.statistics
    rows = []
    for place in judged.ranking[:most]:
        one, s = result.good[place], found[place]
        values = map(value_in_words, one.params.values())
        percent = [f"{100 * s[name]:.2f}" for name in ("ann_ret", "ann_vol", "max_drawdown")]
        rows.append([str(one.number), *values, f"{s['sharpe']:.3f}", *percent])
    return ["try", *(d.name for d in result.dimensions), "Sharpe", "return", "vol", "max dd"], rows


def interval_rows(intervals: Mapping[str, Mapping[str, Interval]]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of a table of intervals; return and drawdown in per cent."""
    rows = []
    for leg, name in (("base", "base"), ("dynamic", "dynamic"), ("difference", "dynamic − base")):
        found = intervals[leg]
        cells = [(found["sharpe"], 1, 2), (found["ann_ret"], 100, 1), (found["max_drawdown"], 100, 1)]
        rows.append(
            [name, *(f"{k * i.estimate:.{d}f} [{k * i.low:.{d}f}, {k * i.high:.{d}f}]" for i, k, d in cells)]
        )
    level = intervals["dynamic"]["sharpe"].level
    return [f"{100 * level:g} % intervals", "Sharpe", "return %", "max drawdown %"], rows


# -- files -------------------------------------------------------------------------------------------------------------


def sweep_frame(result: Sweep) -> pd.DataFrame:
    """One row a try, index its number: parameters, statistics on the shared sessions (fractions), reason."""
    found = {one.number: s for one, s in zip(result.good, result.statistics, strict=True)}
    rows = [{**one.params, **found.get(one.number, {}), "reason": one.reason or ""} for one in result.tries]
    return pd.DataFrame(rows, index=pd.Index([one.number for one in result.tries], name="try"))


def intervals_summary(intervals: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
    """Intervals JSON-able: leg -> statistic -> estimate, low, high, level."""
    return {leg: {name: vars(one) for name, one in found.items()} for leg, found in intervals.items()}


def sweep_summary(judged: Judged) -> dict[str, Any]:
    """Everything that describes a sweep, JSON-able, fractions; `config` is the best try's and runs it again."""
    result, d = judged.sweep, judged.deflated
    found = {one.number: s for one, s in zip(result.good, result.statistics, strict=True)}
    first = result.sessions[0]
    before = int(result.panel.sessions.searchsorted(first)) - 1
    return {
        "best": {"try": judged.winner.number, "params": judged.winner.params},
        "judgement": {
            "tries": len(result.good),
            "luck_sharpe": judged.luck,
            "deflated_sharpe_ratio": d.probability,
            "probabilistic_sharpe_ratio": d.zero,
            "minimum_track_record_years": d.needed / 252,
            "track_record_years": d.sessions / 252,
            "probability_of_backtest_overfitting": None
            if judged.overfitting is None
            else judged.overfitting.probability,
            "intervals": intervals_summary(judged.intervals),
            "in_words": in_words(judged),
        },
        "search": result.search,
        "criterion": result.criterion,
        "grid": [str(dimension) for dimension in result.dimensions],
        "tries": [
            {"try": one.number, "params": one.params, **found.get(one.number, {}), "reason": one.reason}
            for one in result.tries
        ],
        "config": result.config_of(judged.winner),
        "data": data_summary(result.panel, result.panel.sessions[before], first),
        "versions": versions(),
    }
