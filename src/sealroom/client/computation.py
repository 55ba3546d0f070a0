"""A computation as the server describes it: frozen values, parsed, and not verified.

Everything here is the server's word, and good for showing where things stand. Must never be what a decision
to deliver rests on: that is `verification`, which takes its expectations from this participant's own home.
Spec: docs/spec/api.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeVar
from uuid import UUID

from sealroom.client.json_values import JsonObject
from sealroom.core.errors import MalformedError
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import MAX_PARTICIPANTS, Role, check_email
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

MAX_ERAS = 10_000  # launches and runs that one answer may list
_MAX_PROTECTIONS = 64
_MAX_SLOTS = 2 * MAX_PARTICIPANTS + 1


class State(Enum):
    """Where a computation stands, as the server says."""

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

    @property
    def is_final(self) -> bool:
        """Whether nobody can bring it back: no relaunch leads out of it."""
        return self in (State.WITHDRAWN, State.CANCELLED, State.ARCHIVED)

    @property
    def is_over(self) -> bool:
        """Whether nothing moves unless the owner launches again."""
        return self.is_final or self in (State.SUCCEEDED, State.FAILED, State.REFUSED, State.EXPIRED)


class MyRole(Enum):
    """What this account is in a computation; the owner holds no key."""

    OWNER = "owner"
    CODE_PROVIDER = "code-provider"
    DATA_PROVIDER = "data-provider"
    RESULT_CONSUMER = "result-consumer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantStatus:
    """One slot, and how far its holder has come."""

    role: Role
    index: int
    email: str
    public_key: bytes | None
    registered_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeVersion:
    """The code that would run: what its provider signed."""

    digest: bytes
    signature: bytes
    version: int
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionNotice:
    """What the operator says holds the program in: `detail` is what a protection does, or why it is off."""

    name: str
    on: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One enclave of the computation; the epochs count up."""

    epoch: int
    launched_at: datetime | None
    evidence_at: datetime | None
    ended_at: datetime | None
    mrenclave: bytes | None
    protections: tuple[ProtectionNotice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, as the server says; the receipt is what proves it."""

    epoch: int
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalNotice:
    """Who refused the last launch, and why: a participant's e-mail, or `enclave`."""

    by: str
    reason: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveIdentity:
    """What the current enclave says it is; nothing of it is verified."""

    identity_pk: bytes
    box_pk: bytes
    quote: bytes
    manifest: bytes
    arguments: Arguments
    measurement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclave:
    """The current enclave; `identity` is `None` while there is no evidence."""

    identity: EnclaveIdentity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """One computation at one moment."""

    computation: UUID
    name: str
    owner: str
    created_at: datetime
    state: State
    epoch: int
    tee: Tee
    delivery: DeliveryForm
    logs: LogRelease
    limits: Limits
    participants: tuple[ParticipantStatus, ...]
    code: CodeVersion | None
    launches: tuple[Launch, ...]
    runs: tuple[Run, ...]
    refusal: RefusalNotice | None
    my_roles: tuple[MyRole, ...]
    enclave: Enclave = Enclave()

    @property
    def my_key_roles(self) -> tuple[Role, ...]:
        """The roles in which this account registers and delivers a key."""
        return tuple(Role(role.value) for role in self.my_roles if role is not MyRole.OWNER)

    @property
    def launch(self) -> Launch | None:
        """The launch of the current epoch."""
        return next((launch for launch in self.launches if launch.epoch == self.epoch), None)

    @property
    def run(self) -> Run | None:
        """The run of the current epoch."""
        return next((run for run in self.runs if run.epoch == self.epoch), None)

    def slot(self, role: Role, email: str) -> ParticipantStatus | None:
        """Return the slot of a role and an address."""
        return next((p for p in self.participants if p.role is role and p.email == email), None)


def parse_computation(value: JsonObject) -> Computation:
    """Read a computation of the server's API; raises `MalformedError`."""
    return Computation(
        computation=value.uuid("computation"),
        name=value.text("name"),
        owner=_email(value.member("owner")),
        created_at=value.time("created_at"),
        state=_choice(State, value, "state"),
        epoch=value.number("epoch"),
        tee=_choice(Tee, value, "tee"),
        delivery=_choice(DeliveryForm, value, "delivery"),
        logs=_choice(LogRelease, value, "logs"),
        limits=Limits(
            max_output_bytes=value.number("max_output_bytes"),
            max_log_bytes=value.number("max_log_bytes"),
            max_seconds=value.number("max_seconds"),
            max_memory=value.number("max_memory"),
        ),
        participants=tuple(map(_participant, _bounded(value.items("participants"), _MAX_SLOTS))),
        code=_optional_member(value, "code", _code),
        launches=tuple(map(_launch, _bounded(value.items("launches"), MAX_ERAS))),
        runs=tuple(map(_run, _bounded(value.items("runs"), MAX_ERAS))),
        refusal=_optional_member(value, "refusal", _refusal),
        my_roles=tuple(_my_role(role) for role in value.texts("my_roles")),
    )


def _participant(value: JsonObject) -> ParticipantStatus:
    role = _choice(Role, value, "role")
    sent = {Role.CODE_PROVIDER: "code_sent_at", Role.DATA_PROVIDER: "data_done_at"}.get(role)
    return ParticipantStatus(
        role=role,
        index=value.number("index"),
        email=_email(value),
        public_key=value.optional("public_key", lambda name: value.hexadecimal(name, length=32)),
        registered_at=value.optional("registered_at", value.time),
        sent_at=None if sent is None else value.optional(sent, value.time),
        delivered_at=value.optional("delivered_at", value.time),
    )


def _code(value: JsonObject) -> CodeVersion:
    return CodeVersion(
        digest=value.hexadecimal("digest", length=32),
        signature=value.hexadecimal("signature", length=64),
        version=value.number("version"),
        sent_at=value.time("sent_at"),
    )


def _launch(value: JsonObject) -> Launch:
    return Launch(
        epoch=value.number("epoch"),
        launched_at=value.optional("launched_at", value.time),
        evidence_at=value.optional("evidence_at", value.time),
        ended_at=value.optional("ended_at", value.time),
        mrenclave=value.optional("mrenclave", lambda name: value.hexadecimal(name, length=32)),
        protections=tuple(
            ProtectionNotice(name=held.text("name"), on=held.flag("on"), detail=held.text("detail"))
            for held in _bounded(value.optional("protections", value.items) or (), _MAX_PROTECTIONS)
        ),
    )


def _run(value: JsonObject) -> Run:
    return Run(
        epoch=value.number("epoch"),
        started_at=value.optional("started_at", value.time),
        ended_at=value.optional("ended_at", value.time),
        outcome=value.optional("outcome", value.text),
        exit_code=value.optional("exit_code", value.number),
    )


def _refusal(value: JsonObject) -> RefusalNotice:
    return RefusalNotice(by=value.text("by"), reason=value.text("reason"), epoch=value.number("epoch"))


def _optional_member(value: JsonObject, name: str, read: Callable[[JsonObject], T]) -> T | None:
    found = value.optional(name, value.member)
    return None if found is None else read(found)


def _email(value: JsonObject) -> str:
    """Read an address: commands print it, so it must hold nothing that a terminal obeys."""
    email = value.text("email")
    check_email(email, field=f"{value.what}: email")
    return email


def _my_role(text: str) -> MyRole:
    try:
        return MyRole(text)
    except ValueError as error:
        raise MalformedError(f"my_roles: unknown role of {len(text)} characters") from error


def _choice(kind: type[E], value: JsonObject, name: str) -> E:
    try:
        return kind(value.text(name))
    except ValueError as error:
        raise MalformedError(f"{value.what}: {name}: not one of the known values") from error


def _bounded(items: tuple[JsonObject, ...], limit: int) -> tuple[JsonObject, ...]:
    if len(items) > limit:
        raise MalformedError(f"more than {limit} entries")
    return items
