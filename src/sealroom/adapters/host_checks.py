"""What this machine has for running enclaves: looked up, never changed.

What for: the operator of a server learns what is missing before a launch fails, and what brings it.

Must never: decide what anybody trusts. A host that looks complete here proves nothing to a participant.
Facts: docs/deploy-sgx.md.
"""

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sealroom.adapters.gramine import PROGRAM, pal_beside
from sealroom.adapters.hashing import hash_file
from sealroom.core.measurement.known_pals import KnownPal

_FLAGS = re.compile(r"^flags\s*:(.*)$", re.MULTILINE)
_KEY = ".config/gramine/enclave-key.pem"
_ENCLAVES_NEED = (PROGRAM, "SGX device", "AESM")


class Purpose(Enum):
    """What a thing is needed for."""

    SIMULATED = "simulated"
    GRAMINE_DIRECT = "gramine-direct"
    SGX = "sgx"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCheck:
    """One thing: whether it is here, what was found, what it is for, and what brings it."""

    name: str
    present: bool
    found: str
    purpose: Purpose
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where to look: the root of the file system, the search path of programs, the operator's home."""

    root: Path
    path: str
    home: Path

    def which(self, program: str) -> Path | None:
        """Find a program."""
        found = shutil.which(program, path=self.path)
        return None if found is None else Path(found)

    def read(self, name: str) -> str:
        """Read a file of the system; empty where it cannot be read."""
        try:
            return (self.root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def this_host() -> Host:
    """Return the machine that this runs on."""
    return Host(root=Path("/"), path=os.environ.get("PATH", os.defpath), home=Path.home())


def examine(host: Host, *, pals: tuple[KnownPal, ...]) -> tuple[HostCheck, ...]:
    """Look at everything, in the order in which an operator would set it up."""
    return tuple(check for look in _LOOKS for check in look(host, pals))


def lacking_for_enclaves(host: Host) -> str | None:
    """Say in one sentence what keeps an enclave on SGX from starting here and what brings it, or nothing."""
    missing = [
        check for check in examine(host, pals=()) if check.name in _ENCLAVES_NEED and not check.present
    ]
    if not missing:
        return None
    said = "; ".join(f"{check.name}: {check.found} ({check.fix})" for check in missing)
    return f"this machine starts no enclaves on SGX: {said}"


def _sandbox(host: Host, _: tuple[KnownPal, ...]) -> Iterator[HostCheck]:
    found = host.which("bwrap")
    yield HostCheck(
        name="bubblewrap",
        present=found is not None,
        found=str(found) if found else "not on the PATH: the kernel's own means are used instead",
        purpose=Purpose.SIMULATED,
        fix="apt-get install bubblewrap",
    )


def _gramine(host: Host, pals: tuple[KnownPal, ...]) -> Iterator[HostCheck]:
    direct, sgx = host.which("gramine-direct"), host.which("gramine-sgx")
    fix = "install Gramine: https://gramine.readthedocs.io, chapter Installation"
    for program, purpose, found in (
        ("gramine-direct", Purpose.GRAMINE_DIRECT, direct),
        ("gramine-sgx", Purpose.SGX, sgx),
    ):
        where = str(found) if found else "not on the PATH"
        yield HostCheck(name=program, present=found is not None, found=where, purpose=purpose, fix=fix)
    pal = installed_pal(host)
    digest = None if pal is None else hash_file(pal)
    known = next((f"{row.name} ({row.source})" for row in pals if row.sha256 == digest), None)
    said = "no libpal.so beside gramine-sgx"
    if digest is not None:
        said = f"{known or 'unknown'}, sha256 {digest.hex()}"
    yield HostCheck(
        name="known PAL",
        present=known is not None,
        found=said,
        purpose=Purpose.SGX,
        fix="a Gramine that this release knows, or a known_pals.toml of your own: docs/deploy-sgx.md, 4",
    )


def installed_pal(host: Host) -> Path | None:
    """Find the `libpal.so` for SGX beside gramine-sgx."""
    program = host.which(PROGRAM)
    return None if program is None else pal_beside(program)


def _processor(host: Host, _: tuple[KnownPal, ...]) -> Iterator[HostCheck]:
    flags = _FLAGS.search(host.read("proc/cpuinfo"))
    words = set(flags[1].split()) if flags else set()
    present = {"sgx", "sgx_lc"} & words
    yield HostCheck(
        name="processor",
        present=len(present) == 2,
        found=" ".join(sorted(present)) or "no SGX",
        purpose=Purpose.SGX,
        fix="turn on SGX with Flexible Launch Control in the firmware; in a virtual machine: in its host's",
    )
    device = host.root / "dev/sgx_enclave"
    usable = device.exists() and os.access(device, os.R_OK | os.W_OK)
    yield HostCheck(
        name="SGX device",
        present=usable,
        found="/dev/sgx_enclave" if usable else "/dev/sgx_enclave is not there, or not yours to open",
        purpose=Purpose.SGX,
        fix="Linux 5.11 or newer with CONFIG_X86_SGX; add the server's account to the group sgx",
    )


def _enclave_memory(host: Host, _: tuple[KnownPal, ...]) -> Iterator[HostCheck]:
    nodes = host.root.glob("sys/devices/system/node/node*/x86/sgx_total_bytes")
    total = sum(int(text) for text in (path.read_text().strip() for path in nodes) if text.isdigit())
    yield HostCheck(
        name="enclave memory",
        present=total > 0,
        found=f"{total >> 20} MiB" if total else "none reported",
        purpose=Purpose.SGX,
        fix="give SGX more memory (PRMRR, EPC) in the firmware; enclaves larger than it are paged, slowly",
    )


def _quotes(host: Host, _: tuple[KnownPal, ...]) -> Iterator[HostCheck]:
    socket = host.root / "var/run/aesmd/aesm.socket"
    running = socket.exists() and stat.S_ISSOCK(socket.stat().st_mode)
    yield HostCheck(
        name="AESM",
        present=running,
        found="/var/run/aesmd/aesm.socket" if running else "no socket at /var/run/aesmd/aesm.socket",
        purpose=Purpose.SGX,
        fix="apt-get install sgx-aesm-service libsgx-aesm-quote-ex-plugin, then systemctl start aesmd",
    )
    configured = bool(host.read("etc/sgx_default_qcnl.conf"))
    yield HostCheck(
        name="quote provider",
        present=configured,
        found="/etc/sgx_default_qcnl.conf" if configured else "no /etc/sgx_default_qcnl.conf",
        purpose=Purpose.SGX,
        fix="apt-get install libsgx-dcap-default-qpl, and name your PCCS in that file",
    )


def _signing_key(host: Host, _: tuple[KnownPal, ...]) -> Iterator[HostCheck]:
    key = host.home / _KEY
    yield HostCheck(
        name="signing key",
        present=key.is_file(),
        found=str(key) if key.is_file() else f"no {key}",
        purpose=Purpose.SGX,
        fix=f"sealroom sigstruct new-key {key}",
    )


_LOOKS: tuple[Callable[[Host, tuple[KnownPal, ...]], Iterator[HostCheck]], ...] = (
    _sandbox,
    _gramine,
    _processor,
    _enclave_memory,
    _quotes,
    _signing_key,
)
