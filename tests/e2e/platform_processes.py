"""A real server in a process of its own, and every process that its launches started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

PATIENCE_SECONDS = 60
_COMMAND = "import sys; from sealroom.cli.main import main; sys.exit(main())"


class PlatformServer:
    """`sealroom server` over one data folder; it can be killed and started again on the same port."""

    def __init__(
        self, data: Path, *, waiting_deadline_seconds: int = 600, launcher: str = "simulated"
    ) -> None:
        self.data = data
        self._launcher = launcher
        self._deadline = waiting_deadline_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.certificate_sha256 = b""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        options = ["server", "--data", str(self.data), "--port", str(self.port), "--json"]
        options += ["--waiting-deadline", str(self._deadline), "--launcher", self._launcher]
        with (self.data.parent / "server.err").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, *options], stdout=subprocess.PIPE, stderr=errors
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the server did not start: {self.complaints()}"
        said = json.loads(line)
        self.port = int(said["url"].rpartition(":")[2])
        self.certificate_sha256 = bytes.fromhex(said["certificate_sha256"])

    def kill(self) -> None:
        """End the server as a power failure would: nothing is told, nothing is written."""
        assert self._process is not None
        self._process.kill()
        self._wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            self._process.wait(PATIENCE_SECONDS)
        finally:
            self._process.kill()
            self._process.stdout.close()
            self._process = None

    def complaints(self) -> str:
        """What the server wrote for its operator."""
        return (self.data.parent / "server.err").read_text()

    def launch_folder(self, computation: UUID, epoch: int) -> Path:
        return self.data / "enclaves" / "launches" / str(computation) / str(epoch)


@dataclass(slots=True, kw_only=True)
class EnclaveProcesses:
    """The processes of one computation's enclave, found by what stands in their command lines."""

    computation: UUID
    folder: Path = field(default_factory=Path)

    def all(self) -> dict[int, str]:
        return find_processes(str(self.computation))

    @property
    def supervisor(self) -> int:
        return int(json.loads((self.folder / "host" / "supervisor.json").read_bytes())["pid"])

    @property
    def enclave(self) -> int:
        """The process that runs the session: the innermost one."""
        return max(pid for pid, command in self.all().items() if "start.py" in command)


def find_processes(word: str) -> dict[int, str]:
    """Return every living process whose command line holds `word`, with that line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if word in command and state != "Z":
            found[int(entry.name)] = command
    return found


def kill_process(pid: int) -> None:
    # It may end by itself between being found and being killed.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"not within {seconds:g} s: {what}"
        time.sleep(0.03)
