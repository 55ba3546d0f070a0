"""What the enclave believes of its device: the report, as far as it is about itself."""

import struct
from pathlib import Path

import pytest

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.terms import Tee
from sealroom.enclave.identity.attestation import SGX_DEVICE, attest, device_folder

REPORT_DATA = bytes(range(64))
MRENCLAVE = b"\xaa" * 32


@pytest.fixture
def device(tmp_path: Path) -> Path:
    report = bytearray(432)
    struct.pack_into("32s", report, 64, MRENCLAVE)
    struct.pack_into("64s", report, 320, REPORT_DATA)
    (tmp_path / "attestation_type").write_bytes(b"simulated")
    (tmp_path / "user_report_data").touch()
    (tmp_path / "target_info").touch()
    (tmp_path / "my_target_info").write_bytes(b"\x05" * 512)
    (tmp_path / "report").write_bytes(report)
    (tmp_path / "quote").write_bytes(b"quote")
    return tmp_path


def test_takes_its_measurement_from_its_own_report(device: Path) -> None:
    own = attest(device, tee=Tee.SIMULATED, report_data=REPORT_DATA)
    assert (own.mrenclave, own.raw_quote) == (MRENCLAVE, b"quote")
    assert (device / "user_report_data").read_bytes() == REPORT_DATA
    assert (device / "target_info").read_bytes() == b"\x05" * 512


def test_the_device_of_sgx_is_gramine_s(tmp_path: Path) -> None:
    assert device_folder(Tee.SGX, tmp_path) == SGX_DEVICE
    assert device_folder(Tee.SIMULATED, tmp_path) == tmp_path / "attestation"


@pytest.mark.parametrize("kind", [b"dcap", b"none", b"", b"simulated\n"])
def test_refuses_a_device_of_another_kind(device: Path, kind: bytes) -> None:
    (device / "attestation_type").write_bytes(kind)
    with pytest.raises(VerificationError, match="tee=simulated"):
        attest(device, tee=Tee.SIMULATED, report_data=REPORT_DATA)


def test_refuses_a_report_about_other_data(device: Path) -> None:
    with pytest.raises(VerificationError, match="other report data"):
        attest(device, tee=Tee.SIMULATED, report_data=bytes(64))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("my_target_info", bytes(511)),
        ("my_target_info", bytes(513)),
        ("report", bytes(431)),
        ("report", bytes(433)),
        ("quote", b""),
        ("quote", bytes((1 << 16) + 1)),
    ],
)
def test_refuses_answers_of_another_size(device: Path, name: str, content: bytes) -> None:
    (device / name).write_bytes(content)
    with pytest.raises(MalformedError, match=name):
        attest(device, tee=Tee.SIMULATED, report_data=REPORT_DATA)


def test_follows_no_link_in_the_device(device: Path) -> None:
    (device / "quote").unlink()
    (device / "quote").symlink_to(device / "report")
    with pytest.raises(OSError, match="symbolic"):
        attest(device, tee=Tee.SIMULATED, report_data=REPORT_DATA)


def test_takes_report_data_of_64_bytes_alone(device: Path) -> None:
    with pytest.raises(ValueError, match="64"):
        attest(device, tee=Tee.SIMULATED, report_data=bytes(32))
