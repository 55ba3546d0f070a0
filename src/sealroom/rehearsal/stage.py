"""The simulated TEE of this machine, and one launch in it: the server's own launcher, without a server.

What lies under the root is a convenience: the runtime's copies are kept for the next time, a launch is
removed when it is over, and what a killed rehearsal left is removed by the next one. Must never touch the
launch of another rehearsal that still runs. Spec: docs/spec/rehearsal.md.
"""

import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import UUID

from sealroom.core.errors import SealroomError
from sealroom.core.wire import spool as names
from sealroom.server.launchers.base import LaunchError, LaunchPlan, LaunchState, Protection
from sealroom.server.launchers.host_files import HOST_FOLDER, LOG, EndReason, ExitRecord
from sealroom.server.launchers.published import PublicCode, Published, compose_bundle
from sealroom.server.launchers.simulated import SimulatedLauncher
from sealroom.server.launchers.spool_files import Spool

EPOCH = 1
WAITING = timedelta(minutes=10)
_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 2
_MAX_LOG_BYTES = 4000
_SIGNALLED = 128
_LOCK_NAME = re.compile(r"([0-9a-f-]{36})\.lock")
_ENDINGS = {
    EndReason.TIME_LIMIT: "it ran on after the time was over, and was killed",
    EndReason.SPOOL_GONE: "its folder was removed, and it was killed",
}


class RehearsalError(SealroomError):
    """The rehearsal could not be held; nothing is said about the program."""


class Stage:
    """One launch. `arguments` and `code` are what its evidence is composed with."""

    def __init__(self, launcher: SimulatedLauncher, plan: LaunchPlan, code: PublicCode) -> None:
        self._launcher = launcher
        self._plan = plan
        self._code = code
        self._computation = plan.computation

    @property
    def spool(self) -> Spool:
        """The spool that the enclave and its host share."""
        return self._launcher.spool(self._computation, EPOCH)

    @property
    def spool_folder(self) -> Path:
        """Where the spool lies."""
        return self._launcher.folder(self._computation, EPOCH) / "spool"

    def prepare(self) -> None:
        """Make the launch folder."""
        with _explained():
            self._launcher.prepare(self._plan)

    def start(self) -> Published:
        """Start the enclave, and return what it publishes."""
        with _explained():
            self._launcher.start(self._computation, EPOCH)
        folder = self._launcher.folder(self._computation, EPOCH)
        while True:
            published = compose_bundle(folder, self.spool, arguments=self._plan.arguments, code=self._code)
            if published is not None:
                return published
            if self.has_ended():
                raise RehearsalError(f"the enclave did not start: {self._supervisor_log()}")
            time.sleep(_LOOK_SECONDS)

    def wait_for_opening(self) -> bool:
        """Wait until the run begins; `False` when the enclave ended instead."""
        while not self.spool.has(names.OPENING):
            if self.has_ended():
                # It may have ended right after it began.
                return self.spool.has(names.OPENING)
            time.sleep(_LOOK_SECONDS)
        return True

    def has_ended(self) -> bool:
        """Say whether the enclave and all that was started with it are gone."""
        state = self._launcher.watch(self._computation, EPOCH).state
        return state in (LaunchState.ENDED, LaunchState.LOST, LaunchState.ABSENT)

    def death(self) -> str:
        """Say how an enclave ended that signed nothing at its end."""
        status = self._launcher.watch(self._computation, EPOCH)
        return "its supervisor was killed" if status.exit is None else _death(status.exit)

    def protections(self) -> tuple[Protection, ...]:
        """Return what held the program in, on this machine."""
        return self._launcher.protections(self._computation, EPOCH)

    def _supervisor_log(self) -> str:
        log = self._launcher.folder(self._computation, EPOCH) / HOST_FOLDER / LOG
        with suppress(OSError):
            lines = log.read_text(encoding="utf-8", errors="replace")[-_MAX_LOG_BYTES:].splitlines()
            said = [line for line in lines if line.startswith(("simulated TEE:", "supervisor:"))]
            return " ".join(said or lines[-3:])
        return "it left no word"


@contextmanager
def open_stage(root: Path, plan: LaunchPlan, code: PublicCode) -> Iterator[Stage]:
    """Take a launch below `root`, and remove it at the end, whatever ends this; kills what still runs."""
    with _explained():
        launcher = SimulatedLauncher(root, grace_seconds=_GRACE_SECONDS)
    _sweep(root, launcher)
    lock = root / f"{plan.computation}.lock"
    with lock.open("x") as held:
        _take(held)
        try:
            yield Stage(launcher, plan, code)
        finally:
            _remove(launcher, plan.computation, lock)


def deadline() -> datetime:
    """Return until when an enclave of a rehearsal waits for keys, should its starter be gone."""
    return datetime.now(UTC) + WAITING


def _sweep(root: Path, launcher: SimulatedLauncher) -> None:
    """Remove launches whose rehearsal is gone: nobody holds their lock."""
    for lock in root.glob("*.lock"):
        found = _LOCK_NAME.fullmatch(lock.name)
        if found is None:
            continue
        with suppress(OSError), lock.open("r+") as held:
            _take(held)
            _remove(launcher, UUID(found[1]), lock)


def _take(lock: IO[str]) -> None:
    """Lock a file until it is closed; raises `OSError` when another rehearsal holds it."""
    if sys.platform == "win32":
        raise RehearsalError("a rehearsal needs Linux")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(launcher: SimulatedLauncher, computation: UUID, lock: Path) -> None:
    launcher.discard(computation, EPOCH)
    folder = launcher.folder(computation, EPOCH).parent
    with suppress(OSError):
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()
    lock.unlink(missing_ok=True)


def _death(record: ExitRecord) -> str:
    if record.reason in _ENDINGS:
        return _ENDINGS[record.reason]
    if record.exit_code is None:
        return f"it was ended: {record.reason.value}"
    if record.exit_code > _SIGNALLED:
        return f"its process was killed by signal {record.exit_code - _SIGNALLED}"
    return f"its process ended with status {record.exit_code}, without a word"


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the machine cannot do into a sentence for the person at it."""
    try:
        yield
    except LaunchError as error:
        raise RehearsalError(f"this machine cannot run the simulated enclave: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise RehearsalError(f"the rehearsal: {where}{os.strerror(error.errno or 0)}") from error
