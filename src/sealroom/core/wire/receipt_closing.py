"""The closing of a receipt: how a run ended and what left the enclave, signed by the run's own key.

docs/spec/receipt.md. Must never carry more of a failure than its built-in type, file and line, nor an exit
code other than 0 and 1: both would be a way out for data.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import DIGEST_SIZE, check_number, check_size
from sealroom.core.wire.in_toto import Subject, agreement_subject, encode_statement
from sealroom.core.wire.names import check_file_name, check_path
from sealroom.core.wire.participants import MAX_PARTICIPANTS
from sealroom.core.wire.strict_json import JsonValue

CLOSING_TYPE = "urn:sealroom:receipt:closing/v1"
# Over all consumers, as for inputs.
MAX_TOTAL_OUTPUTS = 16 * 1024
MAX_LINE = 2**31 - 1
LOG_SUBJECT = "log"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_EXCEPTION = re.compile(r"[A-Za-z]{1,64}")


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
        log = () if self.log_sha256 is None else (Subject(name=LOG_SUBJECT, sha256=self.log_sha256),)
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
            "host_started": self.host_started.strftime(TIME_FORMAT),
            "host_ended": self.host_ended.strftime(TIME_FORMAT),
            "bytes_out": self.bytes_out,
            "bytes_log": self.bytes_log,
            "failure": failure,
        }


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
