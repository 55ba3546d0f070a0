"""The state table of a computation: states, changes, who may cause them, and the event each one writes.

Nothing else decides. Services ask `find_transition` and write what it returns; the diagram in docs/states.md
is drawn from `TRANSITIONS` by tools/draw_states.py. Spec: docs/spec/api.md (states).

The rule of direction: a state has a rank, and a change never lowers it, except a change marked `new_epoch`,
which plans a new launch. So inside one launch a computation only moves forward.
"""

from dataclasses import dataclass
from enum import Enum

from sealroom.server.errors import ErrorCode, ServiceError


class State(Enum):
    """Where a computation stands."""

    CREATED = "Created"
    REGISTERING = "Registering"
    LAUNCHING = "Launching"
    AWAITING_KEYS = "AwaitingKeys"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    REFUSED = "Refused"
    EXPIRED = "Expired"
    WITHDRAWN = "Withdrawn"
    CANCELLED = "Cancelled"
    ARCHIVED = "Archived"


class Actor(Enum):
    """Who may cause a change. `ENCLAVE` means a file in the spool, read by the server."""

    OWNER = "owner"
    CODE_PROVIDER = "code-provider"
    DATA_PROVIDER = "data-provider"
    RESULT_CONSUMER = "result-consumer"
    ENCLAVE = "enclave"
    SERVER = "server"


