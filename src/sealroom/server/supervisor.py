"""The supervisor: one process an enclave, that outlives the server which started it.

    python -m sealroom.server.supervisor FOLDER

returns when the supervisor runs in a session of its own, or prints why it does not. From then on the two know
of each other by the files in `host/` alone. Whatever ends the supervisor ends the enclave: the kernel kills
its child, and the child's children, when it dies.

Must never: supervise a launch folder twice, or leave before every process of its enclave has ended.
Spec page: docs/spec/launch-folder.md, "Supervisor". Rules: sealroom.server.supervision.
"""

import argparse
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.wire.spool import END, MAX_END_BYTES, OPENING, QUOTE
from sealroom.server.launchers.host_files import (
    EXIT,
    HEARTBEAT,
    HOST_FOLDER,
    LOCK,
    LOG,
    ORDER,
    SUPERVISOR,
    EndReason,
    ExitRecord,
    LaunchOrder,
    SupervisorRecord,
    read_highest_epoch,
    read_small,
    write_whole,
)
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool
from sealroom.server.supervision import Ask, Asked, Kill, Limits, Seen, decide

_TEE_MODULES = {
    "simulated": "sealroom.insecure.tee",
    "gramine-direct": "sealroom.insecure.direct",
    "gramine-sgx": "sealroom.server.sgx_enclave",
}
_LOOK_SECONDS = 0.25
_COUNT_SECONDS = 1.0
_PR_SET_CHILD_SUBREAPER = 36
_READY = b"ready"

_libc = ctypes.CDLL(None, use_errno=True)


class Supervisor:
    """Follows one enclave from its start to its end."""

    def __init__(self, folder: Path, order: LaunchOrder) -> None:
        self._folder = folder
        self._host = folder / HOST_FOLDER
        self._spool = Spool(folder / SPOOL_FOLDER)
        self._order = order
        self._clock_start = time.monotonic()
        self._limits = Limits(
            deadline=(order.deadline - datetime.now(UTC)).total_seconds(),
            max_seconds=order.max_seconds,
            grace_seconds=order.grace_seconds,
            start_seconds=order.start_seconds,
            max_spool_bytes=order.max_spool_bytes,
        )
        self._opening_since: float | None = None
        self._asked_since: float | None = None
        self._told_to_stop = False
        self._counted_at = -_COUNT_SECONDS
        self._spool_bytes: int | None = 0

    def run(self) -> ExitRecord:
        """Start the enclave, watch it to its end, and write down how it ended."""
        signal.signal(signal.SIGTERM, self._stop)
        # Whatever loses its parent below this process becomes its child, so that none escapes.
        if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl: child subreaper")
        tee = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, cwd="/")  # noqa: S603 - fixed module
        try:
            reason = self._watch(tee)
        finally:
            tee.kill()
            code = tee.wait()
            _end_children()
        # As a shell would say it: killed by a signal.
        shown = code if code >= 0 else 128 - code
        record = ExitRecord(
            exit_code=shown if reason is EndReason.EXITED else None, ended_at=datetime.now(UTC), reason=reason
        )
        # With the folder gone there is nobody left to tell.
        if self._host.is_dir():
            write_whole(self._host / EXIT, record.to_json())
        return record

    def _command(self) -> tuple[str, ...]:
        module = _TEE_MODULES.get(self._order.launcher)
        if module is None:
            raise MalformedError(f"{ORDER}: launcher: unknown: {self._order.launcher!r}")
        tie = ("--parent", str(os.getpid()), "--state", self._order.state)
        return (sys.executable, "-I", "-B", "-m", module, *tie, str(self._folder))

    def _watch(self, tee: subprocess.Popen[bytes]) -> EndReason:
        ended = os.pidfd_open(tee.pid)
        try:
            while not select.select([ended], [], [], _LOOK_SECONDS)[0]:
                self._beat()
                due = decide(self._look(), self._limits)
                if isinstance(due, Kill):
                    return due.reason
                if isinstance(due, Ask):
                    self._spool.ask_to_end(due.end.value.encode())
        finally:
            os.close(ended)
        return EndReason.EXITED

    def _look(self) -> Seen:
        now = time.monotonic() - self._clock_start
        present = self._spool.is_there()
        try:
            asked = self._read_asked() if present else None
            opening, quote = present and self._spool.has(OPENING), present and self._spool.has(QUOTE)
            if present and now - self._counted_at >= _COUNT_SECONDS:
                self._counted_at, self._spool_bytes = now, self._spool.written_bytes()
        except FileNotFoundError:
            # Removed between two looks.
            present, asked, opening, quote = False, None, False, False
        if opening and self._opening_since is None:
            self._opening_since = now
        if asked is None:
            # Never asked, or the server took it back because a run had begun.
            self._asked_since = None
        elif self._asked_since is None:
            self._asked_since = now
        return Seen(
            now=now,
            spool_present=present,
            superseded=self._is_superseded(),
            quote_present=quote,
            opening_since=self._opening_since,
            asked=asked,
            asked_since=self._asked_since,
            spool_bytes=self._spool_bytes,
        )

    def _read_asked(self) -> Asked | None:
        if self._told_to_stop:
            self._spool.ask_to_end(Asked.CANCELLED.value.encode())
        try:
            raw = self._spool.read(END, max_bytes=MAX_END_BYTES)
            return None if raw is None else Asked(raw.decode())
        except (MalformedError, ValueError):
            # Whatever a program inside put there, it asked for its end.
            return Asked.CANCELLED

    def _is_superseded(self) -> bool:
        highest = read_highest_epoch(self._folder.parent)
        return highest is None or highest > self._order.epoch

    def _beat(self) -> None:
        try:
            os.utime(self._host / HEARTBEAT)
        except FileNotFoundError:
            # The folder is being removed: the next look sees it.
            return

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True


