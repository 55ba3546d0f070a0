"""What all launchers do alike: fill the launch folder, hand it to a supervisor, find it again.

A kind of TEE adds what only it knows: its PAL, the runtime inside, and, where a processor wants one, a
signature over the manifest.

Must never: let a name from an archive or a message choose a path outside the launch folder.
Spec page: docs/spec/launch-folder.md.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sealroom.adapters.release import first_party_sources
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.platform_tags import platform_of_runtime
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.template import (
    ARGUMENTS_PATH,
    CODE_FOLDER,
    PACKAGES_FOLDER,
    MeasuredFile,
    computation_manifest,
)
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.names import check_path
from sealroom.core.wire.spool import CODE_LIST, CODE_SIGNATURE, END_CANCELLED
from sealroom.core.wire.terms import Tee
from sealroom.server.launchers.base import (
    CodeSource,
    LaunchError,
    LaunchPlan,
    LaunchState,
    LaunchStatus,
    Protection,
)
from sealroom.server.launchers.host_files import (
    EPOCH,
    EXIT,
    HOST_FOLDER,
    ORDER,
    PROTECTIONS,
    SUPERVISOR,
    ExitRecord,
    LaunchOrder,
    SupervisorRecord,
    heartbeat_age,
    read_highest_epoch,
    read_small,
    write_whole,
)
from sealroom.server.launchers.packages import unpack_packages
from sealroom.server.launchers.removal import remove_folder
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool

MANIFEST_PATH = "manifest.sgx"
PAL_PATH = "pal"
GRACE_SECONDS = 10
# Quote, answers, opening, closing and names, beside what the budgets allow.
SPOOL_ALLOWANCE = 64 << 20

_SUPERVISOR_MODULE = "sealroom.server.supervisor"
_COMMAND_SECONDS = 300
# What becomes of a spool that is being removed, and how long its supervisor may take to notice.
_REMOVED_SPOOL = "spool.removed"
_KILL_SECONDS = 3.0
_KILL_LOOK_SECONDS = 0.1
# What a child may know of the server's environment.
_ENVIRONMENT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What a kind of TEE put into a launch folder: the PAL that starts first, and the runtime's files."""

    pal: KnownPal
    runtime: tuple[MeasuredFile, ...]


