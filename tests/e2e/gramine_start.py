"""Where the start of an enclave under gramine-direct goes, by the files that each step leaves behind."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from sealroom.core.measurement.manifest import parse_manifest, write_manifest

# What is written when a step is done, in the order of the steps.
_STEPS = (
    ("the supervisor starts", "host/supervisor.json"),
    ("every file is checked, the manifest for this machine written", "direct.manifest"),
    ("Gramine and Python start, sealroom is imported, keys, report and quote are made", "spool/quote"),
)
NOTHING = "pass"
# As start.py does, up to the session that it runs.
IMPORTS = """
import os, sys
sys.path += ["/sealroom/lib", os.path.dirname(os.__file__) + "/site-packages"]
import sealroom.enclave.session
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the start."""

    name: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:6.2f} s  {self.name}"


def parts_of_start(folder: Path) -> tuple[Part, ...]:
    """Return the parts of a start that went as far as the quote, from the order to the supervisor on."""
    before, found = (folder / "host/launch.json").stat().st_mtime, []
    for name, path in _STEPS:
        done = (folder / path).stat().st_mtime
        found.append(Part(name=name, seconds=done - before))
        before = done
    return tuple(found)


def seconds_to_run(program: str, folder: Path, code: str, *, all_files: bool = True) -> float:
    """Time `code` in the same Gramine with the same interpreter.

    With `all_files` its manifest lists what the enclave's does, else runtime and Gramine's libraries alone.
    """
    document = parse_manifest((folder / "direct.manifest").read_bytes())
    loader, sgx = document["loader"], document["sgx"]
    assert isinstance(loader, dict)
    assert isinstance(sgx, dict)
    del loader["argv_src_file"]
    loader["argv"] = ["python3", "-I", "-S", "-B", "-c", code]
    if not all_files:
        # Those of this machine have whole paths, those of the launch folder have not.
        sgx["trusted_files"] = [row for row in sgx["trusted_files"] if row["uri"].startswith("file:/")]
    (folder / "probe.manifest").write_bytes(write_manifest(document))
    began = time.monotonic()
    subprocess.run([program, "probe"], cwd=folder, check=True, capture_output=True)
    return time.monotonic() - began
