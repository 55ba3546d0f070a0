from pathlib import Path

import pytest

from sealroom.client.private_files import read_bounded, replacing, write_private
from sealroom.core.errors import MalformedError


def test_a_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", b"x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"before")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError):
        read_bounded(tmp_path / "file", max_bytes=10, what="file")
    write_private(tmp_path / "file", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"x"


def test_a_file_beyond_its_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bounded(tmp_path / "file", max_bytes=5, what="file") == b"12345"
    with pytest.raises(MalformedError, match="larger than 4"):
        read_bounded(tmp_path / "file", max_bytes=4, what="file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        read_bounded(tmp_path, max_bytes=5, what="file")
