"""Results under names that a hostile program chose."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

import pytest

from sealroom.client.file_sealing import Opened
from sealroom.client.result_files import result_path, store_result
from sealroom.core.errors import VerificationError


def filling(content: bytes) -> Callable[[BinaryIO], Opened]:
    def fill(sink: BinaryIO) -> Opened:
        sink.write(content)
        return Opened(size=len(content), sha256=hashlib.sha256(content).digest())

    return fill


@pytest.mark.parametrize(
    "name", [r"..\evil.bat", "C:evil", "file:stream", "NUL", "con.txt", "report.csv.", "report ", r"\\host\x"]
)
def test_a_name_that_leads_elsewhere_on_windows_is_refused_there(name: str) -> None:
    with pytest.raises(VerificationError, match="for something else"):
        result_path(PureWindowsPath("C:/out"), name)


def test_a_plain_name_stays_what_it_is_everywhere() -> None:
    assert result_path(PureWindowsPath("C:/out"), "a report.csv") == PureWindowsPath("C:/out/a report.csv")
    assert result_path(PurePosixPath("/out"), r"a\b") == PurePosixPath("/out") / r"a\b"


def test_a_result_never_takes_the_place_of_another_file(tmp_path: Path) -> None:
    profile = tmp_path / ".bashrc"
    profile.write_bytes(b"mine")
    with pytest.raises(VerificationError, match="another file of this name"):
        store_result(profile, filling(b"the program's"))
    assert profile.read_bytes() == b"mine"


def test_a_result_does_not_follow_a_link_nor_replace_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"same")
    (tmp_path / "result").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerificationError, match="another file of this name"):
        store_result(tmp_path / "result", filling(b"same"))


def test_the_very_same_result_is_fetched_again_without_a_word(tmp_path: Path) -> None:
    for _ in range(2):
        stored = store_result(tmp_path / "result", filling(b"coefficients"))
        assert stored.size == 12
    assert (tmp_path / "result").read_bytes() == b"coefficients"


def test_a_result_that_does_not_open_leaves_nothing(tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise VerificationError("changed")

    with pytest.raises(VerificationError, match="changed"):
        store_result(tmp_path / "result", fail)
    assert list(tmp_path.iterdir()) == []
