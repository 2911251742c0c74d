"""What is kept of sweeps: finished tries, each by what it was run with, by Optuna in a file or a database."""

import base64
import datetime as dt
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, PriceSelection

from ..workbench.parameters import PARAMETERS, Config, make_config, shown_parameters
from ..workbench.summaries import FORMAT, check_format, versions, with_older_meanings
from .space import Dimension, Params, distributions
from .tries import Outcome

__all__ = ["StudyStorage", "key_of", "pack", "unpack"]

ONCE = "sweep"
"""Where a study of before tries were kept by their parameters says what is the same for all of them."""

Kept = tuple[npt.NDArray[np.float64], str | None]
"""Returns of a try, and why it failed."""


NAMES = tuple(name for name in PARAMETERS if name not in shown_parameters(PriceSelection))
"""Every parameter but those that choose the prices."""


def key_of(config: Config) -> str:
    """What a try is found by: a hash of every parameter but those that choose the prices.

    Parameters
    ----------
    config : Config
        With the rates that `auto` came to.

    Returns
    -------
    str
    """
    return hashlib.sha256(json.dumps(_plain(config), sort_keys=True, default=repr).encode()).hexdigest()


def _plain(config: Config) -> dict[str, Any]:
    """Every parameter that makes a try, of its type; a rate by date as its dates and numbers."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            value = pd.Series(dict(value))
        return [[str(day), float(rate)] for day, rate in value.items()] if isinstance(value, pd.Series) else value

    return {name: plain(value) for name, value in make_config(config).items() if name in NAMES}


def pack(returns: npt.NDArray[np.float64]) -> str:
    """Numbers as text, to the last bit."""
    return base64.b64encode(returns.astype("<f8").tobytes()).decode()


def unpack(text: str) -> npt.NDArray[np.float64]:
    """What `pack` was given."""
    return np.frombuffer(base64.b64decode(text), dtype="<f8").astype(float)


class StudyStorage:
    """Finished tries in an Optuna study, which belongs to one set of prices.

    A try is kept by its whole configuration, so it does not matter which grid, search or criterion has asked for it: a
    grid that grows, by values or by a parameter that was fixed before, finds what was tried.

    Parameters
    ----------
    storage, study, panel, dimensions
        As `sweep`.

    Attributes
    ----------
    name : str
        Of the storage, without its password.

    Raises
    ------
    InputError
        A storage that cannot be opened, or holds a sweep of other prices.
    """

    def __init__(self, storage: str | None, study: str, panel: Panel, dimensions: Sequence[Dimension]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        # Words are kept beside: Optuna wants to know all of a parameter's words before the first try.
        self._distributions = distributions([dimension for dimension in dimensions if dimension.numeric])
        self.name, self._study = _open_study(optuna, storage, study)
        self._claim(_prices_hash(panel), study)
        self._known = self._read()

    def _claim(self, prices: str, study: str) -> None:
        """Make a new study that of these prices; refuse one of others."""
        attrs = self._study.user_attrs
        known = attrs.get("prices") or attrs.get(ONCE, {}).get("prices")
        if known is None:
            if self._study.trials:
                raise InputError(
                    f"study={study!r} in {self.name} was not made by a sweep", "give another --study or --storage"
                )
            for name, value in (("prices", prices), ("format", FORMAT), ("versions", versions())):
                self._study.set_user_attr(name, value)
            return
        check_format(attrs.get("format"), f"study={study!r} in {self.name}")
        if known != prices:
            raise InputError(
                f"{self.name} holds a sweep of other prices",
                "give those it was begun with, another --storage, or another --study",
            )

    def _read(self) -> dict[str, Kept]:
        """Finished tries by key, those of an older study by what they meant."""
        number, older = self._study.user_attrs.get("format", 0), self._study.user_attrs.get(ONCE, {})
        found: dict[str, Kept] = {}
        for trial in self._study.get_trials(deepcopy=False):
            attrs = trial.user_attrs
            if not trial.state.is_finished():
                continue
            config = with_older_meanings(attrs.get("config") or {**older, **trial.params}, number)
            meant = {name: value for name, value in config.items() if name in NAMES}
            if len(meant) == len(NAMES):  # else nobody knows what it was run with
                found.setdefault(key_of(meant), (unpack(attrs.get("returns", "")), attrs.get("reason")))
        return found

    def find(self, config: Config) -> Kept | None:
        """A try that is kept.

        Parameters
        ----------
        config : Config
            Its whole configuration.

        Returns
        -------
        returns : ndarray of shape (m,)
            (0,) of one that failed.
        reason : str or None
            Why it failed. Or None in place of both: it has not been tried.
        """
        return self._known.get(key_of(config))

    def add(self, config: Config, params: Params, outcome: Outcome) -> None:
        """Keep a finished try, in one transaction.

        Parameters
        ----------
        config : Config
            Its whole configuration.
        params : Params
            What was tried, of it.
        outcome : Outcome
        """
        states = self._optuna.trial.TrialState
        numbers = {name: value for name, value in params.items() if name in self._distributions}
        good = outcome.reason is None
        attrs: dict[str, Any] = {"config": json.loads(json.dumps(_plain(config), default=repr))}
        attrs |= {**outcome.statistics, "returns": pack(outcome.returns)} if good else {"reason": outcome.reason}
        trial = self._optuna.trial.create_trial(
            state=states.COMPLETE if good else states.FAIL,
            value=outcome.statistics["excess_sharpe"] if good else None,
            params=numbers,
            distributions={name: self._distributions[name] for name in numbers},
            user_attrs=attrs,
        )
        if trial.datetime_complete is not None:
            trial.datetime_start = trial.datetime_complete - dt.timedelta(seconds=outcome.seconds)
        self._study.add_trial(trial)

    def recall(self, what: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What is computed from tries, and takes long: once.

        Parameters
        ----------
        what : mapping
            All that it depends on.
        make : callable
            Computes it; JSON has to know how to write it.

        Returns
        -------
        object
        """
        text = json.dumps({**what, "versions": versions()}, sort_keys=True)
        name = "recalled " + hashlib.sha256(text.encode()).hexdigest()
        if name not in self._study.user_attrs:
            self._study.set_user_attr(name, make())
        return self._study.user_attrs[name]


def _open_study(optuna: Any, storage: str | None, study: str) -> tuple[str, Any]:
    """The name of a storage without its password, and the study in it."""
    import sqlalchemy

    name = str(storage)
    url = None if storage is None else storage if "://" in storage else f"sqlite:///{storage}"
    try:
        if url is not None:
            name = sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
            name = name.removeprefix("sqlite:///")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return name, optuna.create_study(storage=url, study_name=study, direction="maximize", load_if_exists=True)
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ImportError) as error:
        cause = error.__cause__ or error
        line = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise InputError(
            f"storage={name!r} cannot be opened ({line})",
            "give a path for SQLite, or a URL such as postgresql://user@host/name with its driver installed",
        ) from None


def _prices_hash(panel: Panel) -> str:
    """Of bars and dated rates."""
    digest = hashlib.sha256(panel.sha256.encode())
    for name, rate in panel.rates.items():
        digest.update(name.encode())
        digest.update(pd.DatetimeIndex(rate.index).to_numpy().astype("datetime64[D]").astype("<i8").tobytes())
        digest.update(rate.to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()
