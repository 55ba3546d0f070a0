"""What `sealroom doctor` sees, on machines made of folders."""

import hashlib
import socket
from pathlib import Path

import pytest

from sealroom.adapters.host_checks import Host, HostCheck, examine, this_host
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.wire.terms import Tee

_PAL = b"a PAL"
_KNOWN = KnownPal(
    name="gramine-x",
    source="a test",
    tee=Tee.SGX,
    sha256=hashlib.sha256(_PAL).digest(),
    libos_uri="file:l",
    libos_sha256=bytes(32),
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine that has everything."""
    prefix = tmp_path / "usr"
    for program in ("bwrap", "gramine-direct", "gramine-sgx"):
        (prefix / "bin").mkdir(parents=True, exist_ok=True)
        (prefix / "bin" / program).write_text("#!/bin/sh\n")
        (prefix / "bin" / program).chmod(0o755)
    files = {
        "usr/lib/x86_64-linux-gnu/gramine/sgx/libpal.so": _PAL,
        "proc/cpuinfo": b"processor : 0\nflags\t\t: fpu sgx sgx_lc vme\n",
        "dev/sgx_enclave": b"",
        "sys/devices/system/node/node0/x86/sgx_total_bytes": b"8388608\n",
        "sys/devices/system/node/node1/x86/sgx_total_bytes": b"8388608\n",
        "etc/sgx_default_qcnl.conf": b"{}",
        "home/.config/gramine/enclave-key.pem": b"key",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "var/run/aesmd").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as made:
        folder = (tmp_path / "var/run/aesmd").resolve()
        # Names of sockets are short: bind by a relative one.
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            made.bind("aesm.socket")
    return Host(root=tmp_path, path=str(prefix / "bin"), home=tmp_path / "home")


def _checks(host: Host, pals: tuple[KnownPal, ...] = (_KNOWN,)) -> dict[str, HostCheck]:
    return {check.name: check for check in examine(host, pals=pals)}


def test_a_machine_that_has_everything_is_said_to(host: Host) -> None:
    checks = _checks(host)
    assert all(check.present for check in checks.values()), checks
    assert checks["enclave memory"].found == "16 MiB"
    assert "gramine-x" in checks["known PAL"].found


@pytest.mark.parametrize(
    ("gone", "name"),
    [
        ("usr/bin/bwrap", "bubblewrap"),
        ("usr/bin/gramine-direct", "gramine-direct"),
        ("usr/bin/gramine-sgx", "gramine-sgx"),
        ("usr/lib/x86_64-linux-gnu/gramine/sgx/libpal.so", "known PAL"),
        ("proc/cpuinfo", "processor"),
        ("dev/sgx_enclave", "SGX device"),
        ("var/run/aesmd/aesm.socket", "AESM"),
        ("etc/sgx_default_qcnl.conf", "quote provider"),
        ("home/.config/gramine/enclave-key.pem", "signing key"),
    ],
)
def test_what_is_gone_is_missing(host: Host, gone: str, name: str) -> None:
    (host.root / gone).unlink()
    assert not _checks(host)[name].present


def test_a_pal_that_this_release_does_not_know_is_named_by_its_digest(host: Host) -> None:
    check = _checks(host, pals=())["known PAL"]
    assert (check.present, hashlib.sha256(_PAL).hexdigest() in check.found) == (False, True)


@pytest.mark.parametrize("flags", ["flags : sgx", "flags : sgx_lc", "flags : sgx1 vme", ""])
def test_half_of_sgx_is_none(host: Host, flags: str) -> None:
    (host.root / "proc/cpuinfo").write_text(flags + "\n")
    assert not _checks(host)["processor"].present


def test_memory_of_zero_or_of_another_form_is_none(host: Host) -> None:
    for node, text in (("node0", "0"), ("node1", "many")):
        (host.root / f"sys/devices/system/node/{node}/x86/sgx_total_bytes").write_text(text)
    assert not _checks(host)["enclave memory"].present


def test_a_file_in_place_of_the_socket_is_no_service(host: Host) -> None:
    socket_path = host.root / "var/run/aesmd/aesm.socket"
    socket_path.unlink()
    socket_path.touch()
    assert not _checks(host)["AESM"].present


def test_this_machine_can_be_looked_at() -> None:
    assert {check.purpose.value for check in examine(this_host(), pals=())} == {
        "simulated",
        "gramine-direct",
        "sgx",
    }
