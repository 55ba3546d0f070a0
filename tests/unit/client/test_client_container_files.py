"""Sealing and opening between files: sources that change, disks that fill, lanes that fail."""

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from container_cases import CHUNK, CONTEXT, KEY, Files

from sealroom.client.container_files import SUPPORTED, Extras, open_file, seal_file
from sealroom.client.lanes import DigestInOrder
from sealroom.core.errors import VerificationError
from sealroom.core.sealing.container_streams import open_bytes, seal_bytes

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this system goes through container_streams")

PLAIN = os.urandom(9 * CHUNK + 5)


@pytest.fixture(autouse=True)
def no_lane_is_left_behind() -> Any:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "sealroom-lane"] == []


def after_the_first_batch(change: Callable[[], object]) -> Extras:
    """Extras that change the world once, while the work is under way."""
    told: list[int] = []

    def tell(done: int, total: int) -> None:
        if not told:
            change()
        told.append(done)

    return Extras(lanes=1, tell=tell)


def test_both_digests_are_those_of_the_files(tmp_path: Path) -> None:
    files = Files(tmp_path, PLAIN)
    extras = Extras(plain=DigestInOrder(), sealed=DigestInOrder(), lanes=3)
    assert files.run(seal_file, extras) == len(PLAIN)
    sealed = files.target.read_bytes()
    assert extras.plain is not None and extras.sealed is not None
    assert extras.plain.digest() == hashlib.sha256(PLAIN).digest()
    assert extras.sealed.digest() == hashlib.sha256(sealed).digest()
    back = Extras(plain=DigestInOrder(), sealed=DigestInOrder(), lanes=3)
    assert Files(tmp_path, sealed).run(open_file, back) == len(PLAIN)
    assert back.plain is not None and back.sealed is not None
    assert back.plain.digest() == extras.plain.digest()
    assert back.sealed.digest() == extras.sealed.digest()


def test_progress_ends_with_all_of_it(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    Files(tmp_path, PLAIN).run(seal_file, Extras(lanes=1, tell=lambda *now: told.append(now)))
    assert told[-1] == (len(PLAIN), len(PLAIN))
    assert told == sorted(told)


@pytest.mark.parametrize("size", [0, CHUNK, 5 * CHUNK])
def test_a_source_that_shrinks_is_refused(size: int, tmp_path: Path) -> None:
    files = Files(tmp_path, PLAIN)
    with pytest.raises(VerificationError, match="shorter"):
        files.run(seal_file, after_the_first_batch(lambda: os.truncate(files.source, size)))


def test_a_source_that_grows_is_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, PLAIN)
    with pytest.raises(VerificationError, match="longer"):
        files.run(seal_file, after_the_first_batch(lambda: os.truncate(files.source, len(PLAIN) + 1)))


def test_a_container_that_shrinks_while_it_is_opened_is_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, seal_bytes(PLAIN, key=KEY, context=CONTEXT))
    with pytest.raises(VerificationError, match="shorter"):
        files.run(open_file, after_the_first_batch(lambda: os.truncate(files.source, 5 * CHUNK)))


def test_a_container_exchanged_while_it_is_opened_is_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, seal_bytes(PLAIN, key=KEY, context=CONTEXT))
    other = seal_bytes(PLAIN, key=KEY, context=CONTEXT)
    with pytest.raises(VerificationError, match="chunk 4"):
        files.run(open_file, after_the_first_batch(lambda: files.source.write_bytes(other)))


def test_a_full_disk_says_so_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    files = Files(tmp_path, PLAIN)
    with pytest.raises(OSError, match="No space"):
        files.run(seal_file)
    assert files.target.read_bytes() == b""


def test_a_file_system_that_reserves_nothing_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    assert open_bytes(Files(tmp_path, PLAIN).through(seal_file), key=KEY, context=CONTEXT) == PLAIN


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_disk_that_fills_in_one_lane_ends_all(
    lanes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwritev

    def full(descriptor: int, buffers: Any, offset: int) -> int:
        if offset > 4 * CHUNK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pwritev", full)
    extras = Extras(lanes=lanes, plain=DigestInOrder(), sealed=DigestInOrder())
    with pytest.raises(OSError, match="No space"):
        Files(tmp_path, PLAIN).run(seal_file, extras)


def test_short_reads_and_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.preadv, os.pwritev

    def few(buffers: Any) -> list[memoryview]:
        return [memoryview(buffers[0])[:100_000]]

    monkeypatch.setattr(os, "preadv", lambda source, buffers, offset: read(source, few(buffers), offset))
    monkeypatch.setattr(os, "pwritev", lambda sink, buffers, offset: write(sink, few(buffers), offset))
    sealed = Files(tmp_path, PLAIN).through(seal_file)
    assert open_bytes(sealed, key=KEY, context=CONTEXT) == PLAIN
    assert Files(tmp_path, sealed).through(open_file) == PLAIN


def test_one_damaged_chunk_in_one_lane_ends_all_with_its_error(tmp_path: Path) -> None:
    sealed = bytearray(seal_bytes(PLAIN, key=KEY, context=CONTEXT))
    sealed[6 * CHUNK] ^= 1
    extras = Extras(lanes=3, plain=DigestInOrder(), sealed=DigestInOrder())
    with pytest.raises(VerificationError, match="chunk 5"):
        Files(tmp_path, bytes(sealed)).run(open_file, extras)


def test_an_interruption_ends_all_lanes_and_is_raised(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Files(tmp_path, PLAIN).run(seal_file, after_the_first_batch(interrupt))


def test_where_no_thread_can_be_started_the_callers_own_does_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert open_bytes(Files(tmp_path, PLAIN).through(seal_file), key=KEY, context=CONTEXT) == PLAIN
