"""What is kept of a sweep while it runs: finished tries, by Optuna, in a file or a database."""

import base64
import datetime as dt
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskoverlay.errors import InputError
from riskoverlay.feeds import Panel, PriceSelection

from ..workbench.parameters import Config, shown_parameters
from ..workbench.summaries import FORMAT, check_format, versions, with_older_meanings
from .space import Dimension, Params, distributions
from .tries import CRITERIA, Outcome, Try

__all__ = ["StudyStorage"]


class StudyStorage:
    """A sweep's finished tries in an Optuna study, which belongs to one set of prices and parameters.

    Parameters
    ----------
    storage, study, panel, config, dimensions
        As `sweep`.
    plan : mapping
        What else makes the tries: search, criterion, grid, seed.

    Raises
    ------
    InputError
        A storage that cannot be opened, or holds a sweep of something else.
    """

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

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._criterion = CRITERIA[plan["criterion"]]
        self._distributions = distributions(dimensions)
        self.name, self._study = _open_study(optuna, storage, study)
        searched = {dimension.name for dimension in dimensions}
        prices = shown_parameters(PriceSelection)
        fixed = {name: value for name, value in config.items() if name not in searched and name not in prices}
        identity = {"prices": _prices_hash(panel), **plan, **fixed}
        self._claim(json.loads(json.dumps(identity, default=repr)), study)

    def _claim(self, identity: dict[str, Any], study: str) -> None:
        """Make a new study this sweep's; refuse one of another."""
        known = self._study.user_attrs.get("sweep")
        if known is None:
            if self._study.trials:
                raise InputError(
                    f"study={study!r} in {self.name} was not made by a sweep", "give another --study or --storage"
                )
            for name, value in (("sweep", identity), ("format", FORMAT), ("versions", versions())):
                self._study.set_user_attr(name, value)
            return
        number = check_format(self._study.user_attrs.get("format"), f"study={study!r} in {self.name}")
        known = with_older_meanings(known, number)
        differing = [name for name in {**known, **identity} if known.get(name) != identity.get(name)]
        if not differing:
            return
        what = [
            "other prices"
            if name == "prices"
            else f"{name}={_short(known.get(name))}, not {_short(identity.get(name))}"
            for name in differing
        ]
        raise InputError(
            f"{self.name} holds a sweep {'of' if differing[0] == 'prices' else 'with'} {'; '.join(what)}",
            "give the flags it was begun with, another --storage, or another --study",
        )

    def read(self) -> dict[int, Try]:
        """Finished tries.

        Returns
        -------
        dict
            By number.
        """
        found: dict[int, Try] = {}
        for trial in self._study.get_trials(deepcopy=False):
            attrs = trial.user_attrs
            if "try" in attrs and trial.state.is_finished():
                returns = np.frombuffer(base64.b64decode(attrs.get("returns", "")), dtype="<f8")
                found.setdefault(
                    attrs["try"], Try(attrs["try"], dict(trial.params), returns.astype(float), attrs.get("reason"))
                )
        return found

    def add(self, number: int, params: Params, outcome: Outcome) -> Try:
        """Store a finished try, in one transaction.

        Parameters
        ----------
        number : int
        params : Params
        outcome : Outcome

        Returns
        -------
        Try
        """
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


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
