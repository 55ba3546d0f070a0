"""When a supervisor ends its enclave: the rules, apart from the process that follows them.

| what is seen                                             | what is done                               |
|----------------------------------------------------------|--------------------------------------------|
| the spool is gone                                        | kill                                       |
| a higher epoch was prepared                              | ask it to end, kill after the grace period |
| no quote within the time for starting                    | kill                                       |
| no opening at the deadline                               | ask it to end                              |
| asked to end, and no opening within the grace period     | kill                                       |
| cancelled while it runs                                  | kill after the grace period                |
| an opening older than max-seconds and the grace period   | kill                                       |
| more in the spool than the budgets can account for       | kill                                       |

An enclave that began to run before it read `expired` goes on: it signs an opening or a refusal, never both.

Must never: touch a process or a file; time is an argument.
Spec page: docs/spec/launch-folder.md, "Supervisor".
"""

from dataclasses import dataclass
from enum import Enum

from sealroom.server.launchers.host_files import EndReason


class Asked(Enum):
    """What the `end` file in the spool says."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds on the supervisor's clock, on which it started at 0, and bytes."""

    deadline: float
    max_seconds: float
    grace_seconds: float
    start_seconds: float
    max_spool_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a supervisor sees in one look. Times are when it first saw the thing, on its own clock.

    `spool_bytes` is what the enclave wrote; `None` where it is more than can be counted.
    """

    now: float
    spool_present: bool
    superseded: bool
    quote_present: bool
    opening_since: float | None
    asked: Asked | None
    asked_since: float | None
    spool_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Write `end` into the spool."""

    end: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End every process of the enclave."""

    reason: EndReason


def decide(seen: Seen, limits: Limits) -> Wait | Ask | Kill:
    """Return what is due, by the table above."""
    if not seen.spool_present:
        return Kill(reason=EndReason.SPOOL_GONE)
    if seen.spool_bytes is None or seen.spool_bytes > limits.max_spool_bytes:
        return Kill(reason=EndReason.SPOOL_FULL)
    if seen.superseded and seen.asked is None:
        return Ask(end=Asked.CANCELLED)
    grace_over = seen.asked_since is not None and seen.now - seen.asked_since > limits.grace_seconds
    if grace_over and seen.superseded:
        return Kill(reason=EndReason.SUPERSEDED)
    if grace_over and seen.asked is Asked.CANCELLED:
        return Kill(reason=EndReason.CANCELLED)
    if seen.opening_since is not None:
        running = seen.now - seen.opening_since
        too_long = running > limits.max_seconds + limits.grace_seconds
        return Kill(reason=EndReason.TIME_LIMIT) if too_long else Wait()
    if grace_over:
        return Kill(reason=EndReason.EXPIRED)
    if seen.asked is None and seen.now > limits.deadline:
        return Ask(end=Asked.EXPIRED)
    if not seen.quote_present and seen.now > limits.start_seconds:
        return Kill(reason=EndReason.NOT_ATTESTED)
    return Wait()
