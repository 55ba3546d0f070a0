"""The journal: what this participant saw, registered, committed to and sent, and must not do twice.

Guaranteed: a method that returns has made its row durable; what it describes is sent only afterwards. Must
never forget, or accept two answers to one question. Deliveries are in `delivery_journal`.
Spec: docs/spec/journal.md.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from sealroom.client.home import Home
from sealroom.client.journal_schema import open_journal
from sealroom.core.errors import VerificationError
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The key that this home registered for a role."""

    role: Role
    email: str
    public_key: bytes


class Journal:
    """One home's journal, open. Use as a context manager, or call `close`."""

    def __init__(self, home: Home) -> None:
        self._connection = open_journal(home.journal, may_create=not _has_computations(home))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def note_computation(self, computation: UUID, terms_prefix: bytes, *, created_here: bool = False) -> None:
        """Bind a UUID to the terms of its first invitation; raises `VerificationError` for other terms."""
        with self.transaction() as write:
            known = write.execute(
                "SELECT terms FROM computation WHERE uuid = ?", (computation.bytes,)
            ).fetchone()
            if known is None:
                write.execute(
                    "INSERT INTO computation VALUES (?, ?, ?, ?)",
                    (computation.bytes, terms_prefix, int(created_here), now_text()),
                )
            elif known["terms"] != terms_prefix:
                raise VerificationError(
                    f"computation {computation}: this uuid was seen before in a computation with other terms"
                )

    def terms_prefix(self, computation: UUID) -> bytes | None:
        """Return the terms bound to this UUID, if it was seen."""
        row = self.one("SELECT terms FROM computation WHERE uuid = ?", computation.bytes)
        return None if row is None else bytes(row["terms"])

    def note_registration(self, computation: UUID, registration: Registration) -> None:
        """Note a key before it is registered; raises `VerificationError` when the role has another one."""
        with self.transaction() as write:
            known = {noted.role: noted for noted in self.registrations(computation)}.get(registration.role)
            if known == registration:
                return
            if known is not None:
                raise VerificationError(
                    f"registration as {registration.role.value}: another key was registered"
                )
            write.execute(
                "INSERT INTO registration VALUES (?, ?, ?, ?, ?)",
                (
                    computation.bytes,
                    registration.role.code,
                    registration.email,
                    registration.public_key,
                    now_text(),
                ),
            )

    def registrations(self, computation: UUID) -> tuple[Registration, ...]:
        """Return what this home registered, in the order of the roles."""
        rows = self.all("SELECT * FROM registration WHERE uuid = ? ORDER BY role", computation.bytes)
        return tuple(map(_registration, rows))

    def note_code(self, computation: UUID, *, digest: bytes, signature: bytes) -> None:
        """Note a code list before its archive is sent."""
        with self.transaction() as write:
            if self.code_digests(computation)[-1:] == (digest,):
                return
            write.execute(
                "INSERT INTO code VALUES (NULL, ?, ?, ?, ?)",
                (computation.bytes, digest, signature, now_text()),
            )

    def code_digests(self, computation: UUID) -> tuple[bytes, ...]:
        """Return the digests of the code lists sent, oldest first."""
        rows = self.all("SELECT digest FROM code WHERE uuid = ? ORDER BY number", computation.bytes)
        return tuple(bytes(row["digest"]) for row in rows)

    def note_reviewed(self, computation: UUID, digest: bytes) -> None:
        """Note the code list that this participant looked at last: from now on, no other is expected."""
        with self.transaction() as write:
            write.execute(
                "INSERT INTO reviewed VALUES (?1, ?2, ?3) "
                "ON CONFLICT (uuid) DO UPDATE SET digest = ?2, noted_at = ?3",
                (computation.bytes, digest, now_text()),
            )

    def expected_code(self, computation: UUID) -> bytes | None:
        """Return the code list that this participant sent last, or else looked at last; `None` is any."""
        sent = self.code_digests(computation)
        row = self.one("SELECT digest FROM reviewed WHERE uuid = ?", computation.bytes)
        return sent[-1] if sent else None if row is None else bytes(row["digest"])

    def is_made_here(self, computation: UUID) -> bool:
        """Say whether this home's owner made the computation."""
        row = self.one("SELECT created_here FROM computation WHERE uuid = ?", computation.bytes)
        return row is not None and bool(row["created_here"])

    def note_upload(self, computation: UUID, file: InputFile) -> None:
        """Note a sealed file before it is uploaded; a second one under its name replaces it, in its place."""
        with self.transaction() as write:
            if self._committed(computation):
                raise VerificationError("inputs: the list was said to be done, and is final")
            write.execute(
                "INSERT INTO upload VALUES (?1, ?2, (SELECT coalesce(max(position), -1) + 1 FROM upload "
                "WHERE uuid = ?1), ?3, ?4, ?5) "
                "ON CONFLICT (uuid, name) DO UPDATE SET size = ?3, sha256 = ?4, noted_at = ?5",
                (computation.bytes, file.name, file.size, file.sha256, now_text()),
            )

    def uploads(self, computation: UUID) -> InputList:
        """Return the files noted so far, in their order."""
        rows = self.all("SELECT * FROM upload WHERE uuid = ? ORDER BY position", computation.bytes)
        files = (InputFile(name=row["name"], size=row["size"], sha256=bytes(row["sha256"])) for row in rows)
        return InputList(files=tuple(files))

    def forget_upload(self, computation: UUID, name: str) -> None:
        """Take a file back, which is possible until the list is final."""
        with self.transaction() as write:
            if self._committed(computation):
                raise VerificationError("inputs: the list was said to be done, and is final")
            write.execute("DELETE FROM upload WHERE uuid = ? AND name = ?", (computation.bytes, name))

    def note_commitment(self, computation: UUID, commitment: bytes, inputs: InputList) -> None:
        """Fix the input list; raises `VerificationError` when another one was fixed before.

        Also when `inputs` is no longer what was uploaded: another process may have added a file meanwhile,
        which would then neither be in the list nor could be taken back.
        """
        with self.transaction() as write:
            row = write.execute(
                "SELECT commitment FROM commitment WHERE uuid = ?", (computation.bytes,)
            ).fetchone()
            if row is None:
                if self.uploads(computation) != inputs:
                    raise VerificationError("inputs: the files changed meanwhile; say done again")
                write.execute(
                    "INSERT INTO commitment VALUES (?, ?, ?, ?)",
                    (computation.bytes, commitment, inputs.to_json(), now_text()),
                )
            elif row["commitment"] != commitment:
                raise VerificationError("inputs: another list was said to be done, and is final")

    def commitment(self, computation: UUID) -> tuple[bytes, InputList] | None:
        """Return the commitment and its list, once fixed."""
        row = self.one("SELECT * FROM commitment WHERE uuid = ?", computation.bytes)
        if row is None:
            return None
        return bytes(row["commitment"]), InputList.from_json(bytes(row["list"]))

    def note_received(self, computation: UUID, *, mrenclave: bytes, name: str, sha256: bytes) -> None:
        """Note a result that was opened and is stored."""
        with self.transaction() as write:
            write.execute(
                "INSERT INTO received VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (computation.bytes, mrenclave, name, sha256, now_text()),
            )

    def received(self, computation: UUID, mrenclave: bytes) -> frozenset[str]:
        """Return the names of the results of one enclave that are stored."""
        rows = self.all(
            "SELECT name FROM received WHERE uuid = ? AND mrenclave = ?", computation.bytes, mrenclave
        )
        return frozenset(row["name"] for row in rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction: durable when it ends, undone when it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def one(self, query: str, *values: bytes | str | int) -> sqlite3.Row | None:
        """Return the first row of a query, if there is one."""
        row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
        return row

    def all(self, query: str, *values: bytes | str | int) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def _committed(self, computation: UUID) -> bool:
        return self.one("SELECT 1 FROM commitment WHERE uuid = ?", computation.bytes) is not None


def _registration(row: sqlite3.Row) -> Registration:
    return Registration(
        role=Role.from_code(row["role"]), email=row["email"], public_key=bytes(row["public_key"])
    )


def now_text() -> str:
    """Return this machine's time as the journal writes it."""
    return datetime.now(UTC).isoformat()


def _has_computations(home: Home) -> bool:
    return home.computations.is_dir() and any(home.computations.iterdir())
