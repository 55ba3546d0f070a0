"""Names and sizes in the folder that a service and its operator share (docs/spec/services.md).

Host memory, so hostile to both: names are fixed, sizes bounded before reading. The list of the code, `end`
and the quote have the names that they have in computations.
"""

from dataclasses import dataclass
from enum import Enum

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.spool import CODE_LIST, END, MAX_END_BYTES, QUOTE

__all__ = [
    "ACCESS_LOG",
    "CERTIFICATE",
    "CHAIN",
    "CODE_LIST",
    "END",
    "FAILURE",
    "MAX_CERTIFICATE_BYTES",
    "MAX_CHAIN_BYTES",
    "MAX_END_BYTES",
    "METRICS",
    "QUOTE",
    "STATE",
    "PublicFailure",
    "ServiceState",
]

# host -> enclave: the certificates that go with a delivered TLS key; there before the enclave starts.
CHAIN = "chain.pem"
MAX_CHAIN_BYTES = 64 * 1024

# enclave -> host
CERTIFICATE = "certificate.pem"
MAX_CERTIFICATE_BYTES = 128 * 1024
STATE = "state"
MAX_STATE_BYTES = 16
METRICS = "metrics"
MAX_METRICS_BYTES = 4096
ACCESS_LOG = "access-log"
MAX_ACCESS_LOG_BYTES = 4 << 20
FAILURE = "failure"
MAX_FAILURE_BYTES = 64 * 1024


class ServiceState(Enum):
    """What a service says that it does."""

    BOOTSTRAP = "bootstrap"
    APPLICATION = "application"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicFailure:
    """Where an application failed: a built-in exception's name, a file below `src/`, a line in it.

    All three are `None` where it was raised outside the application's own files.
    """

    type: str | None
    file: str | None
    line: int | None

    def to_bytes(self) -> bytes:
        """Return the file."""
        return strict_json.encode_json({"type": self.type, "file": self.file, "line": self.line})

    @classmethod
    def from_bytes(cls, raw: bytes) -> "PublicFailure":
        """Read the file; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="failure", max_bytes=MAX_FAILURE_BYTES)
        kind, file, line = strict_json.members(value, ("type", "file", "line"), field="failure")
        if [kind, file, line].count(None) not in (0, 3):
            raise MalformedError("failure: expected all members or none")
        failure = cls(
            type=None if kind is None else strict_json.text(kind, field="failure"),
            file=None if file is None else strict_json.text(file, field="failure"),
            line=None if line is None else strict_json.integer(line, field="failure"),
        )
        strict_json.check_canonical(raw, failure.to_bytes(), field="failure")
        return failure
