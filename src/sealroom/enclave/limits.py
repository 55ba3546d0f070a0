"""The time limit of a run, counted from the opening.

The clock is the host's: a limit bounds what the program uses, and protects nobody from the host. The limit on
memory is the sandbox's and the manifest's; the budgets on bytes are with outputs and log.
Must never end a run without its closing. Spec: docs/spec/enclave-session.md, "Limits".
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable


def end_after(seconds: int, expire: Callable[[], None]) -> None:
    """Have `expire` called once, by a thread of its own, when `seconds` are over."""

    def wait() -> None:
        time.sleep(min(seconds, _thread.TIMEOUT_MAX))
        expire()

    # Not one of `threading.enumerate()`: a program that joins all threads means its own.
    _thread.start_new_thread(wait, ())
