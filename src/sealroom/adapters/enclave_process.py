"""An enclave's process as its host holds it, whatever runs it: tied to its parent, watched to its end.

What for: the simulated TEE, gramine-direct and gramine-sgx are started by processes of different zones, and
each has to end its enclave with itself and to tell the operator what came out.

Must never: let an enclave outlive the process that started it.
Spec page: docs/spec/launch-folder.md, "Supervisor".
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sealroom.core.measurement.refused_files import parse_refused_files, remedy_for

EXIT_NOT_STARTED = 125
# How a line about a refused file begins, for those who look for them in a log.
REFUSED_FILE = "refused: "

_PR_SET_PDEATHSIG = 1
# Enclaves are started on Linux; this module can be imported and checked anywhere.
_SIGKILL = 9
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MAX_CONSOLE_BYTES = 64 * 1024
_MAX_SERVICE_CONSOLE_BYTES = 1 << 20
_CONSOLE_BLOCK = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(expected_parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent dies.

    `expected_parent` is checked after the tie is made, because the parent may have died before it: then this
    process ends here.
    """
    parent = os.getppid() if expected_parent is None else expected_parent
    arguments = (ctypes.c_ulong(_SIGKILL), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if _libc.prctl(_PR_SET_PDEATHSIG, *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
    if os.getppid() != parent:
        os.kill(os.getpid(), _SIGKILL)


def exit_code(enclave: subprocess.Popen[bytes]) -> int:
    """Wait for the end of an enclave, and return its exit code."""
    code = enclave.wait()
    # As a shell would say it: killed by a signal.
    return code if code >= 0 else 128 - code


def keep_console(console: int, path: Path, *, serves: bool = False) -> None:
    """Keep the start of what reaches the host's console, for the operator; the rest is read and dropped.

    The enclave redirects its descriptors before it lets foreign code run, so nothing that a program prints is
    here; what one writes on purpose to its host's own descriptors is (docs/limits.md). Of an enclave that
    `serves`, which runs for as long as it is wanted, the end is kept: up to a mebibyte, and the one before it
    beside `path`.
    """
    if serves:
        _keep_end(console, path)
        return
    left = _MAX_CONSOLE_BYTES
    with os.fdopen(console, "rb", buffering=0) as source, path.open("xb", buffering=0) as kept:
        while part := source.read(_CONSOLE_BLOCK):
            kept.write(part[:left])
            left -= min(left, len(part))


def former_console(path: Path) -> Path:
    """Return where what came before the console at `path` is kept."""
    return path.with_name(f"{path.name}.1")


def _keep_end(console: int, path: Path) -> None:
    with os.fdopen(console, "rb", buffering=0) as source:
        part = source.read(_CONSOLE_BLOCK)
        while part:
            kept_bytes = 0
            with path.open("xb", buffering=0) as kept:
                while part and kept_bytes + len(part) <= _MAX_SERVICE_CONSOLE_BYTES:
                    kept.write(part)
                    kept_bytes += len(part)
                    part = source.read(_CONSOLE_BLOCK)
            if part:
                path.replace(former_console(path))


def explain_refused_files(console: Path, manifest: Mapping[str, object]) -> None:
    """Say on standard error which files Gramine refused: one that is missing in the template is a defect."""
    log = console.read_text(encoding="utf-8", errors="replace")
    for file in parse_refused_files(log):
        remedy = remedy_for(file, manifest, is_file=lambda path: Path(path).is_file())
        needed = f", needed by {file.needed_by}" if file.needed_by else ""
        print(f"{REFUSED_FILE}{file.name!r}{needed}: {remedy.sentence} {remedy.line or ''}", file=sys.stderr)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that was not there, whole or not at all."""
    partial = path.with_name(f"{path.name}.tmp")
    descriptor = os.open(partial, _NEW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.rename(path)
