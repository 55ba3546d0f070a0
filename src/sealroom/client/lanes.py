"""Threads that share numbered pieces of work, and are gone when the call returns.

What for: libsodium and SHA-256 work without the interpreter's lock, so two threads take half the time. Each
lane takes the next number when it is done with one. Must never: lose an error of any lane, or leave a thread
behind.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

Lane = Callable[[Iterator[int]], None]
MOST_LANES = 8


class StoppedError(Exception):
    """Another lane failed; what it failed with is what the caller gets."""


class Stoppable(Protocol):
    """What a lane may wait for, and must be woken from when another one failed."""

    def stop(self) -> None:
        """Wake all who wait; they fail with `StoppedError`."""


class DigestInOrder:
    """A SHA-256 over numbered pieces that come from several lanes, taken in the order of their numbers."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._turn = threading.Condition()
        self._next = 0
        self._stopped = False

    def update(self, number: int, *parts: memoryview) -> None:
        """Wait until every piece before `number` was taken, then hash `parts`."""
        with self._turn:
            self._turn.wait_for(lambda: self._stopped or self._next == number)
            if self._stopped:
                raise StoppedError
        for part in parts:
            self._digest.update(part)
        with self._turn:
            self._next += 1
            self._turn.notify_all()

    def stop(self) -> None:
        """Let nobody wait any longer."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def digest(self) -> bytes:
        """Return the SHA-256 of all pieces."""
        return self._digest.digest()


def processors() -> int:
    """Return how many lanes this process can use at once, at most eight."""
    if sys.platform == "linux":
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count() or 1
    return min(usable, MOST_LANES)


def share(
    count: int,
    lane: Lane,
    *,
    lanes: int,
    tell: Callable[[int], None] | None = None,
    waits: tuple[Stoppable, ...] = (),
) -> None:
    """Run `lane` in up to `lanes` threads, which take the numbers below `count` in turn.

    The caller's thread is one of them, in which `tell` gets the number of finished pieces now and then. The
    first error of any lane is raised here when all lanes have ended; so is an interruption.
    """
    work = _Work(count, waits)
    helpers = work.start(lane, min(lanes, count) - 1)
    try:
        work.run(lane, work.told(tell) if tell else work.numbers())
    finally:
        for helper in helpers:
            helper.join()
    if work.failure is not None:
        raise work.failure


class _Work:
    """What the lanes share: the next number, how many are done, and the first error."""

    def __init__(self, count: int, waits: tuple[Stoppable, ...]) -> None:
        self._numbers = iter(range(count))
        self._waits = waits
        self._lock = threading.Lock()
        self._done = 0
        self.failure: BaseException | None = None

    def start(self, lane: Lane, helpers: int) -> list[threading.Thread]:
        """Start helpers, as many as the system allows: the caller's own lane is enough."""
        started = []
        for _ in range(helpers):
            thread = threading.Thread(target=self.run, args=(lane, self.numbers()), name="sealroom-lane")
            try:
                thread.start()
            except RuntimeError:
                break
            started.append(thread)
        return started

    def run(self, lane: Lane, numbers: Iterator[int]) -> None:
        """Run one lane to its end, and stop all others when it fails."""
        try:
            lane(numbers)
        except StoppedError:
            pass
        except BaseException as failure:  # whatever it is, an interruption too: the caller raises it
            self._fail(failure)

    def numbers(self) -> Iterator[int]:
        """Give the next number that nobody has, until there is none or a lane has failed."""
        while self.failure is None:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number
            with self._lock:
                self._done += 1

    def told(self, tell: Callable[[int], None]) -> Iterator[int]:
        """Give numbers as `numbers` does, and tell between them how many are done."""
        for number in self.numbers():
            yield number
            tell(self._done)

    def _fail(self, failure: BaseException) -> None:
        with self._lock:
            if self.failure is None:
                self.failure = failure
        for wait in self._waits:
            wait.stop()
