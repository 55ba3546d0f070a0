"""Where an operator's services lie, and what each one is doing, read from files and processes.

    <data>/services/<name>/epoch      the highest start
    <data>/services/<name>/<n>/       the launch folder of start n; only the highest counts

States, in the order in which a service goes through them:

    Spawned   prepared or started, no certificate yet
    Waiting   its certificate is there; it waits for its key
    Running   it serves the application
    Stopped   it ended when it was asked to, or nobody brought its key in time
    Failed    it never came up, its application failed, or its process is gone

Must never: believe the spool about more than what an operator may be told; an enclave's word is no proof.
Spec: docs/spec/services.md, "Operator's folder".
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sealroom.core.errors import MalformedError
from sealroom.core.wire import service_spool as names
from sealroom.core.wire.service_arguments import ServiceArguments, check_service_name
from sealroom.core.wire.service_spool import PublicFailure, ServiceState
from sealroom.core.wire.spool import END_CANCELLED
from sealroom.server.hosting.launching import (
    ServiceLauncher,
    ServicePlan,
    fill_again,
    read_arguments,
    start,
)
from sealroom.server.launchers.base import LaunchState, LaunchStatus, Protection
from sealroom.server.launchers.folders import FolderLauncher, look_at, read_protections
from sealroom.server.launchers.host_files import EPOCH, EndReason, read_highest_epoch, write_whole
from sealroom.server.launchers.removal import remove_folder
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool

CONSOLE_PATH = "host/console.log"
SUPERVISOR_LOG_PATH = "host/supervisor.log"


class HostedState(Enum):
    """What a service is doing."""

    SPAWNED = "Spawned"
    WAITING = "Waiting"
    RUNNING = "Running"
    STOPPED = "Stopped"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedService:
    """One look at a service. `failure` says where its application failed, if that is why it ended."""

    name: str
    folder: Path
    start: int
    arguments: ServiceArguments
    state: HostedState
    status: LaunchStatus
    failure: PublicFailure | None
    protections: tuple[Protection, ...]

    @property
    def spool(self) -> Spool:
        """The folder that the service shares with its operator."""
        return Spool(self.folder / SPOOL_FOLDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedService:
    """A service whose files cannot be read any more, and why: it can be removed, and nothing else."""

    name: str
    reason: str


class Hosting:
    """The services below `data`. Only `spawn` makes a folder."""

    def __init__(self, data: Path) -> None:
        self._services = data.resolve() / "services"

    def spawn(self, plan: ServicePlan, launcher: FolderLauncher) -> HostedService:
        """Prepare and start a service that nobody here has by that name; raises `FileExistsError`."""
        name = plan.arguments.name
        own = self._services / name
        if read_highest_epoch(own) is not None:
            raise FileExistsError(f"service {name}: is here already; stop and remove it, or restart it")
        self._services.mkdir(mode=0o700, parents=True, exist_ok=True)
        own.mkdir(mode=0o700, exist_ok=True)
        self._begin(own, 1, lambda folder: ServiceLauncher(launcher).fill(folder, plan, epoch=1))
        return self.look(name)

    def restart(self, name: str) -> HostedService:
        """Start a service anew: the same measurement, new keys, a new certificate.

        The former start is ended.
        """
        former = self.look(name)
        number = former.start + 1
        self._begin(
            former.folder.parent,
            number,
            lambda folder: fill_again(folder, former.folder, epoch=number),
        )
        return self.look(name)

    def stop(self, name: str) -> None:
        """Ask a service to end: it finishes the requests that run."""
        spool = self.look(name).spool
        if spool.is_there():
            spool.ask_to_end(END_CANCELLED)

    def remove(self, name: str) -> None:
        """Remove a service, whole or damaged, and all of its starts; `FileNotFoundError` where there is none.

        One that still runs is killed by its supervisor.
        """
        check_service_name(name)
        if not (self._services / name).is_dir():
            raise FileNotFoundError(f"service {name}: there is none here")
        remove_folder(self._services / name)

    def list(self) -> tuple[HostedService | DamagedService, ...]:
        """Look at every service, by name; one that is damaged hides no other, and no folder has none."""
        if not self._services.is_dir():
            return ()
        names_here = sorted(path.name for path in self._services.iterdir() if path.is_dir())
        found = (self._look_or_say_why(name) for name in names_here)
        return tuple(each for each in found if each is not None)

    def _look_or_say_why(self, name: str) -> HostedService | DamagedService | None:
        try:
            return None if self._start_of(name) is None else self.look(name)
        except (MalformedError, OSError) as exc:
            return DamagedService(name=name, reason=str(exc))

    def look(self, name: str) -> HostedService:
        """Look at one service.

        Raises `FileNotFoundError` where there is none of that name, `MalformedError` where it is damaged.
        """
        check_service_name(name)
        number = self._start_of(name)
        if number is None:
            raise FileNotFoundError(f"service {name}: there is none here")
        folder = self._services / name / str(number)
        status, spool = look_at(folder), Spool(folder / SPOOL_FOLDER)
        return HostedService(
            name=name,
            folder=folder,
            start=number,
            arguments=_arguments(name, folder),
            state=_state(status, spool),
            status=status,
            failure=_failure(spool),
            protections=read_protections(folder),
        )

    def _start_of(self, name: str) -> int | None:
        return read_highest_epoch(self._services / name)

    def _begin(self, own: Path, number: int, fill: Callable[[Path], None]) -> None:
        folder = own / str(number)
        partial = folder.with_name(f"{number}.tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        fill(partial)
        # Whole, and of a start that a crash ended before it counted: nothing was ever started in it.
        remove_folder(folder)
        partial.rename(folder)
        # From here on the supervisor of the former start ends its enclave.
        write_whole(own / EPOCH, str(number).encode())
        start(folder)


def _state(status: LaunchStatus, spool: Spool) -> HostedState:
    said = _said(spool)
    if status.state is LaunchState.ENDED and status.exit is not None:
        asked = status.exit.reason in (EndReason.CANCELLED, EndReason.SUPERSEDED)
        unprovisioned = said is ServiceState.ENDED and not spool.has(names.FAILURE)
        return HostedState.STOPPED if asked or unprovisioned else HostedState.FAILED
    if status.state is LaunchState.LOST:
        return HostedState.FAILED
    if said is ServiceState.APPLICATION:
        return HostedState.RUNNING
    return HostedState.WAITING if said is ServiceState.BOOTSTRAP else HostedState.SPAWNED


def _arguments(name: str, folder: Path) -> ServiceArguments:
    try:
        return read_arguments(folder)
    except FileNotFoundError as exc:
        raise MalformedError(f"service {name}: its arguments are gone") from exc


def _said(spool: Spool) -> ServiceState | None:
    try:
        raw = spool.read(names.STATE, max_bytes=names.MAX_STATE_BYTES)
        return None if raw is None else ServiceState(raw.decode("ascii"))
    except (MalformedError, ValueError, FileNotFoundError):
        return None


def _failure(spool: Spool) -> PublicFailure | None:
    try:
        raw = spool.read(names.FAILURE, max_bytes=names.MAX_FAILURE_BYTES)
        return None if raw is None else PublicFailure.from_bytes(raw)
    except (MalformedError, FileNotFoundError):
        return None
