"""What stands around an enclave in gramine-direct: its manifest and its device, without Gramine."""

import hashlib
import time
from pathlib import Path

import pytest

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.terms import Tee
from sealroom.enclave.identity.attestation import attest
from sealroom.insecure.direct_manifest import Gramine, direct_manifest, find_gramine
from sealroom.insecure.file_device import FileDevice

_DATA = bytes(range(64))
_TARGET = b"\x05" * 512
_DEVICE = "/sealroom/attestation"


def _report(report_data: bytes) -> bytes:
    return bytes(64) + b"\xaa" * 32 + bytes(224) + report_data + bytes(48)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    made = FileDevice(
        tmp_path / "attestation",
        target_info=_TARGET,
        make_report=_report,
        make_quote=lambda report_data: b"quote over " + report_data,
    )
    made.create()
    made.serve()
    return tmp_path / "attestation"


def test_an_enclave_waits_for_the_answer_of_plain_files(device: Path) -> None:
    own = attest(device, tee=Tee.SIMULATED, report_data=_DATA)
    assert (own.mrenclave, own.raw_quote) == (b"\xaa" * 32, b"quote over " + _DATA)


def test_a_second_quote_is_never_made(device: Path) -> None:
    attest(device, tee=Tee.SIMULATED, report_data=_DATA)
    (device / "user_report_data").write_bytes(bytes(64))
    time.sleep(0.1)
    assert (device / "quote").read_bytes() == b"quote over " + _DATA


def test_nothing_is_reported_to_another_target(device: Path) -> None:
    (device / "user_report_data").write_bytes(_DATA)
    (device / "target_info").write_bytes(bytes(512))
    ends = time.monotonic() + 5
    while not (device / "quote").read_bytes() and time.monotonic() < ends:
        time.sleep(0.01)
    assert (device / "report").read_bytes() == b""


def test_half_an_answer_is_waited_for(device: Path) -> None:
    (device / "user_report_data").write_bytes(_DATA[:63])
    (device / "target_info").write_bytes(_TARGET)
    time.sleep(0.05)
    assert (device / "quote").read_bytes() == b""


def test_under_sgx_a_device_of_plain_files_is_refused(device: Path) -> None:
    with pytest.raises(VerificationError, match="tee=sgx"):
        attest(device, tee=Tee.SGX, report_data=_DATA)


@pytest.fixture
def gramine(tmp_path: Path) -> Gramine:
    libraries = tmp_path / "prefix" / "lib" / "x86_64-linux-gnu" / "gramine" / "runtime" / "glibc"
    libraries.mkdir(parents=True)
    (libraries / "libc.so.6").write_bytes(b"libc")
    (libraries.parents[1] / "libsysdb.so").write_bytes(b"libos")
    program = tmp_path / "prefix" / "bin" / "gramine-direct"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return Gramine(program=program, libos=libraries.parents[1] / "libsysdb.so", libraries=libraries)


def _measured() -> dict[str, object]:
    pal = KnownPal(
        name="p",
        source="a test",
        tee=Tee.SIMULATED,
        sha256=bytes(32),
        libos_uri="file:pal",
        libos_sha256=bytes(32),
    )
    manifest = computation_manifest(
        arguments_sha256=bytes(32),
        first_party=[MeasuredFile(path="start.py", sha256=bytes(32))],
        code=[],
        packages=[],
        runtime=[MeasuredFile(path="runtime/bin/python3", sha256=b"\x01" * 32)],
        max_memory=1 << 30,
        pal=pal,
    )
    return parse_manifest(manifest)


def _direct(gramine: Gramine, folder: Path) -> dict:
    raw = direct_manifest(
        _measured(), folder=folder, runtime=Path("/store/r"), gramine=gramine, device=_DEVICE
    )
    return parse_manifest(raw)


def test_the_manifest_of_gramine_direct_is_the_measured_one_on_paths_of_this_machine(
    gramine: Gramine, tmp_path: Path
) -> None:
    direct, measured = _direct(gramine, tmp_path), _measured()
    mounts = {row["path"]: row.get("uri") for row in direct["fs"]["mounts"]}
    assert mounts["/lib"] == f"file:{gramine.libraries}"
    assert mounts["/runtime"] == "file:/store/r"
    assert mounts[_DEVICE] == "file:attestation"
    trusted = {row["uri"]: row["sha256"] for row in direct["sgx"]["trusted_files"]}
    assert trusted["file:/store/r/bin/python3"] == "01" * 32
    assert trusted[f"file:{gramine.libraries}/libc.so.6"] == hashlib.sha256(b"libc").hexdigest()
    assert "file:runtime/bin/python3" not in trusted
    assert direct["sgx"]["allowed_files"] == ["file:spool/", "file:attestation/"]
    assert direct["loader"]["entrypoint"]["sha256"] == hashlib.sha256(b"libos").hexdigest()
    for key in ("env", "argv_src_file"):
        assert direct["loader"][key] == measured["loader"][key]
    assert direct["sys"] == measured["sys"]
    assert direct["sgx"]["file_check_policy"] == "strict"


@pytest.mark.parametrize("broken", ["loader", "fs", "sgx"])
def test_refuses_another_manifest(gramine: Gramine, tmp_path: Path, broken: str) -> None:
    measured = _measured()
    measured[broken] = 1
    with pytest.raises(MalformedError, match=broken):
        direct_manifest(measured, folder=tmp_path, runtime=tmp_path, gramine=gramine, device=_DEVICE)


def test_finds_gramine_by_its_starter(gramine: Gramine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(gramine.program.parent))
    assert find_gramine() == gramine
    gramine.libos.unlink()
    with pytest.raises(RuntimeError, match=r"libsysdb\.so"):
        find_gramine()


def test_says_what_to_do_where_gramine_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="--launcher simulated"):
        find_gramine()
