"""The journal of deliveries: which enclaves hold a key of this participant, and whether one more may.

Guaranteed: at most one delivery to one MRENCLAVE for each role, ever, recorded before it is sent. Must never:
let a server's word free an enclave from the count, or allow an unattended delivery after `words-differ`.
Spec: docs/spec/journal.md.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sealroom.client.journal import Journal, now_text
from sealroom.core.errors import MalformedError, PolicyError, VerificationError
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.dsse_verification import verify_envelope
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt_parsing import parse_refusal

WORDS_DIFFER = "words-differ"


class DeliveryBlockedError(PolicyError):
    """The journal does not allow this delivery as it was asked for.

    `enclaves` is how many enclaves of the computation would then hold a key of this participant; each may
    have become a run. `code` is stable: `too-many-enclaves`, `attendance-needed`, `words-differ` or
    `enclave-refused`.
    """

    def __init__(self, message: str, *, code: str, enclaves: int) -> None:
        super().__init__(message)
        self.code = code
        self.enclaves = enclaves


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryKey:
    """Which delivery: one role to one enclave of one computation."""

    computation: UUID
    mrenclave: bytes
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the participant allows: how many enclaves in all, and whether a person is there to decide."""

    max_deliveries: int = 1
    attended: bool = False

    def __post_init__(self) -> None:
        if self.max_deliveries < 1:
            raise ValueError("max_deliveries must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedDelivery:
    """A delivery as it was recorded before it was sent."""

    key: DeliveryKey
    agreement: bytes
    identity_pk: bytes
    wire: bytes
    bundle_sha256: bytes
    noted_at: datetime
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedRefusal:
    """A refusal whose signature by that enclave was verified."""

    computation: UUID
    mrenclave: bytes
    reason: str
    envelope: bytes


class DeliveryJournal:
    """The deliveries and refusals of one home."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def delivery(self, key: DeliveryKey) -> NotedDelivery | None:
        """Return the recorded delivery of a role to an enclave; its bytes are the only ones ever sent."""
        row = self._journal.one(
            "SELECT * FROM delivery WHERE mrenclave = ? AND role = ?", key.mrenclave, key.role.code
        )
        return None if row is None else _noted_delivery(row)

    def deliveries(self, computation: UUID) -> tuple[NotedDelivery, ...]:
        """Return every delivery of a computation, oldest first."""
        rows = self._journal.all("SELECT * FROM delivery WHERE uuid = ? ORDER BY rowid", computation.bytes)
        return tuple(map(_noted_delivery, rows))

    def open_enclaves(self, computation: UUID) -> frozenset[bytes]:
        """Return the enclaves that hold a key of this participant and signed no refusal."""
        rows = self._journal.all(
            "SELECT DISTINCT mrenclave FROM delivery WHERE uuid = ? "
            "AND mrenclave NOT IN (SELECT mrenclave FROM refusal)",
            computation.bytes,
        )
        return frozenset(bytes(row["mrenclave"]) for row in rows)

    def check_delivery(self, key: DeliveryKey, consent: Consent) -> None:
        """Apply the counting rules to a delivery that is not recorded yet; raises `DeliveryBlockedError`."""
        enclaves = self.open_enclaves(key.computation)
        others = enclaves - {key.mrenclave}
        count = len(others) + 1
        refusals = self.refusals(key.computation)
        if any(refusal.mrenclave == key.mrenclave for refusal in refusals):
            raise DeliveryBlockedError(
                "this enclave signed a refusal and is gone", code="enclave-refused", enclaves=count
            )
        if count > consent.max_deliveries:
            raise DeliveryBlockedError(
                f"{count} enclaves would hold your key, each may have become a run, and the policy allows "
                f"{consent.max_deliveries}",
                code="too-many-enclaves",
                enclaves=count,
            )
        if consent.attended or key.mrenclave in enclaves:
            return
        if others:
            raise DeliveryBlockedError(
                f"{count} enclaves would hold your key, each may have become a run: a person must decide",
                code="attendance-needed",
                enclaves=count,
            )
        if any(refusal.reason == WORDS_DIFFER for refusal in refusals):
            raise DeliveryBlockedError(
                "an enclave found that the words differ: somebody guessed or mistyped; a person must decide",
                code=WORDS_DIFFER,
                enclaves=count,
            )

    def note_delivery(self, delivery: NotedDelivery, consent: Consent) -> bytes:
        """Record a delivery before it is sent, and return the bytes to send.

        Those are the bytes of an earlier record if there is one. Raises `DeliveryBlockedError`; checking and
        recording are one transaction.
        """
        with self._journal.transaction() as write:
            known = self.delivery(delivery.key)
            if known is not None:
                return known.wire
            self.check_delivery(delivery.key, consent)
            write.execute(
                "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    delivery.key.mrenclave,
                    delivery.key.role.code,
                    delivery.key.computation.bytes,
                    delivery.agreement,
                    delivery.identity_pk,
                    delivery.wire,
                    delivery.bundle_sha256,
                    delivery.noted_at.astimezone(UTC).isoformat(),
                ),
            )
        return delivery.wire

    def note_answer(self, key: DeliveryKey, answer: str) -> None:
        """Note what was answered to a delivery; it decides nothing."""
        with self._journal.transaction() as write:
            write.execute(
                "UPDATE delivery SET answer = ?, answered_at = ? WHERE mrenclave = ? AND role = ?",
                (answer, now_text(), key.mrenclave, key.role.code),
            )

    def note_refusal(self, computation: UUID, envelope: Envelope) -> NotedRefusal | None:
        """Note a refusal if an enclave that this participant delivered to signed it; ignore any other.

        The key is the one recorded with the delivery, so neither the server nor another enclave can free an
        enclave from the count.
        """
        for delivery in self.deliveries(computation):
            refusal = _verified_refusal(envelope, delivery)
            if refusal is not None:
                with self._journal.transaction() as write:
                    write.execute(
                        "INSERT INTO refusal VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        (
                            refusal.mrenclave,
                            computation.bytes,
                            refusal.reason,
                            refusal.envelope,
                            now_text(),
                        ),
                    )
                return refusal
        return None

    def refusals(self, computation: UUID) -> tuple[NotedRefusal, ...]:
        """Return the verified refusals, oldest first."""
        rows = self._journal.all("SELECT * FROM refusal WHERE uuid = ? ORDER BY rowid", computation.bytes)
        return tuple(
            NotedRefusal(
                computation=computation,
                mrenclave=bytes(row["mrenclave"]),
                reason=row["reason"],
                envelope=bytes(row["envelope"]),
            )
            for row in rows
        )


def _noted_delivery(row: sqlite3.Row) -> NotedDelivery:
    return NotedDelivery(
        key=DeliveryKey(
            computation=UUID(bytes=bytes(row["uuid"])),
            mrenclave=bytes(row["mrenclave"]),
            role=Role.from_code(row["role"]),
        ),
        agreement=bytes(row["agreement"]),
        identity_pk=bytes(row["identity_pk"]),
        wire=bytes(row["wire"]),
        bundle_sha256=bytes(row["bundle_sha256"]),
        noted_at=datetime.fromisoformat(row["noted_at"]),
        answer=row["answer"],
    )


def _verified_refusal(envelope: Envelope, delivery: NotedDelivery) -> NotedRefusal | None:
    try:
        refusal = parse_refusal(verify_envelope(envelope, public_key=delivery.identity_pk))
    except (VerificationError, MalformedError):
        return None
    claimed = (refusal.identity_pk, refusal.mrenclave, refusal.agreement)
    if claimed != (delivery.identity_pk, delivery.key.mrenclave, delivery.agreement):
        return None
    return NotedRefusal(
        computation=delivery.key.computation,
        mrenclave=delivery.key.mrenclave,
        reason=refusal.reason.value,
        envelope=envelope.to_bytes(),
    )
