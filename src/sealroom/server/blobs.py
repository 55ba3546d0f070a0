"""Sealed files of any size in a folder: written under a temporary name, flushed to disk, then renamed.

A blob exists whole or not at all, is never changed, and costs the same memory whatever its size. Its name is
random and made here; no name from a message ever reaches the file system.
"""

import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_NAME = re.compile(r"[0-9a-f]{32}")
CHUNK = 1 << 20


class BlobBusyError(Exception):
    """Another request is writing to this partial blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A stored file: its name in the store, its size and the SHA-256 of its bytes."""

    name: str
    size: int
    sha256: bytes


def new_name() -> str:
    """Return a name that no other blob has."""
    return uuid.uuid4().hex


class BlobWriter:
    """A new blob being written, in a `with` block: it leaves nothing behind unless `commit` was called."""

    def __init__(self, store: "BlobStore", name: str) -> None:
        self._store = store
        self._name = name
        self._digest = hashlib.sha256()
        self._path = store.partial_path(name)
        self._file: BinaryIO = self._path.open("xb")

    @property
    def size(self) -> int:
        """Bytes written up to here."""
        return self._file.tell()

    def write(self, chunk: bytes) -> None:
        """Append `chunk`."""
        self._digest.update(chunk)
        self._file.write(chunk)

    def commit(self) -> Blob:
        """Flush to disk and give the blob its name."""
        size = self._file.tell()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._store.publish(self._name)
        return Blob(name=self._name, size=size, sha256=self._digest.digest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class BlobStore:
    """The folder: `partial/` for what is being written, and one level of folders for what is whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial = folder / "partial"
        self._partial.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self) -> BlobWriter:
        """Begin a new blob."""
        return BlobWriter(self, new_name())

    def put(self, content: bytes) -> Blob:
        """Store `content` whole."""
        with self.create() as writer:
            writer.write(content)
            return writer.commit()

    def open(self, name: str) -> BinaryIO:
        """Open a whole blob for reading."""
        return self._path(name).open("rb")

    def read(self, name: str) -> bytes:
        """Read a whole blob that is known to be small."""
        return self._path(name).read_bytes()

    def exists(self, name: str) -> bool:
        """Say whether the blob is there, whole."""
        return self._path(name).exists()

    def delete(self, name: str) -> None:
        """Remove a blob, whole or partial."""
        self._path(name).unlink(missing_ok=True)
        self.partial_path(name).unlink(missing_ok=True)

    def copy_to(self, name: str, target: Path) -> None:
        """Copy a blob to `target` under a temporary name, then rename."""
        temporary = target.with_name(target.name + ".tmp")
        with self.open(name) as source, temporary.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK)
        temporary.replace(target)

    # Uploads: a partial blob under a name that its owner knows, continued at its end.

    def partial_size(self, name: str) -> int:
        """Say how many bytes of a blob are here: where to continue."""
        for path in (self.partial_path(name), self._path(name)):
            with suppress(FileNotFoundError):
                return path.stat().st_size
        return 0

    @contextmanager
    def continue_partial(self, name: str) -> Iterator[BinaryIO]:
        """Open a partial blob for appending, alone; raises `BlobBusyError` when another request has it."""
        with self.partial_path(name).open("ab") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise BlobBusyError(name) from exc
            yield file

    def flush(self, file: BinaryIO) -> None:
        """Bring what was written to a partial blob to the disk."""
        file.flush()
        os.fsync(file.fileno())

    def digest_partial(self, name: str) -> bytes:
        """Hash what is there of a partial blob, or of one that was renamed just before a crash."""
        path = self.partial_path(name)
        with (path if path.exists() else self._path(name)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def publish(self, name: str) -> None:
        """Turn a partial blob into a whole one; nothing happens when it already is."""
        path = self._path(name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if self.partial_path(name).exists():
            self.partial_path(name).replace(path)
            _sync_folder(path.parent)

    def sweep(self, known: set[str]) -> int:
        """Remove what no row speaks of: left by a crash between writing a blob and committing its row."""
        removed = 0
        for path in self._folder.glob("*/*"):
            if path.name not in known:
                path.unlink()
                removed += 1
        return removed

    def partial_path(self, name: str) -> Path:
        """Where the blob is while it is being written."""
        return self._partial / _checked(name)

    def _path(self, name: str) -> Path:
        return self._folder / _checked(name)[:2] / name


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("blob name: expected 32 lower case hex digits")
    return name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
