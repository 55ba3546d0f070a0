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

_BUSY_SECONDS = 0.1
_IDLE_SECONDS = 2.0
# A launch that could not be started is tried this often, with pauses in between.
_TRIES = 3
_PAUSE_SECONDS = 2.0
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
        self._not_before: dict[int, float] = {}

    def start(self) -> None:
        """Begin; the first look happens at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the steps that are under way; enclaves live on."""
        self._stopping.set()
        self._platform.wake.set()
        self._thread.join()
        self._workers.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._platform.wake.clear()
            try:
                busy = self._look()
            except Exception:  # the thread must outlive a database that is away for a moment
                _log.exception("reconciler: cannot look at the launches")
                busy = False
            self._platform.wake.wait(_BUSY_SECONDS if busy else _IDLE_SECONDS)

    def _look(self) -> bool:
        """Start one step for every launch that has none under way; says whether there is any."""
        with self._platform.store.read() as session:
            wanted = session.scalars(select(Launch.id).where(Launch.cleared_at.is_(None))).all()
        now = time.monotonic()
        for launch_id in wanted:
            if launch_id in self._running and not self._running[launch_id].done():
                continue
            if self._not_before.get(launch_id, now) <= now:
                self._running[launch_id] = self._workers.submit(self._step, launch_id)
        for launch_id in set(self._running) - set(wanted):
            self._running.pop(launch_id)
            self._failures.pop(launch_id, None)
            self._not_before.pop(launch_id, None)
        return bool(wanted)

    def _step(self, launch_id: int) -> None:
        try:
            self._follower.follow(launch_id)
            self._failures.pop(launch_id, None)
        except Exception:  # one launch must not end the others' supervision; its operator reads why
            _log.exception("launch %d: a step failed", launch_id)
            self._failed(launch_id)

    def _failed(self, launch_id: int) -> None:
        failures = self._failures.get(launch_id, 0) + 1
        self._failures[launch_id] = failures
        self._not_before[launch_id] = time.monotonic() + _PAUSE_SECONDS * failures
        if failures >= _TRIES:
            self._follower.give_up(launch_id, "the operator's machine could not start the enclave")
