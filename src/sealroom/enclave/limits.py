"""The time limit of a run, counted from the opening.

The clock is the host's: a limit bounds what the program uses, and protects nobody from the host. The limit on
memory is the sandbox's and the manifest's; the budgets on bytes are with outputs and log.
Must never end a run without its closing. Spec: docs/spec/enclave-session.md, "Limits".
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Deadline:
    """Calls `expire` once, from a thread of its own, when `seconds` are over."""

    def __init__(self, seconds: int, expire: Callable[[], None]) -> None:
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), expire)
        self._timer.name = "deadline"
        self._timer.daemon = True

    def start(self) -> None:
        """Start counting."""
        self._timer.start()
