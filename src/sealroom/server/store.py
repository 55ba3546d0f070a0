"""The database: opened, migrated and spoken to in transactions that either happen whole or not at all.

SQLite runs in WAL mode with full synchronisation, and a writing transaction takes the write lock before it
reads, so no transaction decides on what another is changing. On PostgreSQL services lock the computation's
row instead.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session

_WRITES = "sealroom_writes"


class Store:
    """Transactions over one engine: `read` sees one moment, `write` is committed when the block ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one moment and keeps nothing."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end of the block, or undone by an exception."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open the database at `url` and bring its schema to this release's."""
    # Parameters of a failed statement would bring tokens' hashes and deliveries into the log.
    engine = create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    migrate(engine)
    return Store(engine)


def migrate(engine: Engine) -> None:
    """Run the migrations that the database has not seen; they ship inside the package."""
    config = Config()
    config.set_main_option("script_location", "sealroom.server:migrations")
    config.set_main_option("path_separator", "os")
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _configure_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401 - of no declared type
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError(f"sqlite driver: got {type(connection).__name__}, expected the standard library's")
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
