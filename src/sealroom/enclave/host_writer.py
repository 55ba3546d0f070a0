"""The one thread that changes the host's folders while a program runs.

Before the program a change is made where it is asked for. From `take_over` on this thread makes them all,
with descriptors of its own, and every other thread gives up the right to make any (`write_rights`).
Must never be relied on against a program that reaches into this process's memory: nothing in one process
could be. Must never run a finalizer of the program's: the numbers of its open files stand for others here,
so that what it closes would be ours, and what it flushes would be the host's to read.
Spec: docs/spec/enclave-session.md, "Writing to the host".
"""

from __future__ import annotations

import _thread
import gc
import queue
from collections.abc import Callable
from typing import Any, TypeVar

from sealroom.enclave import write_rights

_Result = TypeVar("_Result")
_Job = tuple[Callable[[], Any], list[Any], list[BaseException], queue.SimpleQueue[None]]


class HostWriter:
    """Makes changes one after the other, in the thread that `take_over` starts."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: int | None = None

    def take_over(self, *, writable: tuple[str, ...]) -> None:
        """Start the thread; the caller's thread, and all that it starts, keep the folders `writable` alone.

        Where the kernel has no such rights to give up, the thread is all that changes.
        """
        # Not one of `threading.enumerate()`: a program that joins all threads means its own.
        self._thread = _thread.start_new_thread(self._serve, ())
        # Once it answers, its descriptors are its own.
        self.do(bool)
        write_rights.give_up(keep=writable)

    def do(self, change: Callable[[], _Result]) -> _Result:
        """Return what `change` returns, or raise what it raises."""
        if self._thread is None or _thread.get_ident() == self._thread:
            return change()
        returned: list[_Result] = []
        raised: list[BaseException] = []
        done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._jobs.put((change, returned, raised, done))
        done.get()
        if raised:
            # Out of the list: an exception that its own frames hold keeps what the program has on it.
            raise raised.pop()
        return returned[0]

    def _serve(self) -> None:
        write_rights.take_own_descriptors()
        while True:
            change, returned, raised, done = self._jobs.get()
            # A collection starts where something is made: from `enable` to `get`, and from there to here,
            # nothing is.
            collects = gc.isenabled()
            gc.disable()
            try:
                returned.append(change())
            except BaseException as exc:
                # Without frames of this thread, for the same reason.
                raised.append(exc.with_traceback(None))
            # Nor the last reference to anything of the program's may end here.
            del change, returned, raised
            if collects:
                gc.enable()
            done.put(None)
