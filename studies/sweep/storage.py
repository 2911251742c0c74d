"""What is kept of sweeps: finished tries as rows of one table, in an SQLite file or a PostgreSQL database."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from riskoverlay.errors import InputError, require
from riskoverlay.feeds import Panel

from ..workbench.parameters import Config
from ..workbench.summaries import FORMAT, check_format, versions
from .rows import checksum, key_of_row, prices_hash, row_of
from .space import Params
from .tries import Outcome
from .words import params_in_words

require("sqlalchemy", "sweep", "a storage of tries")

import sqlalchemy as sa  # noqa: E402

from .database import KIND, failure, insert_missing, is_postgres, open_database  # noqa: E402
from .tables import JUDGEMENTS, STUDIES, TRIES, make_tables  # noqa: E402

__all__ = ["StudyStorage"]

MOST_ROWS, MOST_SECONDS = 64, 1.0
"""What waits to be written: so many rows, or so much time since the last were, or of computing that would be lost."""

Kept = tuple[npt.NDArray[np.float64], str | None]
"""Returns of a try, (0,) of one that failed, and why it failed."""


class StudyStorage:
    """Finished tries of a study, which belongs to one set of prices; at the end of a `with` all of them are written.

    A try is kept by its whole configuration, so it does not matter which grid or criterion has asked for it: a grid
    that grows, by values or by a parameter that was fixed before, finds what was tried.

    Parameters
    ----------
    storage, study, panel
        As `sweep`.
    wanted : mapping
        Key -> parameters of what is to be tried.
    engine : str
        As `sweep`: a study belongs to one.

    Attributes
    ----------
    name : str
        Of the storage, without its password.
    found : dict
        Key -> (returns, reason) of what is wanted and was there.
    count : int
        Tries of what is wanted that are in the storage.

    Raises
    ------
    InputError
        A storage that cannot be opened, was made before or by a newer program, or holds a sweep of other prices or of
        the other engine; a try that was altered.
    """

    def __init__(self, storage: str, study: str, panel: Panel, wanted: Mapping[str, Params], engine: str) -> None:
        self.name, self._engine = open_database(storage)
        self._study, self._wanted = study, wanted
        self._waiting: list[dict[str, Any]] = []
        self._written = -np.inf
        with self._failing("cannot be opened", "" if is_postgres(self._engine) else KIND):
            make_tables(self._engine, self.name)
            number = self._claim(prices_hash(panel), engine)
        with self._failing("cannot be read"):
            self.found: dict[str, Kept] = self._read(number)
        self.count = len(self.found)

    @contextmanager
    def _failing(self, problem: str, otherwise: str = "") -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise failure(error, self.name, problem, otherwise) from None

    def _claim(self, prices: str, engine: str) -> int:
        """Make a new study that of these prices; refuse one of others, or of another engine. The study's format."""
        mine = {"study": self._study, "prices": prices, "engine": engine, "format": FORMAT}
        mine |= {"versions": json.dumps(versions())}
        asked = sa.select(STUDIES.c.prices, STUDIES.c.engine, STUDIES.c.format).where(STUDIES.c.study == self._study)
        with self._engine.connect() as connection:
            known = connection.execute(asked).one_or_none()
        if known is None:
            with self._engine.begin() as connection:
                connection.execute(insert_missing(self._engine, STUDIES), [mine])
                known = connection.execute(asked).one()
        number = check_format(known.format, f"study={self._study!r} in {self.name}")
        if known.prices != prices:
            raise InputError(
                f"{self.name} holds a sweep of other prices",
                "give those it was begun with, another --storage, or another --study",
            )
        if known.engine != engine:
            raise InputError(
                f"{self.name} holds a sweep by the engine {known.engine}, which differs in the last digit",
                f"give --engine {known.engine}, another --storage, or another --study",
            )
        return number

    def _read(self, number: int) -> dict[str, Kept]:
        """What is wanted and there; every try of the study is checked."""
        found: dict[str, Kept] = {}
        with self._engine.connect() as connection:
            asked = sa.select(TRIES).where(TRIES.c.study == self._study)
            rows = connection.execute(asked.execution_options(yield_per=256))
            for row in rows.mappings():
                self._check(TRIES, row)
                key = key_of_row(row, number)
                if key is not None and key in self._wanted:
                    found.setdefault(key, (np.frombuffer(row["returns"], "<f8").astype(float), row["reason"]))
        return found

    def _check(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        """Refuse a row that is not as it was written."""
        if checksum(row) == row["checksum"]:
            return
        what = f"the try {self._tried(row)}" if table is TRIES else "a judgement"
        study, key = (str(row[name]).replace("'", "''") for name in ("study", "key"))
        raise InputError(
            f"holds {what}, which was altered after it was kept",
            f"delete the row (delete from {table.name} where study = '{study}' and key = '{key}'), "
            "it is made again; or give another --study",
            "storage",
            self.name,
        )

    def _tried(self, row: Mapping[str, Any]) -> str:
        """The parameters of a row to print, those that are varied; its key, if nobody knows them."""
        if row["key"] in self._wanted:
            return params_in_words(self._wanted[row["key"]])
        try:
            config = json.loads(row["config"])
            return params_in_words({name: config[name] for name in next(iter(self._wanted.values()))})
        except (ValueError, TypeError, KeyError):
            return f"of key {row['key']}"

    def add(self, config: Config, outcome: Outcome) -> None:
        """Keep a finished try, together with others that finish at once.

        Parameters
        ----------
        config : Config
            Its whole configuration.
        outcome : Outcome
        """
        self._waiting.append(row_of(self._study, config, outcome))
        computed = sum(row["seconds"] for row in self._waiting)
        since = monotonic() - self._written
        if len(self._waiting) >= MOST_ROWS or max(computed, since) >= MOST_SECONDS:
            self._write()

    def _write(self) -> None:
        """Write what waits, in one transaction; rows that another process has written are left as they are."""
        rows = self._waiting
        if not rows:
            return
        try:
            with self._engine.begin() as connection:
                connection.execute(insert_missing(self._engine, TRIES), rows)
        except sa.exc.SQLAlchemyError as error:
            self._waiting = []  # it is not tried once more on the way out
            others = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            tried = f"{self._tried(rows[0])}{others}"
            problem = f"cannot keep the try {tried} {{why}}; {self.count} of {len(self._wanted)} tries were kept before"
            raise failure(error, self.name, problem) from None
        self._waiting, self.count, self._written = [], self.count + len(rows), monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

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
        key = hashlib.sha256(text.encode()).hexdigest()
        asked = sa.select(JUDGEMENTS).where(JUDGEMENTS.c.study == self._study, JUDGEMENTS.c.key == key)
        kept = f"all {self.count} tries are kept"
        with self._failing(f"cannot recall the judgement {{why}}; {kept}"), self._engine.connect() as connection:
            known = connection.execute(asked).mappings().one_or_none()
        if known is not None:
            self._check(JUDGEMENTS, known)
            return json.loads(known["content"])
        row = {"study": self._study, "key": key, "content": json.dumps(make())}
        with self._failing(f"cannot keep the judgement {{why}}; {kept}"), self._engine.begin() as connection:
            connection.execute(insert_missing(self._engine, JUDGEMENTS), [row | {"checksum": checksum(row)}])
        return json.loads(row["content"])
