"""Computations: made by their owner, joined by participants with their keys, and ended.

The server checks what it can see so that mistakes are found early. Participants do not rely on it: their
clients compare the terms with the owner's invitation and every key with the measured arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sealroom.core.wire.signatures import check_public_key
from sealroom.core.wire.terms import DeliveryForm, Terms
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import Who, begin, change, find_participant, who_is
from sealroom.server.platform import Platform
from sealroom.server.schema import Account, ComputationRow, ParticipantRow
from sealroom.server.services import launches
from sealroom.server.states import Actor, Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an owner asks for: the terms, and a name for people."""

    terms: Terms
    name: str


def create_computation(
    session: Session, platform: Platform, account: Account, proposal: Proposal, *, now: datetime
) -> ComputationRow:
    """Create a computation under the UUID that the owner's client made."""
    terms = proposal.terms
    _check_supported(terms, platform)
    if session.get(ComputationRow, str(terms.computation)) is not None:
        raise ServiceError(
            ErrorCode.COMPUTATION_EXISTS, "this computation exists already", got=str(terms.computation)
        )
    computation = ComputationRow(
        uuid=str(terms.computation),
        owner_id=account.id,
        owner=account,
        name=proposal.name,
        created_at=now,
        epoch=0,
        lost_enclaves=0,
        tee=terms.tee.value,
        delivery=terms.delivery.value,
        logs=terms.logs.value,
        max_output_bytes=terms.limits.max_output_bytes,
        max_log_bytes=terms.limits.max_log_bytes,
        max_seconds=terms.limits.max_seconds,
        max_memory=terms.limits.max_memory,
        participants=_participants(terms),
    )
    session.add(computation)
    begin(session, computation, Who(name=account.email, actors=frozenset({Actor.OWNER})), now=now)
    return computation


def list_computations(session: Session, account: Account) -> Sequence[ComputationRow]:
    """Return every computation that the account has a part in, oldest first."""
    part = select(ParticipantRow.computation_uuid).where(ParticipantRow.email == account.email)
    query = (
        select(ComputationRow)
        .where(or_(ComputationRow.owner_id == account.id, ComputationRow.uuid.in_(part)))
        .order_by(ComputationRow.created_at, ComputationRow.uuid)
    )
    return session.scalars(query).all()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRegistration:
    """A participant's public key for one of their roles."""

    role: Actor
    public_key: bytes


def register_key(
    session: Session,
    platform: Platform,
    computation: ComputationRow,
    account: Account,
    registration: KeyRegistration,
    *,
    now: datetime,
) -> None:
    """Register a participant's key; the last one of all, with code there, plans the launch.

    A key stays what it is: registering it again does nothing, registering another one is refused, and so is
    one that somebody else registered.
    """
    participant = find_participant(computation, account, registration.role)
    check_public_key(registration.public_key)
    if participant.public_key == registration.public_key:
        return
    if participant.public_key is not None:
        raise ServiceError(
            ErrorCode.KEY_DIFFERS, "you registered another key for this role, and it cannot be changed"
        )
    for other in computation.participants:
        if other.public_key == registration.public_key and other.email != account.email:
            raise ServiceError(
                ErrorCode.KEY_TAKEN, "another participant of this computation registered this very key"
            )
    change(
        session,
        computation,
        Cause.KEY_REGISTERED,
        who_is(computation, account),
        now=now,
        role=registration.role.value,
        public_key=registration.public_key.hex(),
    )
    participant.public_key, participant.registered_at = registration.public_key, now
    launches.plan_if_ready(session, platform, computation, now=now)


def archive_computation(
    session: Session, computation: ComputationRow, account: Account, *, now: datetime
) -> list[str]:
    """Archive: receipts, evidence, logs and results stay, input files go. Returns the blobs to remove."""
    change(session, computation, Cause.ARCHIVED, who_is(computation, account), now=now)
    return [name for participant in computation.participants for name in drop_uploads(session, participant)]


def drop_uploads(session: Session, participant: ParticipantRow) -> list[str]:
    """Forget a Data Provider's files; returns their blobs, to be removed once this is committed."""
    names = [upload.id for upload in participant.uploads]
    for upload in list(participant.uploads):
        session.delete(upload)
    return names


def _check_supported(terms: Terms, platform: Platform) -> None:
    limits = platform.config.limits
    people = 1 + len(terms.data_providers) + len(terms.result_consumers)
    if people > limits.max_participants:
        raise ServiceError(
            ErrorCode.TOO_LARGE, "too many participants", got=people, expected=limits.max_participants
        )
    served = platform.tee
    if terms.tee is not served:
        raise ServiceError(
            ErrorCode.UNSUPPORTED,
            "this server launches another kind of enclave",
            got=terms.tee.value,
            expected=served.value,
        )
    if terms.delivery is not DeliveryForm.V1:
        raise ServiceError(
            ErrorCode.UNSUPPORTED,
            "this API takes deliveries of form 1 only",
            got=terms.delivery.value,
            expected="1",
        )


def _participants(terms: Terms) -> list[ParticipantRow]:
    items = [
        (Actor.CODE_PROVIDER, 0, terms.code_provider),
        *((Actor.DATA_PROVIDER, index, email) for index, email in enumerate(terms.data_providers)),
        *((Actor.RESULT_CONSUMER, index, email) for index, email in enumerate(terms.result_consumers)),
    ]
    return [
        ParticipantRow(slot=slot, role=role.value, position=index, email=email)
        for slot, (role, index, email) in enumerate(items)
    ]
