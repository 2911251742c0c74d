"""The database of a storage: which one it is, its name without a password, and what its failures mean."""

from typing import Any

from riskoverlay.errors import InputError, require

require("sqlalchemy", "sweep", "a storage of tries")

import sqlalchemy as sa  # noqa: E402

__all__ = ["KIND", "LOCKED_SECONDS", "failure", "insert_missing", "is_postgres", "open_database"]

LOCKED_SECONDS = 30
"""How long a storage that another program holds is waited for."""

SERVER = {"connect_timeout": 10, "tcp_user_timeout": 30_000}
"""Of libpq: seconds, milliseconds. A server that is gone without a word would be waited for a quarter of an hour."""

SECRET = ("password", "sslpassword")
"""What a URL's query may hold that no message shows."""

KIND = "give a path for SQLite, or a URL such as postgresql://user@host/name"

GO_ON = "then the same command goes on from there"
DAMAGED = "the file is damaged, give another --storage or a copy of the file from before"
CURES = {
    "SQLITE_FULL": f"make room, {GO_ON}",
    "SQLITE_READONLY_DBMOVED": f"put the file back, {GO_ON}",
    "SQLITE_READONLY": f"make the file and its folder writable, {GO_ON}",
    "SQLITE_BUSY": f"end the program that holds it, {GO_ON}",
    "SQLITE_LOCKED": f"end the program that holds it, {GO_ON}",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_NOTADB": DAMAGED,
    "SQLITE_ERROR": DAMAGED,  # no such table, no such column: an empty file in its place
    "SQLITE_IOERR": f"see to the disk, {GO_ON}",
    "53100": f"make room on the server, {GO_ON}",
    "55P03": f"end the program that holds its tables, {GO_ON}",
}
"""The beginning of SQLite's name of an error, or PostgreSQL's SQLSTATE -> what to do about it."""


def open_database(storage: str) -> tuple[str, sa.Engine]:
    """Find the driver of a storage; nothing is opened yet.

    A connection lasts for a transaction: a server may be started again between two of them.

    Parameters
    ----------
    storage : str
        Path of an SQLite file, or a URL of SQLite or PostgreSQL.

    Returns
    -------
    name : str
        Of the storage, without its password.
    engine : sqlalchemy.Engine

    Raises
    ------
    InputError
        A URL that cannot be read, or of another kind of database.
    MissingExtraError
        The driver of PostgreSQL is not installed.
    """
    url = _url(storage)
    kind = url.get_backend_name()
    shown = url.difference_update_query(SECRET).render_as_string(hide_password=True)
    name = str(url.database) if kind == "sqlite" else shown
    if kind not in ("sqlite", "postgresql"):
        raise InputError(f"cannot be opened ({kind} is neither SQLite nor PostgreSQL)", KIND, "storage", name)
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise InputError("keeps nothing", "give the path of a file", "storage", name)
    given: dict[str, Any] = {"timeout": LOCKED_SECONDS}
    if kind == "postgresql":
        if url.drivername == "postgresql":
            require("psycopg", "postgres", "a storage in PostgreSQL")
            url = url.set(drivername="postgresql+psycopg")
        given = {name: value for name, value in SERVER.items() if name not in url.query}
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args=given)
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        raise InputError(f"cannot be opened ({_line_of(error)})", KIND, "storage", name) from None
    if kind == "postgresql":
        sa.event.listen(engine, "begin", _limit_locks)
    else:
        sa.event.listen(engine, "connect", _read_any_text)
    return name, engine


def _limit_locks(connection: Any) -> None:
    connection.exec_driver_sql(f"set local lock_timeout = '{LOCKED_SECONDS}s'")


def _read_any_text(connection: Any, _: Any) -> None:
    """Text that was altered need not be UTF-8: it is told by its checksum, and its row by its key."""
    connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")


def _url(storage: str) -> Any:
    """A path as the URL of an SQLite file. What cannot be read is not repeated: a password may be in it."""
    if "://" not in storage:
        return sa.URL.create("sqlite", database=storage)
    try:
        url = sa.make_url(storage)
    except (sa.exc.ArgumentError, ValueError):
        url = None
    if url is None or "@" in (url.host or ""):
        raise InputError(
            f"the URL of the storage, {storage.partition('://')[0]}://..., cannot be read",
            "give postgresql://user:password@host:port/name, a @ of the password as %40",
        )
    return url.set(drivername="postgresql") if url.drivername == "postgres" else url


def is_postgres(engine: sa.Engine) -> bool:
    """Whether it is a server, whose tables are made under a lock."""
    return bool(engine.dialect.name == "postgresql")


def insert_missing(engine: sa.Engine, table: sa.Table) -> Any:
    """An `insert` into a table that leaves rows alone which are there, such as those of another process.

    Parameters
    ----------
    engine : sqlalchemy.Engine
    table : sqlalchemy.Table

    Returns
    -------
    sqlalchemy.Insert
    """
    if is_postgres(engine):
        from sqlalchemy.dialects import postgresql as dialect
    else:
        from sqlalchemy.dialects import sqlite as dialect
    return dialect.insert(table).on_conflict_do_nothing()


def failure(error: Exception, name: str, problem: str, otherwise: str = "") -> InputError:
    """What a database's error means to a user, in one line.

    Parameters
    ----------
    error : sqlalchemy.exc.SQLAlchemyError
    name : str
        Of the storage.
    problem : str
        What could not be done; may hold "{why}", else the reason follows it.
    otherwise : str
        Cure, where the error is none that is known.

    Returns
    -------
    InputError
        To be raised.
    """
    cause = getattr(error, "orig", None) or error
    code = str(getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or "")
    what = "its file and folder can be written" if code.startswith("SQLITE") else "it can be reached"
    known = next((cure for start, cure in CURES.items() if code.startswith(start)), None)
    why = f"({_line_of(cause)})"
    said = problem.replace("{why}", why) if "{why}" in problem else f"{problem} {why}"
    return InputError(said, known or otherwise or f"see that {what}, {GO_ON}", "storage", name)


def _line_of(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
