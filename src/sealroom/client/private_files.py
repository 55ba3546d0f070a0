"""Files that only their owner may read, and that are either whole or not there.

Must never: leave a half-written file under its final name, create a secret with a wider mode and narrow it
afterwards, or follow a link that somebody put in its place.
Spec: docs/spec/contacts.md, docs/spec/journal.md.
"""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sealroom.core.errors import MalformedError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_DESCRIPTORS = Path("/proc/self/fd")
# Of a pipe that somebody put there, opening waits for nobody.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def make_private_folder(path: Path) -> None:
    """Create `path` and its missing parents, the last one readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends without an error.

    The content is flushed to the disk before the rename, and the folder after it.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with naming(path):
        descriptor = os.open(temporary, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with naming(path):
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    flush_folder(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise `OSError`s of the block about `path`, whichever temporary file the system complained of."""
    try:
        yield
    except OSError as failure:
        raise OSError(failure.errno, failure.strerror, str(path)) from failure


@contextmanager
def placing(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Open a new file that gets the name `path` when the block ends without an error, and replaces none.

    Until then it has no name at all where the system allows that, so a process that is killed leaves nothing
    of it. Raises `FileExistsError` when something has the name by then, and `OSError` for a folder that is
    not there. The content is flushed to the disk before it gets its name, and the folder after it.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    descriptor = _unnamed(path.parent, mode)
    if descriptor is None:
        with replacing(path, mode=mode) as file:
            yield file
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        return
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        _give_name(file.fileno(), path)
    flush_folder(path.parent)


def _unnamed(folder: Path, mode: int) -> int | None:
    """Make a file without a name in `folder`; `None` where the system or the file system has none."""
    if sys.platform == "linux" and _DESCRIPTORS.is_dir():
        with suppress(OSError):
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY, mode)
    return None


def _give_name(descriptor: int, path: Path) -> None:
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        # By a folder's descriptor: the call that takes none would link to the link below /proc.
        os.link(_DESCRIPTORS / str(descriptor), path.name, dst_dir_fd=parent, follow_symlinks=True)
    except FileExistsError as there:
        raise FileExistsError(there.errno, there.strerror, str(path)) from there
    finally:
        os.close(parent)


def write_private(path: Path, content: bytes) -> None:
    """Write `content` to `path`, mode 0600, whole or not at all."""
    with replacing(path) as file:
        file.write(content)


def read_bounded(path: Path, *, max_bytes: int, what: str) -> bytes:
    """Read a whole file of at most `max_bytes`, or raise `MalformedError`; `FileNotFoundError` passes."""
    with open_regular(path, what=what) as file:
        try:
            content = file.read(max_bytes + 1)
        except OSError as error:
            raise MalformedError(f"{what}: cannot be read: {error.strerror}") from error
    if len(content) > max_bytes:
        raise MalformedError(f"{what}: larger than {max_bytes} bytes")
    return content


def open_regular(path: Path, *, what: str) -> BinaryIO:
    """Open a regular file, not through a link, for reading; `FileNotFoundError` passes.

    Raises `MalformedError` for anything else that has the name, and waits for nobody.
    """
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise MalformedError(f"{what}: cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise MalformedError(f"{what}: not a regular file")
    return os.fdopen(descriptor, "rb")


def flush_folder(path: Path) -> None:
    """Make renames inside `path` durable, where the system lets a folder be flushed."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
