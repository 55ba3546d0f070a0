"""What a launcher does, and the values it speaks in.

A launcher turns one planned launch into a launch folder and a supervised process. It keeps nothing in memory:
after a restart the server asks `watch` and goes on.

Must never: open anything that is sealed. Spec page: docs/spec/launch-folder.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from sealroom.core.measurement.requirements import Requirement
from sealroom.core.wire.terms import Tee
from sealroom.server.launchers.host_files import ExitRecord
from sealroom.server.launchers.spool_files import Spool


class LaunchError(Exception):
    """The machine could not prepare or start an enclave; the message is for its operator."""


class LaunchState(Enum):
    """What a look at a launch folder shows."""

    ABSENT = "absent"
    """There is no launch folder: it was never prepared, or it was discarded."""
    PREPARED = "prepared"
    """The folder is whole, and nothing was started."""
    ALIVE = "alive"
    """Its supervisor runs."""
    ENDED = "ended"
    """Its supervisor wrote down how it ended."""
    LOST = "lost"
    """Its supervisor is gone and wrote nothing; the kernel ended the enclave with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchStatus:
    """One look at a launch. `heartbeat_seconds` is how long ago the supervisor said that it runs."""

    state: LaunchState
    exit: ExitRecord | None = None
    heartbeat_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSource:
    """One file of the Code Provider's archive: its path there, its digest, and what copies it to a path."""

    path: str
    sha256: bytes
    copy_to: Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSource:
    """One package of the code: the line that names it, and what opens its wheel."""

    requirement: Requirement
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """Everything that decides a launch folder.

    `arguments` is the whole measured file; `code_list` and `code_signature` go to the enclave by the spool.
    """

    computation: UUID
    epoch: int
    deadline: datetime
    arguments: bytes
    code: tuple[CodeSource, ...]
    packages: tuple[WheelSource, ...]
    code_list: bytes
    code_signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One protection of the sandbox around an enclave, and whether it is on."""

    name: str
    on: bool
    detail: str


class Launcher(Protocol):
    """One way to run enclaves, all of the kind `tee`. Every method may be called again after a crash."""

    name: str
    tee: Tee

    def prepare(self, plan: LaunchPlan) -> None:
        """Make the launch folder, whole or not at all; does nothing when it is there."""

    def start(self, computation: UUID, epoch: int) -> None:
        """Start the supervisor of a prepared launch; does nothing when it was started."""

    def watch(self, computation: UUID, epoch: int) -> LaunchStatus:
        """Look at a launch, by its files and processes alone."""

    def stop(self, computation: UUID, epoch: int) -> None:
        """Ask an enclave to end. A waiting one answers with a signed refusal, any other is killed soon."""

    def discard(self, computation: UUID, epoch: int) -> None:
        """Remove a launch folder. An enclave that still runs is killed by its supervisor."""

    def folder(self, computation: UUID, epoch: int) -> Path:
        """Return where that launch folder is, or would be."""

    def spool(self, computation: UUID, epoch: int) -> Spool:
        """Return the spool of a launch."""

    def protections(self, computation: UUID, epoch: int) -> tuple[Protection, ...]:
        """Return what protects that enclave, empty before it was started."""