def _end_children() -> None:
    """Wait for everything that became a child of this process; kill what the kernel did not."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _children() -> tuple[int, ...]:
    try:
        listing = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        # A kernel without this list; the tie between parent and child has killed them by now.
        return ()
    return tuple(int(pid) for pid in listing.split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Detach a supervisor for one launch folder; returns 0 when it runs, 1 when it does not."""
    parser = argparse.ArgumentParser(prog="python -m sealroom.server.supervisor")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the launch folder")
    folder = parser.parse_args(arguments).folder.resolve()
    news, inlet = os.pipe()
    if os.fork() == 0:
        os.close(news)
        _detached(folder, inlet)
    os.close(inlet)
    with os.fdopen(news, "rb") as source:
        message = source.read()
    if message != _READY:
        print(f"supervisor: {message.decode() or 'ended before it was ready'}", file=sys.stderr)
        return 1
    return 0


def _detached(folder: Path, inlet: int) -> None:
    """Be the supervisor: in a session of its own, tell the starter, supervise, and never return."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    try:
        lock = _take(folder)
        order, host = _read_order(folder), folder / HOST_FOLDER
        supervisor = Supervisor(folder, order)
        (host / HEARTBEAT).touch(mode=0o600)
        write_whole(host / SUPERVISOR, SupervisorRecord.of_this_process(epoch=order.epoch).to_json())
        _redirect(host / LOG)
        os.write(inlet, _READY)
        os.close(inlet)
        supervisor.run()
        os.close(lock)
    except (SealroomError, OSError, RuntimeError) as exc:
        try:
            os.write(inlet, str(exc).encode())
        except OSError:
            print(f"supervisor: {exc}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def _take(folder: Path) -> int:
    """Take the lock of a launch folder that nobody supervised before; returns its descriptor."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(folder / HOST_FOLDER / LOCK, flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise RuntimeError("this launch has its supervisor") from exc
    if (folder / HOST_FOLDER / SUPERVISOR).exists():
        raise RuntimeError("this launch had its supervisor")
    return lock


def _read_order(folder: Path) -> LaunchOrder:
    raw = read_small(folder / HOST_FOLDER / ORDER)
    if raw is None:
        raise RuntimeError(f"{ORDER} is missing")
    order = LaunchOrder.from_json(raw)
    if read_highest_epoch(folder.parent) != order.epoch:
        raise RuntimeError(f"epoch {order.epoch} is not the highest of its computation")
    return order


def _redirect(log: Path) -> None:
    """Let go of the starter's terminal: read nothing, write to the supervisor's log."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    sink, source = os.open(log, flags, 0o600), os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(source, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    os.close(source)


if __name__ == "__main__":
    sys.exit(main())
