"""The record's door: one engine, transactions that write, sessions that only read.

SQLite: write-ahead log, `BEGIN IMMEDIATE` for writes (so that two writers queue instead of failing half-way), foreign
keys on. PostgreSQL: psycopg 3, row locks, a limit on every statement and lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from fleet.errors import Conflict, Unavailable
from fleet.settings import get_settings

BUSY_TIMEOUT_S = 15
STATEMENT_TIMEOUT_S = 30
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


class Database:
    """One database, by URL (`sqlite:///path` or `postgresql://…`)."""

    def __init__(self, url: str) -> None:
        self.url = normalise_url(url)
        self.engine = _create_engine(self.url)
        self._reader = self.engine.execution_options(palebluedot_read_only=True, **_reader_options(self.engine))
        self._write_sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._read_sessions = sessionmaker(self._reader, expire_on_commit=False, autoflush=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose work is committed when the block ends well and undone when it raises."""
        with _mapped_errors(), self._write_sessions() as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that cannot write."""
        with _mapped_errors(), self._read_sessions() as session:
            yield session

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def normalise_url(url: str) -> str:
    """`postgres://` and `postgresql://` mean psycopg 3."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def _reader_options(engine: Engine) -> dict[str, Any]:
    return {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}


def _create_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("the record needs a database file: an in-memory SQLite is one database per connection")
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None})
        event.listen(engine, "connect", _sqlite_connected)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000} -c lock_timeout={BUSY_TIMEOUT_S * 1000}"
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        connect_args={"connect_timeout": 10, "options": f"{options} -c timezone=UTC"},
    )


def _sqlite_connected(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("palebluedot_read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only={1 if reading else 0}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        # two writers met at a unique index (a GPU held once, one name once): the index is the last word
        raise Conflict(
            "somebody else changed the same thing at the same moment",
            answer=str(error.orig).splitlines()[0],
            next="read the present state and try again",
        ) from error
    except OperationalError as error:
        raise Unavailable(
            "the record's database did not answer in time or is not prepared",
            answer=str(error.orig).splitlines()[0],
            next="try again; if it stays so look at the database, and run `palebluedot db upgrade` after an update",
        ) from error


_default: Database | None = None
_default_lock = threading.Lock()


def get_database() -> Database:
    """The process's database, from the settings; opened on first use."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Database(get_settings().database_url)
        return _default


def set_database(database: Database | None) -> None:
    """Replace the process's database (tests, the command line); None makes the next use open it anew."""
    global _default
    with _default_lock:
        if _default is not None and _default is not database:
            _default.dispose()
        _default = database


@contextmanager
def transaction() -> Iterator[Session]:
    """`with db.transaction() as session:` on the process's database."""
    with get_database().transaction() as session:
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """`with db.reading() as session:` on the process's database."""
    with get_database().reading() as session:
        yield session


def upgrade(url: str | None = None, revision: str = "head") -> None:
    """Bring the schema to `revision` with Alembic."""
    from alembic import command

    command.upgrade(alembic_config(url), revision)


def alembic_config(url: str | None = None) -> Any:
    """Alembic's configuration for a database URL (default: the settings')."""
    from alembic.config import Config

    url = normalise_url(url or get_settings().database_url)
    database = make_url(url).database
    if url.startswith("sqlite") and database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config
