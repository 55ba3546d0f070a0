"""The only place that writes a computation's state: by the table, with its event, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.events import append_event
from sealroom.server.schema import Account, ComputationRow, ParticipantRow
from sealroom.server.states import Actor, Cause, State, Transition, check_allowed, find_transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who causes a change: the name that the event shows, and in which capacities."""

    name: str
    actors: frozenset[Actor]


SERVER = Who(name="server", actors=frozenset({Actor.SERVER}))
ENCLAVE = Who(name="enclave", actors=frozenset({Actor.ENCLAVE}))


def change(
    session: Session,
    computation: ComputationRow,
    cause: Cause,
    who: Who,
    *,
    now: datetime,
    **details: object,
) -> Transition:
    """Cause a change that the table allows `who` now, or raise `wrong_role` or `wrong_state`."""
    transition = check_allowed(cause, State(computation.state), who.actors)
    source, computation.state = computation.state, transition.target.value
    if transition.new_epoch:
        computation.epoch += 1
    append_event(session, computation, kind=cause.value, by=who.name, at=now, source=source, details=details)
    return transition


def begin(session: Session, computation: ComputationRow, who: Who, *, now: datetime) -> None:
    """Write the first state and the first event of a new computation."""
    computation.state = find_transition(Cause.CREATED, None).target.value
    append_event(
        session,
        computation,
        kind=Cause.CREATED.value,
        by=who.name,
        at=now,
        source=None,
        details={"name": computation.name},
    )


def who_is(computation: ComputationRow, account: Account) -> Who:
    """Say in which capacities an account may act on a computation; none at all for a stranger."""
    actors = {
        Actor(participant.role)
        for participant in computation.participants
        if participant.email == account.email
    }
    if computation.owner_id == account.id:
        actors.add(Actor.OWNER)
    return Who(name=account.email, actors=frozenset(actors))


def find_computation(session: Session, uuid: UUID, account: Account, *, lock: bool = False) -> ComputationRow:
    """Return a computation that the account has a part in; to anybody else it does not exist.

    With `lock`, others that want to change it wait until this transaction ends.
    """
    query = select(ComputationRow).where(ComputationRow.uuid == str(uuid))
    if lock:
        query = query.with_for_update(of=ComputationRow)
    computation = session.scalars(query).first()
    if computation is None or not who_is(computation, account).actors:
        raise ServiceError(
            ErrorCode.UNKNOWN_COMPUTATION, "no such computation, or you have no part in it", got=str(uuid)
        )
    return computation


def find_participant(computation: ComputationRow, account: Account, role: Actor) -> ParticipantRow:
    """Return the account's item in the participant list, or refuse with `wrong_role`."""
    for participant in computation.participants:
        if participant.role == role.value and participant.email == account.email:
            return participant
    raise ServiceError(
        ErrorCode.WRONG_ROLE,
        f"you are not a {role.value} of this computation",
        got=sorted(actor.value for actor in who_is(computation, account).actors),
        expected=role.value,
    )
