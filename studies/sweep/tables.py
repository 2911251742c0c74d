"""The tables of a storage, and the version of them."""

from riskoverlay.errors import InputError, require

require("sqlalchemy", "sweep", "a storage of tries")

import sqlalchemy as sa  # noqa: E402

from .database import insert_missing, is_postgres  # noqa: E402

__all__ = ["JUDGEMENTS", "STUDIES", "TRIES", "make_tables"]

SCHEMA = 1
"""Version of the tables. Whoever changes them raises it."""

TABLES = sa.MetaData()
SCHEMAS = sa.Table("sweep_schema", TABLES, sa.Column("version", sa.Integer, primary_key=True))
STUDIES = sa.Table(
    "sweep_studies",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("prices", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("versions", sa.Text, nullable=False),
)
TRIES = sa.Table(
    "sweep_tries",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("config", sa.Text, nullable=False),
    sa.Column("statistics", sa.Text, nullable=False),
    sa.Column("returns", sa.LargeBinary, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Text, nullable=False),
    sa.Column("checksum", sa.Text, nullable=False),
)
JUDGEMENTS = sa.Table(
    "sweep_judgements",
    TABLES,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("checksum", sa.Text, nullable=False),
)

OPTUNA = {"studies", "trials", "study_user_attributes"}
"""Tables of storages that were made before."""

LOCK = 7264923
"""A number of ours among PostgreSQL's advisory locks."""


def make_tables(engine: sa.Engine, name: str) -> None:
    """Make what is missing. A process that was killed here, or another one that is here, too, does no harm.

    Parameters
    ----------
    engine : sqlalchemy.Engine
    name : str
        Of the storage.

    Raises
    ------
    InputError
        Tables of a newer program, or those that Optuna made for an older one.
    """
    there = set(sa.inspect(engine).get_table_names())
    if there >= OPTUNA and TRIES.name not in there:
        raise InputError("was made by an older riskoverlay, with Optuna", "give another --storage", "storage", name)
    if not TABLES.tables.keys() <= there or _version(engine) is None:
        with engine.begin() as connection:
            if is_postgres(engine):  # of two that make a table at once, one would fail
                connection.exec_driver_sql(f"select pg_advisory_xact_lock({LOCK})")
            for table in TABLES.sorted_tables:
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            connection.execute(insert_missing(engine, SCHEMAS), [{"version": SCHEMA}])
    version = _version(engine)
    if version != SCHEMA:
        raise InputError(
            f"has tables of version {version}, and this program knows {SCHEMA}",
            "give it a newer riskoverlay, or another --storage", "storage", name,
        )  # fmt: skip


def _version(engine: sa.Engine) -> int | None:
    with engine.connect() as connection:
        found: int | None = connection.execute(sa.select(sa.func.max(SCHEMAS.c.version))).scalar_one()
        return found
