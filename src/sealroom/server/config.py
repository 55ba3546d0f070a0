"""What an operator chooses when the server starts. Values only: nothing here opens anything.

Spec: docs/spec/api.md (limits).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sealroom.adapters.provisioning import Source
from sealroom.core.measurement.signing import SigstructSigner

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Bounds on what one request or one computation may cost the operator; published by `GET /v1/server`."""

    max_participants: int = 256
    max_code_files: int = 4096
    max_code_bytes: int = 256 * MEBIBYTE
    max_wheels: int = 512
    max_wheel_bytes: int = 4096 * MEBIBYTE
    """All wheels of one computation together."""
    max_uploads: int = 4096
    max_upload_bytes: int = 1 << 40
    max_json_bytes: int = 4 * MEBIBYTE
    max_lost_enclaves: int = 3
    """Enclaves of one launch request that may be lost before the computation fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxSettings:
    """What an operator gives for enclaves on SGX.

    `packages` is a folder with the packages of the bill of materials, `signer` the key that signs enclaves.
    `runtime_bill` and `known_pals` are files of the operator's and the participants' own, in place of the
    release's and beside it. Intel's documents come from `sources`, at least one, asked in order.
    """

    packages: Path
    signer: SigstructSigner = field(repr=False)
    sources: tuple[Source, ...]
    runtime_bill: Path | None = None
    known_pals: Path | None = None
    source_ca: Path | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: expected at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What `run_server` needs. `port` 0 lets the system choose; no `database_url` means SQLite in `data`.

    `sgx` is there for the launcher gramine-sgx, and for no other.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8443
    launcher: str = "simulated"
    waiting_deadline_seconds: int = 24 * 3600
    database_url: str | None = None
    sgx: SgxSettings | None = None
    limits: ServerLimits = field(default_factory=ServerLimits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port: got {self.port}, expected 0 to 65535")
        if self.waiting_deadline_seconds < 1:
            raise ValueError(f"waiting deadline: got {self.waiting_deadline_seconds} s, expected at least 1")

    @property
    def url(self) -> str:
        """Address of the database: the given one, or the SQLite file of the data folder."""
        return self.database_url or f"sqlite:///{self.data / 'sealroom.sqlite'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What a started server tells its operator: where it listens, and the certificate that clients pin."""

    url: str
    certificate_sha256: str
    launcher: str


Announce = Callable[[Listening], None]
