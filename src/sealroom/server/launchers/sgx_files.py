"""The files by which the launcher of enclaves on SGX and the process that runs one know of each other.

Spec page: docs/spec/launch-folder.md, "On SGX".
"""

import json
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.errors import MalformedError
from sealroom.server.launchers.host_files import read_small

# `gramine-sgx NAME` reads NAME.manifest.sgx and NAME.sig.
NAME = "enclave"
MANIFEST = f"{NAME}.manifest.sgx"
SIGSTRUCT = f"{NAME}.sig"
# In the folder that all launches share.
STARTING = "starting.json"

_KEYS = {"program", "sources", "source_ca"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingOrder:
    """How enclaves are started on this machine: Gramine's starter, and where Intel's documents are had."""

    program: str
    sources: tuple[str, ...]
    source_ca: str | None

    def to_json(self) -> bytes:
        """Return the file's bytes."""
        row = {"program": self.program, "sources": list(self.sources), "source_ca": self.source_ca}
        return json.dumps(row, indent=1).encode() + b"\n"

    @classmethod
    def load(cls, state: Path) -> "StartingOrder":
        """Read what the launcher wrote; raises `MalformedError` for anything else."""
        try:
            row = json.loads(read_small(state / STARTING) or b"")
        except (ValueError, RecursionError) as exc:
            raise MalformedError(f"{STARTING}: not valid JSON") from exc
        if not isinstance(row, dict) or set(row) != _KEYS:
            raise MalformedError(f"{STARTING}: expected {', '.join(sorted(_KEYS))}")
        program, sources, source_ca = row["program"], row["sources"], row["source_ca"]
        if not isinstance(program, str) or not isinstance(source_ca, str | None):
            raise MalformedError(f"{STARTING}: program or source_ca is not a string")
        if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
            raise MalformedError(f"{STARTING}: sources: expected a list of strings")
        return cls(program=program, sources=tuple(sources), source_ca=source_ca)
