import hashlib
from pathlib import Path

import pytest

from sealroom.server.blobs import BlobBusyError, BlobStore, new_name


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def names(blobs_folder: Path) -> list[str]:
    return sorted(path.name for path in blobs_folder.glob("*/*"))


def test_a_blob_is_whole_after_commit(blobs: BlobStore) -> None:
    with blobs.create() as writer:
        writer.write(b"a")
        writer.write(b"b")
        blob = writer.commit()
    assert (blob.size, blob.sha256) == (2, hashlib.sha256(b"ab").digest())
    assert blobs.read(blob.name) == b"ab"


def test_a_blob_that_is_not_committed_leaves_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), blobs.create() as writer:
        writer.write(b"a")
        raise RuntimeError("stop")
    assert names(tmp_path / "blobs") == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 31, "A" * 32, "", "a" * 31 + "/"])
def test_a_name_that_was_not_made_here_is_our_own_mistake(blobs: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="blob name"):
        blobs.open(name)


def test_a_partial_blob_continues_where_it_ended(blobs: BlobStore) -> None:
    name = new_name()
    for piece in (b"one", b"two"):
        with blobs.continue_partial(name) as file:
            file.write(piece)
    assert blobs.partial_size(name) == 6
    assert blobs.digest_partial(name) == hashlib.sha256(b"onetwo").digest()
    blobs.publish(name)
    blobs.publish(name)
    assert (blobs.read(name), blobs.partial_size(name)) == (b"onetwo", 6)


def test_a_partial_blob_has_one_writer(blobs: BlobStore) -> None:
    name = new_name()
    with blobs.continue_partial(name), pytest.raises(BlobBusyError), blobs.continue_partial(name):
        pass


def test_a_copy_appears_whole(blobs: BlobStore, tmp_path: Path) -> None:
    blob = blobs.put(b"content")
    blobs.copy_to(blob.name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs", "copy"]


def test_sweeping_removes_what_nobody_knows(blobs: BlobStore, tmp_path: Path) -> None:
    kept, left = blobs.put(b"kept"), blobs.put(b"left")
    partial = new_name()
    with blobs.continue_partial(partial) as file:
        file.write(b"left too")
    assert blobs.sweep({kept.name}) == 2
    assert names(tmp_path / "blobs") == [kept.name]
    assert not blobs.exists(left.name)