class Cause(Enum):
    """What happened. The value is the kind of the event that is written."""

    CREATED = "created"
    KEY_REGISTERED = "key-registered"
    CODE_SENT = "code-sent"
    DATA_CHANGED = "data-changed"
    DATA_DONE = "data-done"
    LAUNCH_PLANNED = "launch-planned"
    LAUNCH_FAILED = "launch-failed"
    EVIDENCE_PUBLISHED = "evidence-published"
    DELIVERY_RECEIVED = "delivery-received"
    DELIVERY_ANSWERED = "delivery-answered"
    END_ASKED = "end-asked"
    RUN_STARTED = "run-started"
    RUN_SUCCEEDED = "run-succeeded"
    RUN_FAILED = "run-failed"
    ENCLAVE_REFUSED = "enclave-refused"
    ENCLAVE_EXPIRED = "enclave-expired"
    ENCLAVE_LOST = "enclave-lost"
    LAUNCHED_AGAIN = "launched-again"
    PARTICIPANT_REFUSED = "participant-refused"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    RELAUNCH_ASKED = "relaunch-asked"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One allowed change: `source` None is the beginning; source and target may be equal."""

    cause: Cause
    source: State | None
    target: State
    by: frozenset[Actor]
    new_epoch: bool = False


PARTICIPANTS = frozenset({Actor.CODE_PROVIDER, Actor.DATA_PROVIDER, Actor.RESULT_CONSUMER})
OWNER = frozenset({Actor.OWNER})
SERVER = frozenset({Actor.SERVER})
ENCLAVE = frozenset({Actor.ENCLAVE})
CODE_PROVIDER = frozenset({Actor.CODE_PROVIDER})
DATA_PROVIDER = frozenset({Actor.DATA_PROVIDER})

S = State
_WAITING = (S.LAUNCHING, S.AWAITING_KEYS)  # an enclave is planned or there, and nothing ran yet
_BETWEEN = (S.SUCCEEDED, S.FAILED, S.REFUSED, S.EXPIRED)  # no enclave; the owner may launch again
_BEFORE = (S.CREATED, S.REGISTERING)  # never launched

RANKS = {
    S.CREATED: 0,
    S.REGISTERING: 1,
    S.LAUNCHING: 2,
    S.AWAITING_KEYS: 3,
    S.RUNNING: 4,
    S.SUCCEEDED: 5,
    S.FAILED: 5,
    S.REFUSED: 5,
    S.EXPIRED: 5,
    S.WITHDRAWN: 6,
    S.CANCELLED: 6,
    S.ARCHIVED: 7,
}


def _stay(cause: Cause, by: frozenset[Actor], *states: State) -> tuple[Transition, ...]:
    return tuple(Transition(cause=cause, source=state, target=state, by=by) for state in states)


def _go(
    cause: Cause, by: frozenset[Actor], target: State, *sources: State, new_epoch: bool = False
) -> tuple[Transition, ...]:
    return tuple(
        Transition(cause=cause, source=source, target=target, by=by, new_epoch=new_epoch)
        for source in sources
    )


TRANSITIONS: tuple[Transition, ...] = (
    Transition(cause=Cause.CREATED, source=None, target=S.CREATED, by=OWNER),
    *_go(Cause.KEY_REGISTERED, PARTICIPANTS, S.REGISTERING, *_BEFORE),
    # New code while an enclave waits asks that enclave to end; LAUNCHED_AGAIN follows.
    *_stay(Cause.CODE_SENT, CODE_PROVIDER, S.REGISTERING, *_WAITING, *_BETWEEN),
    *_stay(Cause.DATA_CHANGED, DATA_PROVIDER, S.REGISTERING, *_WAITING, *_BETWEEN),
    *_stay(Cause.DATA_DONE, DATA_PROVIDER, S.REGISTERING, *_WAITING, *_BETWEEN),
    *_go(Cause.LAUNCH_PLANNED, SERVER, S.LAUNCHING, S.REGISTERING, new_epoch=True),
    *_go(Cause.LAUNCH_FAILED, SERVER, S.FAILED, S.LAUNCHING),
    *_go(Cause.EVIDENCE_PUBLISHED, ENCLAVE, S.AWAITING_KEYS, S.LAUNCHING),
    *_stay(Cause.DELIVERY_RECEIVED, PARTICIPANTS, S.AWAITING_KEYS),
    # The last answer and the opening may be found in either order.
    *_stay(Cause.DELIVERY_ANSWERED, ENCLAVE, S.AWAITING_KEYS, S.RUNNING),
    # A refusal, withdrawal or cancellation while an enclave lives is first asked of the enclave, which
    # answers with a signed refusal or has already begun to run.
    *_stay(Cause.END_ASKED, PARTICIPANTS | OWNER, *_WAITING),
    *_stay(Cause.END_ASKED, OWNER, S.RUNNING),
    *_go(Cause.RUN_STARTED, ENCLAVE, S.RUNNING, S.AWAITING_KEYS),
    *_go(Cause.RUN_SUCCEEDED, ENCLAVE, S.SUCCEEDED, S.RUNNING),
    *_go(Cause.RUN_FAILED, ENCLAVE, S.FAILED, S.RUNNING),
    *_go(Cause.ENCLAVE_REFUSED, ENCLAVE, S.REFUSED, *_WAITING),
    *_go(Cause.ENCLAVE_EXPIRED, ENCLAVE | SERVER, S.EXPIRED, *_WAITING),
    # Lost before a run: launched again. Lost in a run, or too often: failed, and the receipt has no closing.
    *_go(Cause.LAUNCHED_AGAIN, SERVER, S.LAUNCHING, *_WAITING, new_epoch=True),
    *_go(Cause.ENCLAVE_LOST, SERVER, S.FAILED, *_WAITING, S.RUNNING),
    *_go(Cause.PARTICIPANT_REFUSED, PARTICIPANTS, S.REFUSED, *_WAITING),
    *_go(Cause.WITHDRAWN, PARTICIPANTS, S.WITHDRAWN, *_BEFORE, *_WAITING, S.FAILED, S.REFUSED, S.EXPIRED),
    *_go(Cause.CANCELLED, OWNER, S.CANCELLED, *_BEFORE, *_WAITING, S.RUNNING, S.FAILED, S.REFUSED, S.EXPIRED),
    *_go(Cause.RELAUNCH_ASKED, OWNER, S.LAUNCHING, *_BETWEEN, new_epoch=True),
    *_go(Cause.ARCHIVED, OWNER, S.ARCHIVED, *_BETWEEN, S.WITHDRAWN, S.CANCELLED),
)

_BY_EDGE = {(transition.cause, transition.source): transition for transition in TRANSITIONS}


def find_transition(cause: Cause, source: State | None) -> Transition:
    """Return the one change that `cause` means in `source`; raises `wrong_state` when there is none."""
    transition = _BY_EDGE.get((cause, source))
    if transition is None:
        allowed = [edge.value for _, edge in _edges(cause) if edge is not None]
        raise ServiceError(
            ErrorCode.WRONG_STATE,
            f"'{cause.value}' is not possible in state {source.value if source else 'none'}",
            got=source.value if source else None,
            expected=allowed,
        )
    return transition


def check_allowed(cause: Cause, source: State, actors: frozenset[Actor]) -> Transition:
    """Return the change, or refuse: first by who asks (whatever the state), then by the state."""
    everybody = frozenset[Actor]().union(*(t.by for t in TRANSITIONS if t.cause is cause))
    if not actors & everybody:
        raise _wrong_role(cause, actors, everybody)
    transition = find_transition(cause, source)
    if not actors & transition.by:
        raise _wrong_role(cause, actors, transition.by)
    return transition


def _edges(cause: Cause) -> list[tuple[Cause, State | None]]:
    return [edge for edge in _BY_EDGE if edge[0] is cause]


def _wrong_role(cause: Cause, actors: frozenset[Actor], allowed: frozenset[Actor]) -> ServiceError:
    return ServiceError(
        ErrorCode.WRONG_ROLE,
        f"'{cause.value}' is not for your role",
        got=sorted(actor.value for actor in actors),
        expected=sorted(actor.value for actor in allowed),
    )
