"""The FIFOs of the attestation device, served in this process."""

import os
import threading
from pathlib import Path

import pytest

from sealroom.insecure.device import AttestationDevice

TARGET = bytes(range(256)) * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    device = AttestationDevice(
        tmp_path / "attestation",
        target_info=TARGET,
        make_report=lambda data: b"report of " + data,
        make_quote=lambda data: b"quote of " + data,
    )
    device.create()
    device.serve()
    return tmp_path / "attestation"


def read(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def write(folder: Path, name: str, content: bytes) -> None:
    with (folder / name).open("wb", buffering=0) as file:
        file.write(content)


def test_the_type_says_simulated(folder: Path) -> None:
    assert read(folder, "attestation_type") == b"simulated"


def test_a_quote_is_over_the_bytes_that_were_written(folder: Path) -> None:
    write(folder, "user_report_data", b"a" * 64)
    assert read(folder, "quote") == b"quote of " + b"a" * 64


def test_a_report_needs_the_target_of_this_enclave(folder: Path) -> None:
    write(folder, "user_report_data", b"a" * 64)
    assert read(folder, "report") == b""
    write(folder, "target_info", b"x" * 512)
    assert read(folder, "report") == b""
    write(folder, "target_info", read(folder, "my_target_info"))
    assert read(folder, "report") == b"report of " + b"a" * 64


def test_nothing_is_quoted_before_anything_was_written(folder: Path) -> None:
    assert read(folder, "quote") == b""


@pytest.mark.parametrize("size", [1, 63, 65, 127])
def test_a_wrong_size_takes_back_what_was_written_before(folder: Path, size: int) -> None:
    write(folder, "user_report_data", b"a" * 64)
    assert read(folder, "quote")
    write(folder, "user_report_data", b"b" * size)
    assert read(folder, "quote") == b""


def test_the_last_of_several_writes_counts(folder: Path) -> None:
    write(folder, "user_report_data", b"a" * 64)
    write(folder, "user_report_data", b"b" * 64)
    assert read(folder, "quote") == b"quote of " + b"b" * 64


def test_a_reader_that_does_not_close_does_not_disturb_the_next(folder: Path) -> None:
    write(folder, "user_report_data", b"a" * 64)
    first = os.open(folder / "quote", os.O_RDONLY)
    assert os.read(first, 5) == b"quote"
    assert read(folder, "quote") == b"quote of " + b"a" * 64
    assert os.read(first, 1000) == b" of " + b"a" * 64
    assert os.read(first, 1000) == b""
    os.close(first)


def test_a_reader_that_leaves_early_does_not_stop_the_device(folder: Path) -> None:
    write(folder, "user_report_data", b"a" * 64)
    for _ in range(5):
        os.close(os.open(folder / "quote", os.O_RDONLY))
    assert read(folder, "quote") == b"quote of " + b"a" * 64


def test_different_files_may_be_read_at_once(folder: Path) -> None:
    write(folder, "user_report_data", b"a" * 64)
    write(folder, "target_info", TARGET)
    answers: dict[str, bytes] = {}
    names = ("my_target_info", "report", "quote")
    readers = [threading.Thread(target=lambda n=name: answers.update({n: read(folder, n)})) for name in names]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=10)
    assert answers == {
        "my_target_info": TARGET,
        "report": b"report of " + b"a" * 64,
        "quote": b"quote of " + b"a" * 64,
    }


def test_only_its_owner_may_open_the_folder(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
