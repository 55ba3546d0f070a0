"""Files that the host can change at any time: the spool, and the folders beside it.

What for: every read and write of host memory goes through `HostFolder`. A name is fixed or comes from a
checked list, never from a message; no link is followed, in any part of a path; what is no regular file is
closed unread; a size is known before the reading starts; a message is read once, into a buffer that the host
cannot reach. Whatever changes a file is done by the folder's writer.

Must never: list a folder, read a file a second time to believe it more, or hand out a path.
Spec: docs/spec/spool.md; docs/spec/enclave-session.md, "Reading host files".
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sealroom.core.errors import MalformedError
from sealroom.core.wire.spool import TEMPORARY_SUFFIX
from sealroom.enclave.host_writer import HostWriter

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OVERWRITE_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HASH_BLOCK = 1 << 20
_CLOSED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedFile:
    """What one pass over a file gave: its digest, and its first octets, which are never read again."""

    sha256: bytes
    start: bytes


class HostFile:
    """A file that is being written, by the writer's descriptor, which no other thread may use or close."""

    def __init__(self, descriptor: int, writer: HostWriter) -> None:
        self._descriptor = descriptor
        self._writer = writer

    def write(self, content: bytes | memoryview) -> int:
        """Write what fits; returns how much that was."""
        return self._writer.do(partial(os.write, self._descriptor, content))

    def close(self) -> None:
        """Close the descriptor; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            self._writer.do(partial(os.close, descriptor))


class HostFolder:
    """One folder of the host's, named by its path and reached afresh for each call.

    No descriptor is kept between calls, but of what is being written: the program that runs later may close
    every one that it finds.
    """

    def __init__(self, folder: Path, writer: HostWriter | None = None) -> None:
        self._folder = folder
        self._writer = HostWriter() if writer is None else writer

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """Read a whole file once, or return `None` when there is none.

        Raises `MalformedError` for a link, for what is no regular file, and for more than `max_bytes`.
        """
        try:
            descriptor = self._open(name)
        except FileNotFoundError:
            return None
        with io.FileIO(descriptor) as file:
            raw = _read_up_to(file, max_bytes + 1)
        if len(raw) > max_bytes:
            raise MalformedError(f"{name}: expected at most {max_bytes} octets")
        return raw

    def open(self, name: str, *, size: int) -> io.FileIO:
        """Open a file that has exactly `size` octets now, for reading in place.

        Raises `MalformedError` when it is missing, is no regular file, or has another size.
        """
        try:
            descriptor = self._open(name)
        except FileNotFoundError as exc:
            raise MalformedError(f"{name}: missing") from exc
        file = io.FileIO(descriptor)
        found = os.fstat(descriptor).st_size
        if found != size:
            file.close()
            raise MalformedError(f"{name}: expected {size} octets, got {found}")
        return file

    def hash(self, name: str, *, size: int, keep: int, pause: Callable[[], None]) -> HashedFile:
        """Hash a file of exactly `size` octets in one pass, and keep the first `keep` octets of that pass.

        `pause` is called between blocks, and may raise to give up. Raises `MalformedError` for another size,
        also when the size changes on the way.
        """
        digest, start, left = hashlib.sha256(), b"", size
        block = memoryview(bytearray(min(_HASH_BLOCK, max(size, 1))))
        with self.open(name, size=size) as file:
            while left:
                got = file.readinto(block[: min(left, len(block))])
                if not got:
                    raise MalformedError(f"{name}: ended {left} octets early")
                if len(start) < keep:
                    start += bytes(block[: min(got, keep - len(start))])
                digest.update(block[:got])
                left -= got
                pause()
        return HashedFile(sha256=digest.digest(), start=start)

    def write(self, name: str, content: bytes | bytearray) -> None:
        """Write a file under a temporary name, then give it its own: a reader finds all of it or nothing."""
        self._writer.do(partial(self._write, name, content))

    def create(self, name: str) -> HostFile:
        """Create the temporary file of `name`, in place of any that is there; `complete` finishes it."""
        return HostFile(self._writer.do(partial(self._create, name)), self._writer)

    def complete(self, temporary: str, *, start: bytes, name: str) -> None:
        """Overwrite the first octets of the temporary file of `temporary`, and rename it to `name`."""
        self._writer.do(partial(self._complete, temporary, start, name))

    def discard(self, name: str) -> None:
        """Remove the temporary file of `name`, if it is there."""
        self._writer.do(partial(self._discard, name))

    def _write(self, name: str, content: bytes | bytearray) -> None:
        with io.FileIO(self._create(name), "r+") as file:
            _write_all(file, content)
        parent = self._parent(name)
        try:
            temporary = _last(name) + TEMPORARY_SUFFIX
            os.rename(temporary, _last(name), src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            os.close(parent)

    def _create(self, name: str) -> int:
        parent, temporary = self._parent(name, make=True), _last(name) + TEMPORARY_SUFFIX
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=parent)
            return os.open(temporary, _CREATE_FLAGS, 0o644, dir_fd=parent)
        finally:
            os.close(parent)

    def _complete(self, temporary: str, start: bytes, name: str) -> None:
        parent = self._parent(name)
        try:
            source = _last(temporary) + TEMPORARY_SUFFIX
            with io.FileIO(os.open(source, _OVERWRITE_FLAGS, dir_fd=parent), "r+") as file:
                _write_all(file, start)
            os.rename(source, _last(name), src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            os.close(parent)

    def _discard(self, name: str) -> None:
        try:
            parent = self._parent(name)
        except FileNotFoundError:
            return
        try:
            os.unlink(_last(name) + TEMPORARY_SUFFIX, dir_fd=parent)
        except FileNotFoundError:
            pass
        finally:
            os.close(parent)

    def _open(self, name: str) -> int:
        parent = self._parent(name)
        try:
            # O_NONBLOCK: opening a FIFO that the host put there must not wait for anybody.
            descriptor = os.open(_last(name), _READ_FLAGS, dir_fd=parent)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise MalformedError(f"{name}: expected a regular file") from exc
        finally:
            os.close(parent)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise MalformedError(f"{name}: expected a regular file")
        return descriptor

    def _parent(self, name: str, *, make: bool = False) -> int:
        """Open the folder that `name` lies in, part by part, so that no link leads out."""
        parts = name.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise ValueError("host file: expected a relative path without empty, . or .. parts")
        current = os.open(self._folder, _FOLDER_FLAGS)
        for part in parts[:-1]:
            try:
                if make:
                    _make_folder(part, current)
                following = os.open(part, _FOLDER_FLAGS, dir_fd=current)
            except FileNotFoundError:
                raise
            except OSError as exc:
                raise MalformedError(f"{name}: expected a folder at {part}") from exc
            finally:
                os.close(current)
            current = following
        return current


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _read_up_to(file: io.FileIO, limit: int) -> bytes:
    parts, left = [], limit
    while left:
        part = file.read(min(left, _HASH_BLOCK))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _write_all(file: io.FileIO, content: bytes | bytearray) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
