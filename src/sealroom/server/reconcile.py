"""The background thread that keeps database and launch folders in step.

It decides nothing by itself and remembers nothing that matters: a restarted server goes on where the killed
one stopped, with the enclaves that lived on.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import select

from sealroom.server.following import LaunchFollower
from sealroom.server.launchers.base import Launcher
from sealroom.server.platform import Platform
from sealroom.server.schema import Launch

_log = logging.getLogger("sealroom.server")

_SHORTEST_SECONDS = 0.05
_IDLE_SECONDS = 2.0
# A launch that could not be started is tried this often, with pauses in between.
_TRIES = 3
_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0
_WORKERS = 4


class Reconciler:
    """Follows every launch that is not cleared, several at once, each by one worker at a time."""

    def __init__(self, platform: Platform, launcher: Launcher) -> None:
        self._platform = platform
        self._follower = LaunchFollower(platform, launcher)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="launch")
        self._running: dict[int, Future[None]] = {}
        self._failures: dict[int, int] = {}
        self._due: dict[int, float] = {}

    def start(self) -> None:
        """Begin; the first look happens at once."""
        self._platform.wake.set()
        self._thread.start()

    def stop(self) -> None:
        """Stop after the steps that are under way; enclaves live on."""
        self._stopping.set()
        self._platform.wake.set()
        self._thread.join()
        self._workers.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            awake = self._platform.wake.wait(self._pause())
            self._platform.wake.clear()
            try:
                self._look(everything=awake)
            except Exception:  # the thread must outlive a database that is away for a moment
                _log.exception("reconciler: cannot look at the launches")
                self._stopping.wait(_IDLE_SECONDS)

    def _pause(self) -> float:
        """Return the seconds until some launch is due."""
        if not self._due:
            return _IDLE_SECONDS
        if any(not running.done() for running in self._running.values()):
            return _SHORTEST_SECONDS  # when it is done, it says when it wants to be looked at again
        return min(max(min(self._due.values()) - time.monotonic(), _SHORTEST_SECONDS), _IDLE_SECONDS)

    def _look(self, *, everything: bool) -> None:
        """Begin a step for every launch that is due and has none under way."""
        with self._platform.store.read() as session:
            wanted = set(session.scalars(select(Launch.id).where(Launch.cleared_at.is_(None))).all())
        now = time.monotonic()
        for launch_id in wanted:
            running = self._running.get(launch_id)
            if running is not None and not running.done():
                # It may have looked before what we were woken for.
                self._due[launch_id] = now + _SHORTEST_SECONDS
                continue
            due = self._due.get(launch_id, now) <= now
            if due or (everything and launch_id not in self._failures):
                self._due[launch_id] = now + _IDLE_SECONDS
                self._running[launch_id] = self._workers.submit(self._step, launch_id)
        for launch_id in set(self._due) - wanted:
            for of_launch in (self._due, self._running, self._failures):
                of_launch.pop(launch_id, None)

    def _step(self, launch_id: int) -> None:
        try:
            pause = self._follower.follow(launch_id)
            self._failures.pop(launch_id, None)
        except Exception:  # one launch must not end the others' supervision; its operator reads why
            _log.exception("launch %d: a step failed", launch_id)
            pause = self._failed(launch_id)
        self._due[launch_id] = time.monotonic() + pause

    def _failed(self, launch_id: int) -> float:
        failures = self._failures[launch_id] = self._failures.get(launch_id, 0) + 1
        if failures >= _TRIES:
            try:
                self._follower.give_up(launch_id, "the operator's machine could not start the enclave")
            except Exception:
                _log.exception("launch %d: cannot be given up now", launch_id)
        return min(_PAUSE_SECONDS * failures, _LONGEST_PAUSE_SECONDS)
