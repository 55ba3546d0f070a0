"""The processes of the demonstration: started with a clean environment, heard in JSON lines, all stopped."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 10.0
ROOT = Path(__file__).parents[2]


class DemoError(Exception):
    """A step did not do what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One JSON line of one process; `content` is None when the process ended."""

    who: str
    content: Mapping[str, object] | None


@dataclass(slots=True, kw_only=True)
class Processes:
    """All processes of one demonstration, and what they say, in the order in which they said it."""

    folder: Path
    lines: queue.Queue[Line] = field(default_factory=queue.Queue)
    _running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, who: str, module: str, arguments: Sequence[str]) -> None:
        """Start `python -m module`; its standard error goes to a file beside the run."""
        self.log(who).parent.mkdir(exist_ok=True)
        with self.log(who).open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=clean_environment(self.folder),
                start_new_session=True,
            )
        self._running[who] = process
        threading.Thread(target=self._read, args=(who, process), daemon=True).start()

    def log(self, who: str) -> Path:
        """Return the file that holds a process's standard error."""
        return self.folder / "logs" / f"{who}.txt"

    def first_line(self, who: str) -> Mapping[str, object]:
        """Wait for the first line of a process that was just started alone."""
        line = self.next_line()
        if line.who != who or line.content is None:
            raise DemoError(f"{who} did not start; see {self.log(who)}")
        return line.content

    def next_line(self, timeout: float = 60.0) -> Line:
        """Wait for anybody's next line."""
        try:
            return self.lines.get(timeout=timeout)
        except queue.Empty as error:
            raise DemoError(f"nobody said anything for {timeout:.0f} seconds") from error

    def exit_code(self, who: str) -> int:
        """Wait for a process to end by itself."""
        return self._running.pop(who).wait(timeout=STOP_SECONDS)

    def stop(self, who: str) -> None:
        """Ask a process to end, and wait until it has."""
        process = self._running.pop(who)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise DemoError(f"{who} had to be killed") from None

    def stop_all(self) -> None:
        """End whatever still runs, the newest first."""
        for who in reversed(list(self._running)):
            self.stop(who)

    def _read(self, who: str, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        with process.stdout as stream:
            for text in stream:
                self.lines.put(Line(who=who, content=json.loads(text)))
        self.lines.put(Line(who=who, content=None))


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """All processes of one run; none is left behind, however the run ends."""
    running = Processes(folder=folder)
    try:
        yield running
    finally:
        running.stop_all()


def clean_environment(folder: Path) -> dict[str, str]:
    """An environment that keeps every process inside `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
    fixed = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
    }
    return kept | fixed
