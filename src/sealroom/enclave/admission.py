"""Which deliveries an enclave admits, and what is checked once all slots are full.

Bytes in, slots filled or a reason out: nothing here reads a file. A delivery that fails up to its signature
changes nothing; whatever fails later ends the enclave. Must never say whose words or keys differ.
Spec: docs/spec/key-delivery.md; docs/spec/enclave-session.md, "Admission".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.delivery import BoxRefusedError, OpenedDelivery, open_delivery
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.keys import DataKey, PreSharedKey, all_distinct, all_equal
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.delivery import (
    Delivery,
    DeliveryRefusal,
    RefusalReason,
    Statement,
    verify_delivery_signature,
)
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.receipt_opening import ParticipantRecord
from sealroom.enclave.refusal import ComputationRefusedError, DeliveryRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """What a delivery must name: this contract, this measurement, these keys; none from the host."""

    arguments: Arguments
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes


class DeliveredKeys(Protocol):
    """What a box held, in buffers that can be erased."""

    @property
    def preshared_key(self) -> PreSharedKey:
        """What the words derive to."""

    @property
    def data_key(self) -> DataKey:
        """The participant's key in this role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """One filled slot: what the receipt says of it, and the keys."""

    participant: Participant
    raw: bytes
    record: ParticipantRecord
    keys: DeliveredKeys

    def wipe(self) -> None:
        """Erase both keys."""
        self.keys.preshared_key.wipe()
        self.keys.data_key.wipe()


class Slots:
    """The delivery slots: one for each participant item of the measured arguments."""

    def __init__(self, own: Self, *, box_key: BoxKey) -> None:
        self.own = own
        self.box_key = box_key
        self._filled: dict[Participant, Admitted] = {}

    @property
    def full(self) -> bool:
        """Whether everybody delivered."""
        return len(self._filled) == len(self.own.arguments.participants)

    @property
    def admitted(self) -> tuple[Admitted, ...]:
        """The filled slots, in the order of the arguments."""
        return tuple(self._filled[p] for p in self.own.arguments.participants if p in self._filled)

    def in_role(self, role: Role) -> tuple[Admitted, ...]:
        """Return the filled slots of `role`, ordered by index."""
        return tuple(slot for slot in self.admitted if slot.participant.role is role)

    def admit(self, raw: bytes) -> None:
        """Fill a slot with the delivery `raw`.

        1. Length and version.
        2. Agreement, MRENCLAVE and both keys are this enclave's.
        3. Role and sender are listed, and the slot is empty; identical bytes again are ignored.
        4. The sender's signature holds.
        5. The box opens, repeats the statement from inside, and the commitment fits the role.

        Raises `DeliveryRefusedError` for 1 to 4, having changed nothing, and `ComputationRefusedError` for 5.
        """
        delivery = _parse(raw)
        self._check_addressed(delivery.statement)
        participant = self.find_empty(delivery.statement.role, delivery.statement.sender_pk, raw)
        if participant is None:
            return
        _check_signature(delivery)
        keys = _open(delivery, self.box_key)
        record = ParticipantRecord.from_delivery(delivery, index=participant.index)
        self.fill(Admitted(participant=participant, raw=raw, record=record, keys=keys))

    def find_empty(self, role: Role, sender_pk: bytes, raw: bytes) -> Participant | None:
        """Return the slot of that role and key, or `None` when `raw` fills it already.

        Raises `DeliveryRefusedError` when nobody is listed so, or another delivery fills it.
        """
        participant = self.own.arguments.find(role, sender_pk)
        if participant is None:
            raise DeliveryRefusedError(DeliveryRefusal.NOT_LISTED)
        filled = self._filled.get(participant)
        if filled is None:
            return participant
        if filled.raw != raw:
            raise DeliveryRefusedError(DeliveryRefusal.SLOT_FILLED)
        return None

    def fill(self, admitted: Admitted) -> None:
        """Put a delivery into its slot, which is empty."""
        self._filled[admitted.participant] = admitted

    def check_keys(self) -> None:
        """Check, once and with all slots full, that everybody knows the words and no data key stands twice.

        Raises `ComputationRefusedError`, which never says whose differ.
        """
        if not self.full:
            raise RuntimeError("slots: keys are checked once all are full")
        keys = [slot.keys for slot in self.admitted]
        if not all_equal([key.preshared_key for key in keys]):
            raise ComputationRefusedError(RefusalReason.WORDS_DIFFER)
        if not all_distinct([key.data_key for key in keys]):
            raise ComputationRefusedError(RefusalReason.DATA_KEYS_EQUAL)

    def wipe(self) -> None:
        """Erase every delivered key."""
        for slot in self._filled.values():
            slot.wipe()

    def _check_addressed(self, statement: Statement) -> None:
        own = self.own
        if statement.agreement != own.arguments.agreement:
            raise DeliveryRefusedError(DeliveryRefusal.AGREEMENT)
        if statement.mrenclave != own.mrenclave:
            raise DeliveryRefusedError(DeliveryRefusal.MRENCLAVE)
        if (statement.identity_pk, statement.box_pk) != (own.identity_pk, own.box_pk):
            raise DeliveryRefusedError(DeliveryRefusal.ENCLAVE_KEYS)


def _parse(raw: bytes) -> Delivery:
    try:
        return Delivery.from_bytes(raw)
    except MalformedError as exc:
        raise DeliveryRefusedError(DeliveryRefusal.MALFORMED) from exc


def _check_signature(delivery: Delivery) -> None:
    try:
        verify_delivery_signature(delivery)
    except VerificationError as exc:
        raise DeliveryRefusedError(DeliveryRefusal.SIGNATURE) from exc


def _open(delivery: Delivery, box_key: BoxKey) -> OpenedDelivery:
    try:
        return open_delivery(delivery, box_key=box_key)
    except BoxRefusedError as exc:
        raise ComputationRefusedError(exc.reason) from exc
