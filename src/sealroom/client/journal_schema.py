"""The journal's tables and how its file is opened.

Must never: replace a journal that cannot be read by an empty one, or let a noted row be changed or removed.
Spec: docs/spec/journal.md.
"""

import os
import sqlite3
from pathlib import Path

from sealroom.core.errors import MalformedError

APPLICATION_ID = 0x5EA1_0001
VERSION = 1
_BUSY_SECONDS = 30.0

_TABLES = """
CREATE TABLE computation (
    uuid BLOB PRIMARY KEY CHECK (length(uuid) = 16),
    terms BLOB NOT NULL CHECK (length(terms) = 16),
    created_here INTEGER NOT NULL CHECK (created_here IN (0, 1)),
    noted_at TEXT NOT NULL
) STRICT;
CREATE TABLE registration (
    uuid BLOB NOT NULL REFERENCES computation (uuid),
    role INTEGER NOT NULL CHECK (role IN (1, 2, 3)),
    email TEXT NOT NULL,
    public_key BLOB NOT NULL CHECK (length(public_key) = 32),
    noted_at TEXT NOT NULL,
    PRIMARY KEY (uuid, role)
) STRICT;
CREATE TABLE upload (
    uuid BLOB NOT NULL REFERENCES computation (uuid),
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    noted_at TEXT NOT NULL,
    PRIMARY KEY (uuid, name),
    UNIQUE (uuid, position)
) STRICT;
CREATE TABLE commitment (
    uuid BLOB PRIMARY KEY REFERENCES computation (uuid),
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    list BLOB NOT NULL,
    noted_at TEXT NOT NULL
) STRICT;
CREATE TABLE code (
    number INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL REFERENCES computation (uuid),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    noted_at TEXT NOT NULL
) STRICT;
CREATE TABLE reviewed (
    uuid BLOB PRIMARY KEY REFERENCES computation (uuid),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    noted_at TEXT NOT NULL
) STRICT;
CREATE TABLE delivery (
    mrenclave BLOB NOT NULL CHECK (length(mrenclave) = 32),
    role INTEGER NOT NULL CHECK (role IN (1, 2, 3)),
    uuid BLOB NOT NULL REFERENCES computation (uuid),
    agreement BLOB NOT NULL CHECK (length(agreement) = 32),
    identity_pk BLOB NOT NULL CHECK (length(identity_pk) = 32),
    wire BLOB NOT NULL CHECK (length(wire) = 402),
    bundle_sha256 BLOB NOT NULL CHECK (length(bundle_sha256) = 32),
    noted_at TEXT NOT NULL,
    answered_at TEXT,
    answer TEXT,
    PRIMARY KEY (mrenclave, role)
) STRICT;
CREATE TABLE refusal (
    mrenclave BLOB PRIMARY KEY CHECK (length(mrenclave) = 32),
    uuid BLOB NOT NULL REFERENCES computation (uuid),
    reason TEXT NOT NULL,
    envelope BLOB NOT NULL,
    noted_at TEXT NOT NULL
) STRICT;
CREATE TABLE received (
    uuid BLOB NOT NULL REFERENCES computation (uuid),
    mrenclave BLOB NOT NULL CHECK (length(mrenclave) = 32),
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) IN (0, 32)),
    noted_at TEXT NOT NULL,
    PRIMARY KEY (uuid, mrenclave, name)
) STRICT;
"""

_FINAL_TABLES = ("computation", "commitment", "code", "registration", "refusal")
_NO_CHANGE = """
CREATE TRIGGER {table}_is_final_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the journal does not forget'); END;
"""
# Of a delivery only the answer may change, and only once it is there.
_DELIVERY_IS_FINAL = """
CREATE TRIGGER delivery_is_final BEFORE UPDATE OF
    mrenclave, role, uuid, agreement, identity_pk, wire, bundle_sha256, noted_at ON delivery
BEGIN SELECT RAISE(ABORT, 'the journal does not forget'); END;
"""


def open_journal(path: Path, *, may_create: bool) -> sqlite3.Connection:
    """Open the journal at `path`; make it when it is not there and `may_create` says so.

    Raises `MalformedError` for a file that is not a journal of this version, or is missing and must not be.
    """
    if not path.exists() and not may_create:
        raise MalformedError(
            "journal: missing beside computations of this home; put it back before going on, "
            "because it holds what was delivered already"
        )
    # SQLite would create the file with the process's mask.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    try:
        _configure(connection)
        _check_or_create(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise MalformedError(f"journal: {path} cannot be read: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    # A REPLACE would delete the old row without asking its trigger.
    connection.execute("PRAGMA recursive_triggers = ON")


def _check_or_create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        application_id = _pragma(connection, "application_id")
        version = _pragma(connection, "user_version")
        empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
        if empty and application_id == 0 and version == 0:
            _create(connection)
        elif application_id != APPLICATION_ID:
            raise MalformedError("journal: not a journal of sealroom")
        elif version != VERSION:
            raise MalformedError(f"journal: version: expected {VERSION}, got {version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create(connection: sqlite3.Connection) -> None:
    statements = [statement for statement in _TABLES.split(";\n") if statement.strip()]
    for table in _FINAL_TABLES:
        statements += [_NO_CHANGE.format(table=table, verb=verb) for verb in ("UPDATE", "DELETE")]
    statements += [_DELIVERY_IS_FINAL, _NO_CHANGE.format(table="delivery", verb="DELETE")]
    for statement in statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
