"""A participant's own files, sealed and opened at home with the data keys that the home folder has.

What is sealed here as an input or as code is the very container that `send` would make. Containers cost
constant memory; the whole-file form costs the file's size. Must never: make a key for a computation that this
home does not know. Spec: docs/spec/container.md, docs/spec/whole-file.md.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from sealroom.client.file_sealing import Opened, Sealed, Tell, open_between, seal_between
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import STREAM_BYTES
from sealroom.core.compat.whole_file import OVERHEAD, open_in_place, seal_in_place
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.participants import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFiles:
    """The files of one participant in one role of one computation, which this home has joined."""

    folder: ComputationFolder
    role: Role
    public_key: bytes

    def seal(self, source: IO[bytes], sink: IO[bytes], *, name: str, tell: Tell | None = None) -> Sealed:
        """Seal `source` into a container that opens under `name`; raises as `seal_between` does."""
        context = self.context(name)
        with self._key() as key:
            return seal_between(source, sink, key=key, context=context, tell=tell)

    def open(self, source: IO[bytes], sink: IO[bytes], *, name: str, tell: Tell | None = None) -> Opened:
        """Open a container that was sealed under `name`; raises as `open_between` does."""
        context = self.context(name)
        with self._key() as key:
            return open_between(source, sink, key=key, context=context, tell=tell)

    def seal_whole(self, source: IO[bytes], sink: IO[bytes], *, tell: Tell | None = None) -> Sealed:
        """Seal `source` in one piece, as the published client does; takes its size of memory."""
        buffer = _read_all(source, room=OVERHEAD)
        with self._key() as key:
            seal_in_place(buffer, key=key)
        _write_all(sink, memoryview(buffer), tell)
        return Sealed(plain_size=len(buffer) - OVERHEAD)

    def open_whole(self, source: IO[bytes], sink: IO[bytes], *, tell: Tell | None = None) -> Opened:
        """Open what was sealed in one piece; nothing is written unless all of it is authentic.

        Takes the file's size of memory. Raises `MalformedError` or `VerificationError` for what does not
        open.
        """
        buffer = _read_all(source, room=0)
        with self._key() as key:
            plain = open_in_place(buffer, key=key)
        _write_all(sink, plain, tell)
        return Opened(size=len(plain))

    def context(self, name: str) -> Context:
        """Return what a container of this participant is bound to; raises `MalformedError` for a bad name.

        Raises `ValueError` for a Result Consumer: results are sealed by the enclave.
        """
        computation = self.folder.computation
        match self.role:
            case Role.DATA_PROVIDER:
                return Context.input(computation=computation, owner_pk=self.public_key, name=name)
            case Role.CODE_PROVIDER:
                return Context.code(computation=computation, owner_pk=self.public_key, path=name)
            case Role.RESULT_CONSUMER:
                raise ValueError("own files: a result consumer has no containers of its own")

    @contextmanager
    def _key(self) -> Iterator[DataKey]:
        self.folder.load()
        key = self.folder.data_key(self.role)
        try:
            yield key
        finally:
            key.wipe()


def _read_all(source: IO[bytes], *, room: int) -> bytearray:
    """Read `source` to its end behind `room` empty bytes; a regular file's buffer is made once."""
    buffer = bytearray(room)
    readinto: Callable[[memoryview], int] = source.readinto  # type: ignore[attr-defined]
    expected = _regular_size(source)
    if expected:
        buffer = bytearray(room + expected)
        done = room
        while done < len(buffer) and (got := readinto(memoryview(buffer)[done:])):
            done += got
        del buffer[done:]
    while piece := source.read(STREAM_BYTES):
        buffer += piece
    return buffer


def _regular_size(source: IO[bytes]) -> int:
    try:
        found = os.fstat(source.fileno())
    except (OSError, ValueError):
        return 0
    return max(0, found.st_size - source.tell()) if stat.S_ISREG(found.st_mode) else 0


def _write_all(sink: IO[bytes], content: memoryview, tell: Tell | None) -> None:
    for start in range(0, len(content), STREAM_BYTES):
        piece = content[start : start + STREAM_BYTES]
        done = 0
        while done < len(piece):
            done += sink.write(piece[done:])
        if tell:
            tell(start + len(piece), len(content))
