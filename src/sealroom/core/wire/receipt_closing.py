"""The closing of a receipt: how a run ended and what left the enclave, signed by the run's own key.

docs/spec/receipt.md. Must never carry more of a failure than its built-in type, file and line, nor an exit
code other than 0 and 1: both would be a way out for data.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import DIGEST_SIZE, check_number, check_size, parse_choice
from sealroom.core.wire.in_toto import Subject, agreement_subject, decode_statement, encode_statement
from sealroom.core.wire.names import MAX_PATH_BYTES, check_file_name, check_path
from sealroom.core.wire.participants import MAX_PARTICIPANTS
from sealroom.core.wire.strict_json import JsonValue

CLOSING_TYPE = "urn:sealroom:receipt:closing/v1"
# Over all consumers, as for inputs.
MAX_TOTAL_OUTPUTS = 16 * 1024
MAX_LINE = 2**31 - 1
_LOG = "log"
_MEMBERS = (
    "opening_sha256",
    "outcome",
    "exit_code",
    "host_started",
    "host_ended",
    "bytes_out",
    "bytes_log",
    "failure",
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_EXCEPTION = re.compile(r"[A-Za-z]{1,64}")
_RESULT = re.compile(r"results/(0|[1-9][0-9]{0,2})/([^/]+)")


class Outcome(Enum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Where a program failed: a built-in exception's name, a file of the code list and a line."""

    type: str
    file: str
    line: int

    def __post_init__(self) -> None:
        if _EXCEPTION.fullmatch(self.type) is None:
            raise MalformedError("failure type: expected the name of a built-in exception")
        check_path(self.file, field="failure file")
        check_number(self.line, field="failure line", maximum=MAX_LINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """One sealed result; `consumer` is the Result Consumer's index, `sha256` the container's."""

    consumer: int
    name: str
    sha256: bytes

    def __post_init__(self) -> None:
        check_number(self.consumer, field="result consumer", maximum=MAX_PARTICIPANTS - 1)
        check_file_name(self.name, field="result name")
        check_size(self.sha256, field="result sha256", size=DIGEST_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How a run ended. The two times are the host's clock, and no more worth than that.

    `outputs` are in the order of consumer and file; `log_sha256` is `None` when no log left the enclave.
    """

    agreement: bytes
    opening_sha256: bytes
    outcome: Outcome
    exit_code: int
    host_started: datetime
    host_ended: datetime
    bytes_out: int
    bytes_log: int
    failure: Failure | None
    outputs: tuple[OutputRecord, ...]
    log_sha256: bytes | None

    def __post_init__(self) -> None:
        check_size(self.agreement, field="agreement", size=DIGEST_SIZE)
        check_size(self.opening_sha256, field="opening_sha256", size=DIGEST_SIZE)
        if self.exit_code != (0 if self.outcome is Outcome.SUCCEEDED else 1):
            raise MalformedError("exit_code: expected 0 exactly for a run that succeeded, else 1")
        if self.failure is not None and self.outcome is Outcome.SUCCEEDED:
            raise MalformedError("failure: a run that succeeded has none")
        _check_time(self.host_started, field="host_started")
        _check_time(self.host_ended, field="host_ended")
        check_number(self.bytes_out, field="bytes_out")
        check_number(self.bytes_log, field="bytes_log")
        _check_outputs(self.outputs)
        if self.log_sha256 is not None:
            check_size(self.log_sha256, field="log sha256", size=DIGEST_SIZE)

    def to_statement(self) -> bytes:
        """Return the payload that the run key signs."""
        results = tuple(
            Subject(name=f"results/{output.consumer}/{output.name}", sha256=output.sha256)
            for output in self.outputs
        )
        log = () if self.log_sha256 is None else (Subject(name=_LOG, sha256=self.log_sha256),)
        return encode_statement(
            subjects=(agreement_subject(self.agreement), *results, *log),
            kind=CLOSING_TYPE,
            predicate=self._predicate(),
        )

    def _predicate(self) -> JsonValue:
        failure: JsonValue = None
        if self.failure is not None:
            failure = {"type": self.failure.type, "file": self.failure.file, "line": self.failure.line}
        return {
            "opening_sha256": self.opening_sha256.hex(),
            "outcome": self.outcome.value,
            "exit_code": self.exit_code,
            "host_started": self.host_started.strftime(_TIME),
            "host_ended": self.host_ended.strftime(_TIME),
            "bytes_out": self.bytes_out,
            "bytes_log": self.bytes_log,
            "failure": failure,
        }

    @classmethod
    def from_payload(cls, payload: bytes) -> "Closing":
        """Read a verified payload; raises `MalformedError` for anything but its one encoding."""
        subjects, predicate = decode_statement(payload, kind=CLOSING_TYPE)
        value = dict(zip(_MEMBERS, strict_json.members(predicate, _MEMBERS, field="closing"), strict=True))
        has_log = len(subjects) > 1 and subjects[-1].name == _LOG
        results = subjects[1:-1] if has_log else subjects[1:]
        closing = cls(
            agreement=subjects[0].sha256,
            opening_sha256=strict_json.hex_bytes(
                value["opening_sha256"], field="opening_sha256", size=DIGEST_SIZE
            ),
            outcome=parse_choice(
                Outcome, strict_json.text(value["outcome"], field="outcome"), field="outcome"
            ),
            exit_code=strict_json.integer(value["exit_code"], field="exit_code", maximum=1),
            host_started=_parse_time(value["host_started"], field="host_started"),
            host_ended=_parse_time(value["host_ended"], field="host_ended"),
            bytes_out=strict_json.integer(value["bytes_out"], field="bytes_out"),
            bytes_log=strict_json.integer(value["bytes_log"], field="bytes_log"),
            failure=None if value["failure"] is None else _parse_failure(value["failure"]),
            outputs=tuple(_parse_output(subject) for subject in results),
            log_sha256=subjects[-1].sha256 if has_log else None,
        )
        strict_json.check_canonical(payload, closing.to_statement(), field="closing")
        return closing


def _check_outputs(outputs: tuple[OutputRecord, ...]) -> None:
    if len(outputs) > MAX_TOTAL_OUTPUTS:
        raise MalformedError(f"results: got {len(outputs)}, expected at most {MAX_TOTAL_OUTPUTS}")
    consumers = [output.consumer for output in outputs]
    if consumers != sorted(consumers):
        raise MalformedError("results: not in the order of the consumers")
    if len({(output.consumer, output.name) for output in outputs}) != len(outputs):
        raise MalformedError("results: one name for one consumer stands twice")


def _check_time(moment: datetime, *, field: str) -> None:
    if moment.tzinfo is not UTC or moment.microsecond:
        raise MalformedError(f"{field}: expected whole seconds of UTC")
    # strftime writes smaller years without their leading zeros on some platforms.
    if moment.year < 1970:
        raise MalformedError(f"{field}: expected a time after 1970")


def _parse_time(value: JsonValue, *, field: str) -> datetime:
    moment = strict_json.text(value, field=field, max_chars=20)
    if _TIME_TEXT.fullmatch(moment) is None:
        raise MalformedError(f"{field}: expected YYYY-MM-DDTHH:MM:SSZ")
    try:
        return datetime.strptime(moment, _TIME).replace(tzinfo=UTC)
    except ValueError as exc:
        raise MalformedError(f"{field}: no such time") from exc


def _parse_failure(value: JsonValue) -> Failure:
    kind, file, line = strict_json.members(value, ("type", "file", "line"), field="failure")
    return Failure(
        type=strict_json.text(kind, field="failure type"),
        file=strict_json.text(file, field="failure file", max_chars=MAX_PATH_BYTES),
        line=strict_json.integer(line, field="failure line", maximum=MAX_LINE),
    )


def _parse_output(subject: Subject) -> OutputRecord:
    parts = _RESULT.fullmatch(subject.name)
    if parts is None:
        raise MalformedError("results: expected subjects named results/<consumer>/<name>")
    return OutputRecord(consumer=int(parts[1]), name=parts[2], sha256=subject.sha256)
