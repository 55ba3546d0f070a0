"""What a participant does next, computed from the journal and from where the computation stands.

Facts in, steps out. The command line carries the steps out and asks again, so it can be interrupted anywhere
and go on. Must never: put a delivery before a verification, or past a decision that is a person's.
"""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sealroom.client.computation import Computation, ParticipantStatus, State
from sealroom.client.delivery_journal import WORDS_DIFFER
from sealroom.client.results import ALL_RESULTS
from sealroom.client.runs import collect_refusals
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt_file import Receipt


class StepKind(Enum):
    """What there is to do: this participant's own steps, then waiting, then the end."""

    REGISTER = "register"
    SEND_CODE = "send-code"
    SEND_DATA = "send-data"
    VERIFY_AND_DELIVER = "verify-and-deliver"
    DELIVER_AGAIN = "deliver-again"
    DECIDE = "decide"
    GET_RESULTS = "get-results"
    VERIFY_RECEIPT = "verify-receipt"

    WAIT_FOR_PEOPLE = "wait-for-people"
    WAIT_FOR_ENCLAVE = "wait-for-enclave"
    WAIT_FOR_DELIVERIES = "wait-for-deliveries"
    WAIT_FOR_RUN = "wait-for-run"
    WAIT_FOR_OWNER = "wait-for-owner"

    DONE = "done"
    ENDED = "ended"

    @property
    def is_waiting(self) -> bool:
        """Whether somebody else must move first."""
        return self.value.startswith("wait-")

    @property
    def is_end(self) -> bool:
        """Whether nothing is left to do."""
        return self in (StepKind.DONE, StepKind.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do, for a role where it has one; `why` is a sentence for the participant."""

    kind: StepKind
    why: str
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What this home knows about its part in a computation.

    `open_enclaves` are other enclaves than the current one that hold a key of this participant and signed
    no refusal; `delivered` are the roles delivered to the current one, `answered` those that were answered.
    """

    email: str
    registered: frozenset[Role] = frozenset()
    code_sent: bool = False
    data_done: bool = False
    delivered: frozenset[Role] = frozenset()
    answered: frozenset[Role] = frozenset()
    open_enclaves: int = 0
    words_differ: bool = False
    refused_here: bool = False
    has_receipt: bool = False
    has_results: bool = False


def gather_facts(client: Client, computation: Computation) -> Facts:
    """Read the facts from the journal and the computation's folder.

    Where another enclave still counts, signed refusals are asked for first: one may have freed it.
    """
    uuid = computation.computation
    launch = computation.launch
    mrenclave = launch.mrenclave if launch is not None else None
    if _others(client, uuid, mrenclave):
        collect_refusals(client, ComputationFolder(client.home, uuid))
    current = [d for d in client.deliveries.deliveries(uuid) if d.key.mrenclave == mrenclave]
    refusals = client.deliveries.refusals(uuid)
    return Facts(
        email=client.account.email,
        registered=frozenset(noted.role for noted in client.journal.registrations(uuid)),
        code_sent=bool(client.journal.code_digests(uuid)),
        data_done=client.journal.commitment(uuid) is not None,
        delivered=frozenset(d.key.role for d in current),
        answered=frozenset(d.key.role for d in current if d.answer not in (None, "waiting")),
        open_enclaves=len(_others(client, uuid, mrenclave)),
        words_differ=any(refusal.reason == WORDS_DIFFER for refusal in refusals),
        refused_here=any(refusal.mrenclave == mrenclave for refusal in refusals),
        has_receipt=mrenclave is not None and _holds_receipt(client, computation, mrenclave),
        has_results=mrenclave is not None and ALL_RESULTS in client.journal.received(uuid, mrenclave),
    )


def _others(client: Client, uuid: UUID, mrenclave: bytes | None) -> frozenset[bytes]:
    return client.deliveries.open_enclaves(uuid) - frozenset({mrenclave})


def _holds_receipt(client: Client, computation: Computation, mrenclave: bytes) -> bool:
    """Say whether the whole receipt is archived: one fetched while the program ran has no closing yet."""
    raw = ComputationFolder(client.home, computation.computation).receipt(mrenclave)
    if raw is None:
        return False
    receipt = Receipt.from_bytes(raw)
    is_whole = receipt.closing is not None or receipt.refusal is not None
    return is_whole or computation.state is State.FAILED


def next_steps(computation: Computation, facts: Facts) -> tuple[Step, ...]:
    """Return what there is to do now, in order; one waiting step or end when there is nothing."""
    mine = tuple(step for role in computation.my_key_roles for step in _steps_of(role, computation, facts))
    return mine or (_otherwise(computation),)


def _steps_of(role: Role, computation: Computation, facts: Facts) -> tuple[Step, ...]:
    state = computation.state
    if state.is_final:
        return ()
    if state in (State.CREATED, State.REGISTERING):
        return _before_launch(role, computation, facts)
    if state is State.AWAITING_KEYS:
        return _data_first(role, computation, facts) or _delivery(role, facts)
    if state is State.LAUNCHING:
        return _data_first(role, computation, facts)
    if state is State.SUCCEEDED:
        return _after_success(role, facts)
    if role in facts.delivered and not facts.has_receipt and _is_signed(computation):
        return (_verify_receipt(role),)
    return ()


def _before_launch(role: Role, computation: Computation, facts: Facts) -> tuple[Step, ...]:
    if role not in facts.registered or not _has_key(_slot(role, computation, facts)):
        return (Step(kind=StepKind.REGISTER, role=role, why="your public key is not registered yet"),)
    if role is Role.CODE_PROVIDER and not (facts.code_sent and computation.code):
        return (Step(kind=StepKind.SEND_CODE, role=role, why="the enclave starts when the code is there"),)
    return _data_first(role, computation, facts)


def _data_first(role: Role, computation: Computation, facts: Facts) -> tuple[Step, ...]:
    if role is not Role.DATA_PROVIDER or (facts.data_done and _has_sent(_slot(role, computation, facts))):
        return ()
    return (Step(kind=StepKind.SEND_DATA, role=role, why="your delivery will commit to your data"),)


def _delivery(role: Role, facts: Facts) -> tuple[Step, ...]:
    if facts.refused_here:
        return ()
    if role in facts.delivered:
        if role in facts.answered:
            return ()
        why = "your delivery was recorded and not answered; the same bytes are sent again"
        return (Step(kind=StepKind.DELIVER_AGAIN, role=role, why=why),)
    if facts.words_differ:
        why = "an enclave found that the words differ: ask the owner before you deliver again"
        return (Step(kind=StepKind.DECIDE, role=role, why=why),)
    if facts.open_enclaves:
        why = (
            f"{facts.open_enclaves + 1} enclaves would hold your key, and each may have become a run: "
            "it is yours to decide"
        )
        return (Step(kind=StepKind.DECIDE, role=role, why=why),)
    why = "an enclave waits: verify what it is, then deliver your key to it or refuse"
    return (Step(kind=StepKind.VERIFY_AND_DELIVER, role=role, why=why),)


def _after_success(role: Role, facts: Facts) -> tuple[Step, ...]:
    steps = []
    if not facts.has_receipt:
        steps.append(_verify_receipt(role))
    if role is Role.RESULT_CONSUMER and not facts.has_results:
        steps.append(Step(kind=StepKind.GET_RESULTS, role=role, why="your results are there"))
    return tuple(steps)


_NOT_READY = "the others have not all registered, or the code is not there"
_WAITING = {
    State.CREATED: (StepKind.WAIT_FOR_PEOPLE, _NOT_READY),
    State.REGISTERING: (
        StepKind.WAIT_FOR_PEOPLE,
        _NOT_READY,
    ),
    State.LAUNCHING: (StepKind.WAIT_FOR_ENCLAVE, "the enclave is starting"),
    State.AWAITING_KEYS: (StepKind.WAIT_FOR_DELIVERIES, "the enclave waits for the others' keys"),
    State.RUNNING: (StepKind.WAIT_FOR_RUN, "the program runs in the enclave"),
    State.REFUSED: (StepKind.WAIT_FOR_OWNER, "this launch was refused; the owner may launch again"),
    State.EXPIRED: (StepKind.WAIT_FOR_OWNER, "the enclave waited too long; the owner may launch again"),
    State.FAILED: (StepKind.WAIT_FOR_OWNER, "the run failed; the owner may launch again"),
}


def _otherwise(computation: Computation) -> Step:
    state = computation.state
    if state is State.SUCCEEDED:
        return Step(kind=StepKind.DONE, why="everything that is yours to do is done")
    if state.is_final:
        return Step(kind=StepKind.ENDED, why=f"the computation is over: {state.value.lower()}")
    kind, why = _WAITING[state]
    return Step(kind=kind, why=why)


def _verify_receipt(role: Role) -> Step:
    return Step(kind=StepKind.VERIFY_RECEIPT, role=role, why="the enclave signed what it did")


def _is_signed(computation: Computation) -> bool:
    """Say whether the enclave has signed something, as far as the server says."""
    if computation.state is State.FAILED:
        return computation.run is not None
    return computation.state is State.REFUSED and computation.refusal is not None


def _slot(role: Role, computation: Computation, facts: Facts) -> ParticipantStatus | None:
    return computation.slot(role, facts.email)


def _has_key(slot: ParticipantStatus | None) -> bool:
    return slot is not None and slot.public_key is not None


def _has_sent(slot: ParticipantStatus | None) -> bool:
    return slot is not None and slot.sent_at is not None
