"""Files that the host may replace, grow, cut or link at any time."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sealroom.core.errors import MalformedError
from sealroom.enclave.messages import HostFolder


def _link(place: Path) -> None:
    outside = place.parent.parent / "outside"
    outside.write_bytes(b"12345")
    place.symlink_to(outside)


def _fifo(place: Path) -> None:
    os.mkfifo(place)


def _folder(place: Path) -> None:
    place.mkdir()


@pytest.fixture
def folder(tmp_path: Path) -> HostFolder:
    (tmp_path / "spool" / "sub").mkdir(parents=True)
    return HostFolder(tmp_path / "spool")


def test_reads_a_message_up_to_its_bound(tmp_path: Path, folder: HostFolder) -> None:
    (tmp_path / "spool/sub/a").write_bytes(b"12345")
    assert folder.read("sub/a", max_bytes=5) == b"12345"
    assert folder.read("sub/b", max_bytes=5) is None
    assert folder.read("none/a", max_bytes=5) is None
    with pytest.raises(MalformedError, match="at most 4"):
        folder.read("sub/a", max_bytes=4)


@pytest.mark.parametrize("make", [_link, _fifo, _folder])
def test_reads_regular_files_alone(tmp_path: Path, folder: HostFolder, make: Callable[[Path], None]) -> None:
    make(tmp_path / "spool/a")
    with pytest.raises(MalformedError, match="regular file"):
        folder.read("a", max_bytes=5)
    with pytest.raises(MalformedError, match="regular file"):
        folder.open("a", size=5)


def test_follows_no_link_in_the_middle_of_a_path(tmp_path: Path, folder: HostFolder) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a").write_bytes(b"12345")
    (tmp_path / "spool/linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError, match="expected a folder at linked"):
        folder.read("linked/a", max_bytes=5)
    with pytest.raises(MalformedError, match="expected a folder at linked"):
        folder.write("linked/b", b"x")
    assert [place.name for place in (tmp_path / "elsewhere").iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a"])
def test_names_are_relative_and_plain(folder: HostFolder, name: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        folder.read(name, max_bytes=1)


def test_opens_a_file_of_the_listed_size_alone(tmp_path: Path, folder: HostFolder) -> None:
    (tmp_path / "spool/a").write_bytes(b"12345")
    with folder.open("a", size=5) as file:
        assert file.read() == b"12345"
    for size in (4, 6):
        with pytest.raises(MalformedError, match=f"expected {size} octets, got 5"):
            folder.open("a", size=size)
    with pytest.raises(MalformedError, match="missing"):
        folder.open("b", size=5)


def test_hashes_in_one_pass_and_keeps_the_start(tmp_path: Path, folder: HostFolder) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "spool/a").write_bytes(content)
    pauses: list[int] = []
    hashed = folder.hash("a", size=len(content), keep=76, pause=lambda: pauses.append(1))
    assert hashed.sha256 == hashlib.sha256(content).digest()
    assert hashed.start == content[:76]
    assert len(pauses) == 3


def test_a_file_that_is_cut_while_it_is_hashed_is_refused(tmp_path: Path, folder: HostFolder) -> None:
    place = tmp_path / "spool/a"
    place.write_bytes(bytes(3 << 20))
    with pytest.raises(MalformedError, match="ended"):
        folder.hash("a", size=3 << 20, keep=76, pause=lambda: os.truncate(place, 1 << 20))


def test_a_file_that_grows_is_hashed_to_its_listed_size(tmp_path: Path, folder: HostFolder) -> None:
    place = tmp_path / "spool/a"
    place.write_bytes(bytes(2 << 20))
    hashed = folder.hash("a", size=2 << 20, keep=4, pause=lambda: os.truncate(place, 5 << 20))
    assert hashed.sha256 == hashlib.sha256(bytes(2 << 20)).digest()


def test_writes_whole_files_in_place_of_whatever_lies_there(tmp_path: Path, folder: HostFolder) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"host")
    for name in ("a", "a.tmp"):
        (tmp_path / "spool" / name).symlink_to(outside)
    folder.write("a", b"content")
    assert (tmp_path / "spool/a").read_bytes() == b"content"
    assert not (tmp_path / "spool/a").is_symlink()
    assert outside.read_bytes() == b"host"


def test_a_file_shows_under_its_name_once_it_is_complete(tmp_path: Path, folder: HostFolder) -> None:
    file = folder.create("new/deep/a")
    file.write(b"__x")
    file.close()
    file.close()
    assert not (tmp_path / "spool/new/deep/a").exists()
    folder.complete("new/deep/a", start=b"he", name="new/deep/b")
    assert (tmp_path / "spool/new/deep/b").read_bytes() == b"hex"
    folder.create("new/b").close()
    folder.discard("new/b")
    folder.discard("new/b")
    folder.discard("never/b")
    assert not (tmp_path / "spool/new/b.tmp").exists()


def test_keeps_no_descriptor_open(folder: HostFolder) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    folder.write("a", b"x")
    folder.read("a", max_bytes=1)
    folder.read("sub/none", max_bytes=1)
    for name in ("a/b", "sub/../x"):
        with pytest.raises((MalformedError, ValueError)):
            folder.read(name, max_bytes=1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
