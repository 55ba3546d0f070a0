"""Which deliveries an enclave admits, and what is checked once all slots are full.

Bytes in, slots filled or a reason out: nothing here reads a file. A delivery that fails up to its signature
changes nothing; whatever fails later ends the enclave. Must never say whose words or keys differ.
Spec: docs/spec/key-delivery.md; docs/spec/enclave-session.md, "Admission".
"""

from __future__ import annotations

from dataclasses import dataclass

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.delivery import BoxRefusedError, OpenedDelivery, open_delivery
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.keys import all_distinct, all_equal
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.delivery import (
    Delivery,
    DeliveryRefusal,
    RefusalReason,
    Statement,
    verify_delivery_signature,
)
from sealroom.core.wire.participants import Participant, Role
from sealroom.enclave.refusal import ComputationRefusedError, DeliveryRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """What a delivery must name: this contract, this measurement, these keys; none from the host."""

    arguments: Arguments
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """One filled slot."""

    participant: Participant
    raw: bytes
    delivery: Delivery
    keys: OpenedDelivery


class Slots:
    """The delivery slots: one for each participant item of the measured arguments."""

    def __init__(self, own: Self, *, box_key: BoxKey) -> None:
        self._own = own
        self._box_key = box_key
        self._filled: dict[Participant, Admitted] = {}

    @property
    def full(self) -> bool:
        """Whether everybody delivered."""
        return len(self._filled) == len(self._own.arguments.participants)

    @property
    def admitted(self) -> tuple[Admitted, ...]:
        """The filled slots, in the order of the arguments."""
        return tuple(self._filled[p] for p in self._own.arguments.participants if p in self._filled)

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
        participant = self._find_slot(delivery.statement)
        filled = self._filled.get(participant)
        if filled is not None:
            if filled.raw == raw:
                return
            raise DeliveryRefusedError(DeliveryRefusal.SLOT_FILLED)
        _check_signature(delivery)
        keys = _open(delivery, self._box_key)
        self._filled[participant] = Admitted(participant=participant, raw=raw, delivery=delivery, keys=keys)

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
            slot.keys.wipe()

    def _check_addressed(self, statement: Statement) -> None:
        own = self._own
        if statement.agreement != own.arguments.agreement:
            raise DeliveryRefusedError(DeliveryRefusal.AGREEMENT)
        if statement.mrenclave != own.mrenclave:
            raise DeliveryRefusedError(DeliveryRefusal.MRENCLAVE)
        if (statement.identity_pk, statement.box_pk) != (own.identity_pk, own.box_pk):
            raise DeliveryRefusedError(DeliveryRefusal.ENCLAVE_KEYS)

    def _find_slot(self, statement: Statement) -> Participant:
        participant = self._own.arguments.find(statement.role, statement.sender_pk)
        if participant is None:
            raise DeliveryRefusedError(DeliveryRefusal.NOT_LISTED)
        return participant


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
