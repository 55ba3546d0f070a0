"""The one thread that changes the host's folders while a program runs.

Before the program a change is made where it is asked for. From `take_over` on this thread makes them all,
with descriptors of its own, and every other thread gives up the right to make any (`write_rights`).
Must never be relied on against a program that reaches into this process's memory: nothing in one process
could be. Spec: docs/spec/enclave-session.md, "Writing to the host".
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sealroom.enclave import write_rights

_Result = TypeVar("_Result")


class HostWriter:
    """Makes changes one after the other, in the thread that `take_over` starts."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take_over(self, *, writable: tuple[str, ...]) -> None:
        """Start the thread; the caller's thread, and all that it starts, keep the folders `writable` alone.

        Where the kernel has no such rights to give up, the thread is all that changes.
        """
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="host writer", daemon=True)
        self._thread.start()
        ready.wait()
        write_rights.give_up(keep=writable)

    def do(self, change: Callable[[], _Result]) -> _Result:
        """Return what `change` returns, or raise what it raises."""
        # A finalizer may run in any thread, this one too, and must not wait for itself.
        if self._thread is None or threading.current_thread() is self._thread:
            return change()
        done: Future[_Result] = Future()
        self._jobs.put((change, done))
        return done.result()

    def _serve(self, ready: threading.Event) -> None:
        write_rights.take_own_descriptors()
        ready.set()
        while True:
            self._serve_one(*self._jobs.get())

    def _serve_one(self, change: Callable[[], Any], done: Future[Any]) -> None:
        try:
            done.set_result(change())
        except BaseException as exc:
            done.set_exception(exc)