class FolderLauncher(ABC):
    """Launches below `root`: `launches/<uuid>/<epoch>/`, and `state`, a folder for what they share."""

    name: str
    tee: Tee
    start_seconds: int

    def __init__(self, root: Path, state: Path, *, grace_seconds: int = GRACE_SECONDS) -> None:
        self._launches = root.resolve() / "launches"
        self._state = state.resolve()
        self._grace_seconds = grace_seconds
        self._launches.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._state.mkdir(mode=0o700, exist_ok=True)

    @property
    def state(self) -> Path:
        """The folder that all launches of this kind share."""
        return self._state

    @abstractmethod
    def load_release(self) -> Release:
        """Return the release whose template and files an enclave gets."""

    @abstractmethod
    def stage(self, folder: Path, release: Release) -> Staged:
        """Put PAL and runtime into a new launch folder. Raises `LaunchError` where they cannot be had."""

    @abstractmethod
    def complete(self, folder: Path, manifest: bytes) -> None:
        """Add what is made from the finished manifest."""

    def folder(self, computation: UUID, epoch: int) -> Path:
        """Return where that launch folder is, or would be."""
        return self._launches / str(computation) / str(epoch)

    def spool(self, computation: UUID, epoch: int) -> Spool:
        """Return the spool of a launch."""
        return Spool(self.folder(computation, epoch) / SPOOL_FOLDER)

    def prepare(self, plan: LaunchPlan) -> None:
        """Make the launch folder, whole or not at all; does nothing when it is there.

        Raises `MalformedError` for arguments or paths that no enclave takes, `LaunchError` where the runtime
        of this machine cannot be used, `ValueError` for an epoch that is not the highest.
        """
        folder = self.folder(plan.computation, plan.epoch)
        if folder.is_dir():
            return
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        highest = read_highest_epoch(folder.parent)
        if highest is not None and highest > plan.epoch:
            raise ValueError(f"epoch {plan.epoch}: epoch {highest} was prepared before")
        partial = folder.with_name(f"{folder.name}.tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        self._fill(partial, plan)
        # From here on the supervisor of an older epoch ends its enclave.
        write_whole(folder.parent / EPOCH, str(plan.epoch).encode())
        partial.rename(folder)

    def start(self, computation: UUID, epoch: int) -> None:
        """Start the supervisor of a prepared launch; does nothing when it was started."""
        if self.watch(computation, epoch).state is LaunchState.PREPARED:
            run_module(_SUPERVISOR_MODULE, [str(self.folder(computation, epoch))])

    def watch(self, computation: UUID, epoch: int) -> LaunchStatus:
        """Look at a launch, by its files and processes alone."""
        return look_at(self.folder(computation, epoch))

    def stop(self, computation: UUID, epoch: int) -> None:
        """Ask an enclave to end. A waiting one answers with a signed refusal, any other is killed soon."""
        spool = self.spool(computation, epoch)
        if spool.is_there():
            spool.ask_to_end(END_CANCELLED)

    def discard(self, computation: UUID, epoch: int) -> None:
        """Remove a launch folder. An enclave that still runs is killed by its supervisor."""
        folder = self.folder(computation, epoch)
        # First, and at once: its absence is what the supervisor looks for, and a program that goes on writing
        # into it can keep it from ever being empty.
        with contextlib.suppress(FileNotFoundError):
            (folder / SPOOL_FOLDER).rename(folder / _REMOVED_SPOOL)
        ends = time.monotonic() + _KILL_SECONDS
        while self.watch(computation, epoch).state is LaunchState.ALIVE and time.monotonic() < ends:
            time.sleep(_KILL_LOOK_SECONDS)
        remove_folder(folder)

    def protections(self, computation: UUID, epoch: int) -> tuple[Protection, ...]:
        """Return what protects that enclave, empty before it was started."""
        return read_protections(self.folder(computation, epoch))

    def _fill(self, folder: Path, plan: LaunchPlan) -> None:
        arguments = parse_arguments(plan.arguments)
        if arguments.terms.tee is not self.tee:
            raise LaunchError(
                f"arguments: tee is {arguments.terms.tee.value}, {self.name} is {self.tee.value}"
            )
        for name in (HOST_FOLDER, PACKAGES_FOLDER):
            (folder / name).mkdir(mode=0o700)
        write_file(folder / ARGUMENTS_PATH, plan.arguments)
        form = arguments.terms.delivery
        copy_files(folder, first_party_sources(form))
        copy_code(folder, plan.code)
        release = self.load_release()
        staged = self.stage(folder, release)
        packages: tuple[MeasuredFile, ...] = ()
        if plan.packages:
            platform = platform_of_runtime(file.path for file in staged.runtime)
            packages = unpack_packages(folder, plan.packages, platform)
        limits = arguments.terms.limits
        manifest = make_manifest(
            first_party=release.first_party_for(form),
            arguments=plan.arguments,
            code=plan.code,
            packages=packages,
            staged=staged,
            max_memory=limits.max_memory,
        )
        write_file(folder / MANIFEST_PATH, manifest)
        self.complete(folder, manifest)
        spool = Spool(folder / SPOOL_FOLDER)
        spool.create(
            providers=len(arguments.terms.data_providers), consumers=len(arguments.terms.result_consumers)
        )
        spool.write(CODE_LIST, plan.code_list)
        spool.write(CODE_SIGNATURE, plan.code_signature)
        order = LaunchOrder(
            launcher=self.name,
            state=str(self._state),
            epoch=plan.epoch,
            deadline=plan.deadline,
            max_seconds=limits.max_seconds,
            grace_seconds=self._grace_seconds,
            start_seconds=self.start_seconds,
            # Containers and padded logs are larger than what they hold.
            max_spool_bytes=2 * (limits.max_output_bytes + limits.max_log_bytes) + SPOOL_ALLOWANCE,
        )
        write_whole(folder / HOST_FOLDER / ORDER, order.to_json())


def make_manifest(
    *,
    first_party: Sequence[MeasuredFile],
    arguments: bytes,
    code: Sequence[CodeSource],
    packages: Sequence[MeasuredFile],
    staged: Staged,
    max_memory: int,
) -> bytes:
    """Return the manifest of a launch, by the template that every client uses as well."""
    return computation_manifest(
        arguments_sha256=hashlib.sha256(arguments).digest(),
        first_party=first_party,
        code=[MeasuredFile(path=f"{CODE_FOLDER}/{file.path}", sha256=file.sha256) for file in code],
        packages=packages,
        runtime=staged.runtime,
        max_memory=max_memory,
        pal=staged.pal,
    )


def copy_files(folder: Path, sources: Mapping[str, Path]) -> None:
    """Copy sealroom's own measured files, from this installation, to their paths below `folder`."""
    for path, source in sources.items():
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def copy_code(folder: Path, code: Sequence[CodeSource]) -> None:
    """Copy the Code Provider's files to their paths below `code/`; `MalformedError` for any other path."""
    (folder / CODE_FOLDER).mkdir(mode=0o700)
    for file in code:
        check_path(file.path, field="code path")
        target = folder / CODE_FOLDER / file.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.copy_to(target)


def read_protections(folder: Path) -> tuple[Protection, ...]:
    """Read the protections that were chosen for an enclave, empty before there was one."""
    raw = read_small(folder / HOST_FOLDER / PROTECTIONS)
    rows = [] if raw is None else json.loads(raw)
    return tuple(Protection(name=row["name"], on=row["on"], detail=row["detail"]) for row in rows)


def look_at(folder: Path) -> LaunchStatus:
    """Say what a launch folder shows. Raises `MalformedError` where its host files were changed."""
    host = folder / HOST_FOLDER
    if not host.is_dir():
        return LaunchStatus(state=LaunchState.ABSENT)
    raw = read_small(host / SUPERVISOR)
    if raw is None:
        return LaunchStatus(state=LaunchState.PREPARED)
    alive = SupervisorRecord.from_json(raw).is_alive()
    # Read after the look at the process, which writes it before it ends.
    ended = read_small(host / EXIT)
    if ended is not None:
        return LaunchStatus(state=LaunchState.ENDED, exit=ExitRecord.from_json(ended))
    state = LaunchState.ALIVE if alive else LaunchState.LOST
    return LaunchStatus(state=state, heartbeat_seconds=heartbeat_age(host))


def run_module(module: str, arguments: Sequence[str]) -> None:
    """Run a module of this installation to its end; raises `LaunchError` with what it said."""
    command = [sys.executable, "-I", "-B", "-m", module, *arguments]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - modules of this installation
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise LaunchError(f"{module}: no answer within {_COMMAND_SECONDS} s") from exc
    if done.returncode != 0:
        raise LaunchError(f"{module}: {done.stderr.decode(errors='replace').strip()[-2000:]}")


def write_file(path: Path, content: bytes) -> None:
    """Write a file that was not there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
