"""Commands as people type them, each in a process of its own, over an index of installed packages."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from platform import machine
from typing import Any

from installed_wheels import SERVING, wheel_of

# What `sealroom lock` resolves over is more than what an enclave gets of it.
INDEX = (*SERVING, "cffi", "pycparser")
ACCEPT = "--insecure-accept-simulated"


def fill_index(folder: Path, names: tuple[str, ...] = INDEX) -> Path:
    """Write wheels of what is installed here into a folder that pip and uv take for an index."""
    folder.mkdir()
    for name in names:
        found = distribution(name)
        tag = _tag(found.read_text("WHEEL") or "")
        spelled = found.metadata["Name"].replace("-", "_").lower()
        (folder / f"{spelled}-{found.version}-{tag}.whl").write_bytes(wheel_of(name))
    return folder


def _tag(wheel: str) -> str:
    tags = [line.removeprefix("Tag: ") for line in wheel.splitlines() if line.startswith("Tag: ")]
    return next((tag for tag in tags if tag.startswith("py3")), tags[0])


@dataclass
class Desk:
    """A folder where commands are typed; `seconds` is how long all of them took."""

    folder: Path
    index: Path
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder / "person"),
            "SEALROOM_HOME": str(self.folder / "home"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "UV_NO_CONFIG": "1",
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(self.index),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def type(self, line: str, *, code: int = 0) -> str:
        """Run one line, and return what it printed."""
        words = line.split()
        if words[0] == "sealroom":
            words = [sys.executable, "-m", "sealroom.cli.main", *words[1:]]
        began = time.monotonic()
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        self.seconds += time.monotonic() - began
        self.said.append(f"$ {line}\n{done.stdout}{done.stderr}")
        assert done.returncode == code, "\n".join(self.said)
        return done.stdout

    def json(self, line: str, *, code: int = 0) -> dict[str, Any]:
        return json.loads(self.type(f"{line} --json", code=code))


def lock(project: str) -> str:
    """The command that locks a service for the simulated enclave of this machine."""
    return f"sealroom lock {project} --python 3.{sys.version_info.minor} --machine {machine()}"
