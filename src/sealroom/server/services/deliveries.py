"""Key deliveries: checked as far as they are public, numbered, and left for the reconciler to pass on.

The enclave decides; these checks only answer a mistake sooner and with more words. The box stays closed: it
is sealed to the enclave, and the server holds nothing that opens it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sealroom.core.errors import VerificationError
from sealroom.core.wire.delivery import (
    DELIVERY_SIZE,
    NO_COMMITMENT,
    Delivery,
    Statement,
    verify_delivery_signature,
)
from sealroom.core.wire.participants import Role
from sealroom.core.wire.spool import MAX_INBOX
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import change, who_is
from sealroom.server.schema import Account, ComputationRow, DeliveryRow, Launch, ParticipantRow
from sealroom.server.services.launches import live_launch
from sealroom.server.states import Cause, State, check_allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStatus:
    """A delivery's slot and number, and the enclave's answer where there is one."""

    slot: int
    number: int
    admitted: bool | None
    refused: str | None


def take_delivery(
    session: Session, computation: ComputationRow, account: Account, raw: bytes, *, now: datetime
) -> DeliveryRow:
    """Take one delivery for the waiting enclave; the very same bytes again give the delivery that is there.

    Refuses, typed: another length; an enclave that is not the waiting one; a sender that is not this
    account's key in this role; data that is not declared done; a slot that holds other bytes; a signature
    that fails.
    """
    delivery = _parse(raw)
    check_allowed(Cause.DELIVERY_RECEIVED, State(computation.state), who_is(computation, account).actors)
    launch = live_launch(computation)
    if launch is None:
        raise RuntimeError("a computation that awaits keys has a live launch")
    _check_enclave(delivery.statement, launch)
    participant = _find_sender(delivery.statement, computation, account)
    _check_commitment(delivery.statement, participant)
    for earlier in launch.deliveries:
        if earlier.participant_id == participant.id and earlier.raw == raw:
            return earlier
        if earlier.participant_id == participant.id and earlier.admitted is not False:
            raise ServiceError(
                ErrorCode.DELIVERY_SLOT,
                "you delivered other bytes to this enclave already",
                got=participant.slot,
            )
    _check_signature(delivery)
    if len(launch.deliveries) >= MAX_INBOX:
        raise ServiceError(ErrorCode.TOO_MANY_DELIVERIES, "this enclave takes no more", expected=MAX_INBOX)
    return _add(session, computation, account, launch, participant, raw, now=now)


def delivery_status(row: DeliveryRow) -> DeliveryStatus:
    """Say what is known about a delivery."""
    return DeliveryStatus(
        slot=row.participant.slot, number=row.number, admitted=row.admitted, refused=row.refused
    )


def _parse(raw: bytes) -> Delivery:
    if len(raw) != DELIVERY_SIZE:
        raise ServiceError(
            ErrorCode.DELIVERY_LENGTH, "a delivery has one size", got=len(raw), expected=DELIVERY_SIZE
        )
    return Delivery.from_bytes(raw)


def _check_enclave(statement: Statement, launch: Launch) -> None:
    fields = (
        (ErrorCode.DELIVERY_AGREEMENT, "agreement", statement.agreement, launch.agreement),
        (ErrorCode.DELIVERY_MRENCLAVE, "mrenclave", statement.mrenclave, launch.mrenclave),
        (ErrorCode.DELIVERY_KEYS, "identity_pk", statement.identity_pk, launch.identity_pk),
        (ErrorCode.DELIVERY_KEYS, "box_pk", statement.box_pk, launch.box_pk),
    )
    for code, name, got, expected in fields:
        if expected is None or got != expected:
            raise ServiceError(
                code,
                f"{name}: this delivery is for another enclave than the one that waits",
                got=got.hex(),
                expected=expected.hex() if expected else None,
            )


def _find_sender(statement: Statement, computation: ComputationRow, account: Account) -> ParticipantRow:
    for participant in computation.participants:
        if participant.role == statement.role.value and participant.public_key == statement.sender_pk:
            if participant.email == account.email:
                return participant
            raise ServiceError(
                ErrorCode.DELIVERY_NOT_YOURS, "the sender's key was registered by another participant"
            )
    raise ServiceError(
        ErrorCode.DELIVERY_SENDER,
        f"nobody registered this key as {statement.role.value}",
        got=statement.sender_pk.hex(),
    )


def _check_commitment(statement: Statement, participant: ParticipantRow) -> None:
    provides_data = statement.role is Role.DATA_PROVIDER
    if provides_data == (statement.commitment == NO_COMMITMENT):
        expected = "the commitment to your files" if provides_data else "32 zero bytes"
        raise ServiceError(
            ErrorCode.DELIVERY_COMMITMENT, "commitment: not what this role carries", expected=expected
        )
    if provides_data and participant.data_done_at is None:
        raise ServiceError(ErrorCode.DATA_NOT_DONE, "declare your data done before you deliver your key")


def _check_signature(delivery: Delivery) -> None:
    try:
        verify_delivery_signature(delivery)
    except VerificationError as exc:
        raise ServiceError(ErrorCode.DELIVERY_SIGNATURE, "the sender's signature does not hold") from exc


def _add(
    session: Session,
    computation: ComputationRow,
    account: Account,
    launch: Launch,
    participant: ParticipantRow,
    raw: bytes,
    *,
    now: datetime,
) -> DeliveryRow:
    row = DeliveryRow(
        number=len(launch.deliveries),
        participant=participant,
        participant_id=participant.id,
        received_at=now,
        raw=raw,
    )
    launch.deliveries.append(row)
    change(
        session,
        computation,
        Cause.DELIVERY_RECEIVED,
        who_is(computation, account),
        now=now,
        slot=participant.slot,
        number=row.number,
    )
    return row
