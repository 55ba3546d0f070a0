"""The files of a machine as the expansion of a manifest sees them."""

import hashlib
import os
from pathlib import Path

import pytest

from sealroom.adapters.hashing import hash_files
from sealroom.adapters.host_tree import HostTree
from sealroom.core.measurement.expansion import EntryKind, list_trusted_files


def test_a_tree_of_every_kind_of_name(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    (tree / "b" / "empty").mkdir(parents=True)
    (tree / "b" / "x").write_bytes(b"x")
    (tree / "b.txt").write_bytes(b"")
    (tree / "to-file").symlink_to(tree / "b.txt")
    (tree / "to-folder").symlink_to(tree / "b")
    (tree / "dangling").symlink_to(tree / "gone")
    (tree / "loop").symlink_to(tree / "loop")
    os.mkfifo(tree / "pipe")
    files = list_trusted_files(["file:t/"], tree=HostTree(tmp_path))
    assert [file.uri for file in files] == ["file:t/b/x", "file:t/b.txt", "file:t/to-file"]


def test_a_relative_path_lies_below_the_base_and_an_absolute_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    tree = HostTree(tmp_path)
    assert tree.kind("f") is tree.kind(str(tmp_path / "f")) is EntryKind.FILE
    assert tree.kind("/") is EntryKind.FOLDER
    assert tree.kind("gone") is EntryKind.OTHER
    assert tree.digests(["f"]) == [hashlib.sha256(b"1").digest()]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "closed").write_bytes(b"")
    (tmp_path / "t" / "closed").chmod(0)
    (tmp_path / "t" / "shut").mkdir(mode=0)
    assert list_trusted_files(["file:t/"], tree=HostTree(tmp_path)) == ()


def test_digests_are_in_the_order_of_the_paths_and_progress_ends_at_the_total(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(200)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number % 251]) * (number * 37))
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    seen: list[tuple[int, int]] = []
    wanted = [*paths[::-1], tmp_path / "large"]
    found = hash_files(wanted, progress=lambda done, total: seen.append((done, total)))
    assert found == [hashlib.sha256(path.read_bytes()).digest() for path in wanted]
    assert seen[-1] == (201, 201)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        hash_files([tmp_path / "gone"])
