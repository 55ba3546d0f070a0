"""Admission of the published client's deliveries, in which nothing names contract, enclave, role or sender.

Role and sender are the server's word until the signature holds. Must never fill a slot with a delivery that
the slot's own key did not sign for this computation. Spec: docs/spec/legacy-delivery.md.
"""

from __future__ import annotations

from sealroom.core.compat.legacy_delivery import LegacyDelivery, open_legacy_delivery
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.delivery import BoxRefusedError
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import NO_COMMITMENT, DeliveryRefusal, Statement
from sealroom.core.wire.participants import Participant
from sealroom.core.wire.receipt_opening import ParticipantRecord
from sealroom.enclave.admission import Admitted, Self, Slots
from sealroom.enclave.refusal import ComputationRefusedError, DeliveryRefusedError


class LegacySlots(Slots):
    """The same slots, filled in the older form."""

    def admit(self, raw: bytes) -> None:
        """Fill a slot with the message `raw`.

        1. Length, mark and role.
        2. Role and sender are listed, and the slot is empty; identical bytes again are ignored.
        3. The sender's signature holds.
        4. The box opens.

        Raises `DeliveryRefusedError` for 1 to 3, having changed nothing, and `ComputationRefusedError` for 4.
        """
        try:
            delivery = LegacyDelivery.from_bytes(raw)
        except MalformedError as exc:
            raise DeliveryRefusedError(DeliveryRefusal.MALFORMED) from exc
        participant = self.find_empty(delivery.role, delivery.sender_pk, raw)
        if participant is None:
            return
        try:
            delivery.verify_signature(self.own.arguments.computation)
        except VerificationError as exc:
            raise DeliveryRefusedError(DeliveryRefusal.SIGNATURE) from exc
        try:
            keys = open_legacy_delivery(delivery, box_key=self.box_key)
        except BoxRefusedError as exc:
            raise ComputationRefusedError(exc.reason) from exc
        record = _record(self.own, participant, delivery)
        self.fill(Admitted(participant=participant, raw=raw, record=record, keys=keys))


def _record(own: Self, participant: Participant, delivery: LegacyDelivery) -> ParticipantRecord:
    """Write the statement that no participant made: the enclave's word, with no commitment."""
    statement = Statement(
        agreement=own.arguments.agreement,
        mrenclave=own.mrenclave,
        identity_pk=own.identity_pk,
        box_pk=own.box_pk,
        role=participant.role,
        sender_pk=participant.public_key,
        commitment=NO_COMMITMENT,
    )
    return ParticipantRecord(
        role=participant.role,
        index=participant.index,
        statement=statement,
        box_sha256=sha256(delivery.box),
        signature=delivery.signature,
    )
