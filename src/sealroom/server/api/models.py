"""The shapes of requests and answers, as the OpenAPI document shows them. Unknown members are refused."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sealroom.core.wire.participants import Role

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]


class Message(BaseModel):
    """Base of all shapes."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(Message):
    """Why a request was refused; `code` is stable."""

    code: str
    message: str
    got: str | int | bool | list[str] | None = None
    expected: str | int | bool | list[str] | None = None
    details: dict[str, str | int | bool | list[str] | None] | None = None


class ErrorAnswer(Message):
    """The body of every answer with a status of 400 or more."""

    error: ErrorBody


class NewAccount(Message):
    """A request for an account."""

    email: str


class AccountView(Message):
    """An account."""

    email: str
    created_at: datetime


class AccountCreated(Message):
    """An account and its token, which the server itself does not keep."""

    email: str
    token: str


class LimitsView(Message):
    """What one request or computation may cost this server."""

    max_participants: int
    max_code_files: int
    max_code_bytes: int
    max_wheels: int
    max_wheel_bytes: int
    max_uploads: int
    max_upload_bytes: int
    max_json_bytes: int


class ProtectionView(Message):
    """One protection of the sandbox around an enclave, by the server's own word."""

    name: str
    on: bool
    detail: str


class ServerView(Message):
    """What this server is and can do. Its own word: clients verify enclaves, not servers."""

    release: str
    api: Literal["v1"] = "v1"
    launcher: str
    tee: str
    waiting_deadline_seconds: int
    protections: list[ProtectionView] | None
    """Those of the enclave that was launched last; null before the first."""
    limits: LimitsView


class NewComputation(Message):
    """What an owner asks for. The UUID is made by the owner's client."""

    computation: str
    name: Annotated[str, Field(min_length=1, max_length=200)]
    tee: str
    delivery: str
    code_provider: str
    data_providers: list[str]
    result_consumers: list[str]
    logs: str
    max_output_bytes: Number
    max_log_bytes: Number
    max_seconds: Number
    max_memory: Number


class OwnerView(Message):
    """The owner of a computation."""

    email: str


class ParticipantView(Message):
    """One person in one role, and how far they are."""

    role: Role
    index: int
    email: str
    public_key: str | None
    registered_at: datetime | None
    code_sent_at: datetime | None = None
    data_done_at: datetime | None = None
    delivered_at: datetime | None = None


class CodeView(Message):
    """The newest version of the program."""

    digest: str
    signature: str
    version: int
    sent_at: datetime


class LaunchView(Message):
    """One enclave of the computation."""

    epoch: int
    launched_at: datetime | None
    evidence_at: datetime | None
    ended_at: datetime | None
    deadline_at: datetime
    mrenclave: str | None
    ending: str | None
    protections: list[ProtectionView] | None


class RunView(Message):
    """One run. `outcome` is the server's claim where the receipt has no closing."""

    epoch: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    exit_code: int | None


class RefusalView(Message):
    """Who said no, why, and to which enclave."""

    by: str
    reason: str
    epoch: int


class ComputationView(Message):
    """A computation as its members see it."""

    computation: str
    name: str
    owner: OwnerView
    created_at: datetime
    state: str
    epoch: int
    tee: str
    delivery: str
    logs: str
    max_output_bytes: int
    max_log_bytes: int
    max_seconds: int
    max_memory: int
    participants: list[ParticipantView]
    code: CodeView | None
    launches: list[LaunchView]
    runs: list[RunView]
    refusal: RefusalView | None
    my_roles: list[str]


class ComputationList(Message):
    """Every computation that the account has a part in."""

    computations: list[ComputationView]


class NewKey(Message):
    """A participant's Ed25519 public key for one of their roles."""

    role: Role
    public_key: Hex32


class CodeListView(Message):
    """The signed list of the program's files: path, size, SHA-256."""

    files: list[tuple[str, int, str]]
    signature: str


class NewWheels(Message):
    """The wheels that the code will need: `requirements.txt` as it will be sent, and a size for each line."""

    requirements: str
    sizes: list[Number]


class WheelView(Message):
    """How far a wheel is."""

    sha256: str
    size: int
    received: int
    completed: bool


class WheelsView(Message):
    """The wheels of a computation, by their hashes."""

    wheels: list[WheelView]


class NewUpload(Message):
    """A file that will be uploaded: sealed, so its size and digest are the container's."""

    name: str
    size: Number
    sha256: Hex32


class UploadView(Message):
    """How far an upload is."""

    upload: str
    name: str
    size: int
    sha256: str
    received: int
    completed: bool


class InputView(Message):
    """One file of a list."""

    name: str
    size: Number
    sha256: Hex32


class DataDone(Message):
    """A Data Provider's files in the order that its delivery commits to."""

    files: list[InputView]


class ProviderDataView(Message):
    """What one Data Provider declared; the uploads themselves are shown to that provider alone."""

    provider: int
    email: str
    done_at: datetime | None
    files: list[InputView]
    uploads: list[UploadView] | None = None


class DataView(Message):
    """The data of a computation."""

    providers: list[ProviderDataView]


class DeliveryView(Message):
    """A key delivery and the enclave's answer; both are null while there is none."""

    slot: int
    number: int
    admitted: bool | None
    refused: str | None


class Reason(Message):
    """A participant's reason, shown to everybody."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class OptionalReason(Message):
    """Why a person ends something."""

    reason: Annotated[str, Field(max_length=1000)] = ""


class EventView(Message):
    """One line of the computation's log; `digest` chains it to the line before."""

    number: int
    at: datetime
    kind: str
    by: str
    source: str | None
    target: str
    epoch: int
    details: dict[str, object]
    previous: str
    digest: str


class EventList(Message):
    """The computation's log from the beginning."""

    events: list[EventView]


class ResultView(Message):
    """One sealed result of the latest run."""

    consumer: int
    index: int
    name: str
    size: int
    sha256: str


class ResultList(Message):
    """The sealed results of a run."""

    epoch: int
    results: list[ResultView]
