"""The spool as the host may touch it: what lies in there was written by code that nobody here could read.

A program inside can put links, pipes and folders where files are expected. So every part of a path is opened
from its folder's descriptor without following links, and only bounded regular files are read.

Must never: follow a link, block on a pipe, or make a name from anything but `core.wire.spool`.
Spec page: docs/spec/spool.md.
"""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from sealroom.core.errors import MalformedError
from sealroom.core.wire.spool import ANSWERS, END, INBOX, INPUTS, RESULTS, TEMPORARY_SUFFIX

SPOOL_FOLDER = "spool"

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# More than the results and answers of any computation have.
_MAX_NAMES = 65_536
_MAX_DEPTH = 4
_WRITTEN_BY_HOST = (INBOX, INPUTS)
_AS_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Spool:
    """One spool, by its folder. Names are those of `core.wire.spool`, with `/` between their parts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, *, providers: int, consumers: int) -> None:
        """Make the empty folders, for that many Data Providers and Result Consumers."""
        self._folder.mkdir(mode=_FOLDER_MODE)
        names = [INBOX, ANSWERS, INPUTS, RESULTS]
        names += [f"{INPUTS}/{index}" for index in range(providers)]
        names += [f"{RESULTS}/{index}" for index in range(consumers)]
        for name in names:
            (self._folder / name).mkdir(mode=_FOLDER_MODE)

    def is_there(self) -> bool:
        """Say whether the spool is still a folder."""
        try:
            return stat.S_ISDIR(self._folder.lstat().st_mode)
        except FileNotFoundError:
            return False

    def has(self, name: str) -> bool:
        """Say whether something has that name, whatever it is."""
        try:
            with self._parent(name) as (folder, last):
                os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """Return the content of a file, `None` where there is none.

        Raises `MalformedError` for more than `max_bytes` and for anything that is not a regular file.
        """
        source = self.open(name)
        if source is None:
            return None
        with source:
            content = source.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise MalformedError(f"spool: {name}: larger than {max_bytes} bytes")
        return content

    def open(self, name: str) -> BufferedReader | None:
        """Open a regular file for reading, `None` where there is none; refuses what `read` refuses."""
        try:
            with self._parent(name) as (folder, last):
                descriptor = os.open(last, _AS_FILE, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as exc:
            # ELOOP for a link, ENXIO for a socket.
            raise MalformedError(f"spool: {name}: not a regular file") from exc
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise MalformedError(f"spool: {name}: not a regular file")
        return os.fdopen(descriptor, "rb")

    def write(self, name: str, content: bytes) -> None:
        """Write a file for the enclave: under a temporary name, then renamed."""
        self.write_from(name, lambda file: file.write(content))

    def write_from(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Write a file whose content `fill` puts into the file object it is given."""
        with self._parent(name) as (folder, last):
            # A name that nobody inside could have taken before.
            temporary = f"{last}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
            with os.fdopen(os.open(temporary, _AS_NEW, _FILE_MODE, dir_fd=folder), "wb") as file:
                fill(file)
            os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)

    def ask_to_end(self, content: bytes) -> None:
        """Write `end`, unless it is there: the first word counts."""
        if not self.has(END):
            self.write(END, content)

    def written_bytes(self) -> int | None:
        """Count what the enclave wrote, sparse files in full; `None` for more names or folders than it has.

        Raises `FileNotFoundError` where the spool is gone.
        """
        folder = os.open(self._folder, _AS_FOLDER)
        try:
            return _count(folder, depth=0, left=[_MAX_NAMES])
        except _TooMuchError:
            return None
        finally:
            os.close(folder)

    @contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """Open the folder of `name`, part by part; refuses a part that is a link or a file."""
        *parents, last = name.split("/")
        folder = os.open(self._folder, _AS_FOLDER)
        try:
            for part in parents:
                inner = self._enter(folder, part, name)
                os.close(folder)
                folder = inner
            yield folder, last
        finally:
            os.close(folder)

    def _enter(self, folder: int, part: str, name: str) -> int:
        try:
            return os.open(part, _AS_FOLDER, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise MalformedError(f"spool: {name}: {part} is not a folder") from exc


class _TooMuchError(Exception):
    """There is more in a spool than is worth counting."""


def _count(folder: int, *, depth: int, left: list[int]) -> int:
    """Count the bytes below an open folder, following no link; `left` is how many names may still come."""
    if depth > _MAX_DEPTH:
        raise _TooMuchError
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            left[0] -= 1
            if left[0] < 0:
                raise _TooMuchError
            if depth == 0 and entry.name in _WRITTEN_BY_HOST:
                continue
            total += _size_of(folder, entry, depth=depth, left=left)
    return total


def _size_of(folder: int, entry: os.DirEntry[str], *, depth: int, left: list[int]) -> int:
    try:
        found = entry.stat(follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            return found.st_size
        inner = os.open(entry.name, _AS_FOLDER, dir_fd=folder)
    except PermissionError as exc:
        # A folder that the program closed could hold anything.
        raise _TooMuchError from exc
    except OSError:
        # Renamed, removed or replaced between two looks: the next one counts.
        return 0
    try:
        return _count(inner, depth=depth + 1, left=left)
    finally:
        os.close(inner)
