"""The files in `host/` of a launch folder: how server and supervisor know of each other across restarts.

Every file is written whole under a temporary name and renamed. The enclave never sees this folder.

Must never: take a process for the supervisor because of its number alone.
Spec page: docs/spec/launch-folder.md, "The host folder".
"""

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from sealroom.adapters.enclave_process import REFUSED_FILE
from sealroom.core.errors import MalformedError
from sealroom.core.wire.foreign_text import visible

HOST_FOLDER = "host"
ORDER = "launch.json"
SUPERVISOR = "supervisor.json"
HEARTBEAT = "heartbeat"
EXIT = "exit.json"
PROTECTIONS = "protections.json"
CONSOLE = "console.log"
LOCK = "lock"
LOG = "supervisor.log"
# Beside the launch folders of one computation: the highest epoch that was prepared.
EPOCH = "epoch"

_MAX_BYTES = 64 * 1024
_MAX_LINES, _MAX_LINE = 20, 500
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME_FIELD = 19  # of /proc/PID/stat after the name, which may hold blanks and brackets
_ZOMBIE = "Z"


class EndReason(Enum):
    """Why a supervisor ended its enclave, or found it ended."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    SPOOL_GONE = "spool-gone"
    SPOOL_FULL = "spool-full"
    TIME_LIMIT = "time-limit"
    NOT_ATTESTED = "not-attested"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """What a supervisor is told.

    `launcher` is the kind of TEE, `state` a folder that this kind keeps for all launches. `deadline` ends the
    waiting for keys, `max_seconds` counts from the opening, `start_seconds` until there is a quote;
    `grace_seconds` pass between asking an enclave to end and killing it. An enclave that writes more than
    `max_spool_bytes` into the spool is killed.
    """

    launcher: str
    state: str
    epoch: int
    deadline: datetime
    max_seconds: int
    grace_seconds: int
    start_seconds: int
    max_spool_bytes: int

    def to_json(self) -> bytes:
        """Return the file's bytes."""
        return _json(
            {
                "launcher": self.launcher,
                "state": self.state,
                "epoch": self.epoch,
                "deadline": self.deadline.astimezone(UTC).isoformat(),
                "max_seconds": self.max_seconds,
                "grace_seconds": self.grace_seconds,
                "start_seconds": self.start_seconds,
                "max_spool_bytes": self.max_spool_bytes,
            }
        )

    @classmethod
    def from_json(cls, raw: bytes) -> "LaunchOrder":
        """Read what `to_json` wrote; raises `MalformedError` for anything else."""
        row = _parse(raw, ORDER)
        try:
            deadline = datetime.fromisoformat(_text(row, "deadline", ORDER))
        except ValueError as exc:
            raise MalformedError(f"{ORDER}: deadline: not a time") from exc
        if deadline.tzinfo is None:
            raise MalformedError(f"{ORDER}: deadline: a time without its zone")
        return cls(
            launcher=_text(row, "launcher", ORDER),
            state=_text(row, "state", ORDER),
            epoch=_number(row, "epoch", ORDER),
            deadline=deadline,
            max_seconds=_number(row, "max_seconds", ORDER),
            grace_seconds=_number(row, "grace_seconds", ORDER),
            start_seconds=_number(row, "start_seconds", ORDER),
            max_spool_bytes=_number(row, "max_spool_bytes", ORDER),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorRecord:
    """Which process supervises: number, start in ticks since boot, and the boot, which together name one."""

    pid: int
    start_time: int
    boot: str
    session: int
    epoch: int

    def to_json(self) -> bytes:
        """Return the file's bytes."""
        return _json(
            {
                "pid": self.pid,
                "start_time": self.start_time,
                "boot": self.boot,
                "session": self.session,
                "epoch": self.epoch,
            }
        )

    @classmethod
    def from_json(cls, raw: bytes) -> "SupervisorRecord":
        """Read what `to_json` wrote; raises `MalformedError` for anything else."""
        row = _parse(raw, SUPERVISOR)
        return cls(
            pid=_number(row, "pid", SUPERVISOR),
            start_time=_number(row, "start_time", SUPERVISOR),
            boot=_text(row, "boot", SUPERVISOR),
            session=_number(row, "session", SUPERVISOR),
            epoch=_number(row, "epoch", SUPERVISOR),
        )

    @classmethod
    def of_this_process(cls, *, epoch: int) -> "SupervisorRecord":
        """Return the record of the calling process."""
        pid = os.getpid()
        start_time = _start_time(pid)
        if start_time is None:
            raise RuntimeError("supervisor: /proc does not show this process")
        return cls(pid=pid, start_time=start_time, boot=_boot(), session=os.getsid(0), epoch=epoch)

    def is_alive(self) -> bool:
        """Say whether that very process still runs."""
        return self.boot == _boot() and _start_time(self.pid) == self.start_time


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """How an enclave ended. `exit_code` is `None` when it never began or its end was not seen."""

    exit_code: int | None
    ended_at: datetime
    reason: EndReason

    def to_json(self) -> bytes:
        """Return the file's bytes."""
        return _json(
            {
                "exit_code": self.exit_code,
                "ended_at": self.ended_at.astimezone(UTC).isoformat(),
                "reason": self.reason.value,
            }
        )

    @classmethod
    def from_json(cls, raw: bytes) -> "ExitRecord":
        """Read what `to_json` wrote; raises `MalformedError` for anything else."""
        row = _parse(raw, EXIT)
        try:
            ended_at = datetime.fromisoformat(_text(row, "ended_at", EXIT))
            reason = EndReason(_text(row, "reason", EXIT))
        except ValueError as exc:
            raise MalformedError(f"{EXIT}: not a time or not a reason") from exc
        code = None if row.get("exit_code") is None else _number(row, "exit_code", EXIT)
        return cls(exit_code=code, ended_at=ended_at, reason=reason)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds it whole or not at all."""
    partial = path.with_name(f"{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_small(path: Path) -> bytes | None:
    """Return the content of a small file of server or supervisor, `None` where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise MalformedError(f"{path.name}: larger than {_MAX_BYTES} bytes")
    return content


def read_highest_epoch(computation_folder: Path) -> int | None:
    """Return the highest epoch of a computation that was prepared, `None` where the file is gone."""
    raw = read_small(computation_folder / EPOCH)
    if raw is None:
        return None
    if not raw.isdigit():
        raise MalformedError(f"{EPOCH}: not a number")
    return int(raw)


def read_refused(host: Path) -> tuple[str, ...]:
    """Return what the supervisor's log says of files that Gramine refused; the start of each line is ours.

    A program can have files refused with names of its own choosing, so lines and their number are bounded,
    and shown with control characters made visible.
    """
    try:
        descriptor = os.open(host / LOG, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ()
    with os.fdopen(descriptor, "rb") as file:
        lines = file.read(_MAX_BYTES).decode(errors="replace").split("\n")
    refused = [visible(line)[:_MAX_LINE] for line in lines if line.startswith(REFUSED_FILE)]
    return tuple(refused[:_MAX_LINES])


def heartbeat_age(host: Path) -> float | None:
    """Return the seconds since the supervisor last said that it runs, by the host's clock."""
    try:
        return max(0.0, time.time() - (host / HEARTBEAT).stat().st_mtime)
    except FileNotFoundError:
        return None


def _start_time(pid: int) -> int | None:
    """Return when a process started, in ticks since boot; `None` when it has ended."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = raw.rpartition(")")[2].split()
    return None if fields[0] == _ZOMBIE else int(fields[_START_TIME_FIELD])


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _json(row: dict[str, object]) -> bytes:
    return json.dumps(row, indent=1).encode() + b"\n"


def _parse(raw: bytes, name: str) -> dict[str, object]:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise MalformedError(f"{name}: not valid JSON") from exc
    if not isinstance(row, dict):
        raise MalformedError(f"{name}: expected an object")
    return row


def _text(row: dict[str, object], key: str, name: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise MalformedError(f"{name}: {key}: expected a string")
    return value


def _number(row: dict[str, object], key: str, name: str) -> int:
    value = row.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedError(f"{name}: {key}: expected a number")
    return value
