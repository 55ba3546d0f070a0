"""What came of a rehearsal."""

from dataclasses import dataclass
from pathlib import Path

from sealroom.core.wire.receipt_closing import Failure, Outcome
from sealroom.core.wire.terms import Limits, LogRelease
from sealroom.server.launchers.base import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class InputUse:
    """One input: whose it was, its size, and whether the program read from it."""

    provider: str
    name: str
    size: int
    was_read: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResult:
    """One result, opened by its consumer."""

    consumer: str
    name: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the run ended, and what went in and out.

    `outcome` is `None` when the process died without signing its end; `death` says how then. `log` is `None`
    where no log leaves. `seconds` are those from the opening to the end.
    """

    outcome: Outcome | None
    failure: Failure | None
    death: str
    seconds: float
    inputs: tuple[InputUse, ...]
    results: tuple[WrittenResult, ...]
    bytes_out: int
    log: bytes | None
    logs: LogRelease
    limits: Limits
    protections: tuple[Protection, ...]

    @property
    def succeeded(self) -> bool:
        """Whether the program ended well and its results were released."""
        return self.outcome is Outcome.SUCCEEDED

    @property
    def exit_code(self) -> int | None:
        """What the receipt says: 0 or 1, and nothing of a process that died."""
        return None if self.outcome is None else int(not self.succeeded)
