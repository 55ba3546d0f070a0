"""The inputs as a program sees them: by provider and name, each a seekable stream of its plaintext.

Chunks are opened when they are read, so an input of any size costs a few chunks of memory, and a library that
reads parts of a file has only those parts decrypted. Must never show a file of the host's under another
provider or name than it was committed to, nor write a plaintext anywhere.
Spec: docs/spec/enclave-session.md, "Inputs".
"""

from __future__ import annotations

import errno
import io
import threading
from typing import cast

from sealroom.core.errors import SealroomError
from sealroom.enclave.committed_inputs import CommittedInput


class InputError(OSError):
    """The host changed or removed an input after it was checked: nothing of it is served from there on."""


class Input:
    """One file of one Data Provider. `provider` counts from 0 in the order of the measured arguments."""

    __slots__ = ("_committed", "_count", "name", "provider", "size")

    def __init__(self, committed: CommittedInput) -> None:
        self._committed = committed
        self._count = _Count()
        self.provider = committed.record.provider
        self.name = committed.record.name
        self.size = committed.file.plain_size

    @property
    def chunks_read(self) -> int:
        """How many chunks were decrypted so far, for all readers of this input together."""
        return self._count.value

    def open(self) -> InputReader:
        """Open the plaintext for reading at any place; each reader has a place of its own.

        Raises `InputError`, now or while reading, when the host changed the file.
        """
        return InputReader(_Plaintext(self._committed, self._count))

    def read(self) -> bytes:
        """Return the whole plaintext, which costs its size in memory, once."""
        return self.read_to_memory().getvalue()

    def read_to_memory(self) -> io.BytesIO:
        """Return the whole plaintext as a file in memory; its octets stand there once."""
        with _Plaintext(self._committed, self._count) as plaintext:
            return plaintext.read_to_memory()

    def __repr__(self) -> str:
        return f"<Input {self.name!r} of provider {self.provider}, {self.size} bytes>"


class InputReader(io.BufferedReader):
    """A buffered binary reader of an input, for whatever reads files: `csv`, pandas, pyarrow, DuckDB.

    Each call is atomic, so several threads may read; threads that seek need a reader each. Closing it, or
    its end, wipes the key that it read with.
    """

    @property
    def chunks_read(self) -> int:
        """How many chunks were decrypted for this reader, the last one at its start among them."""
        return cast("_Plaintext", self.raw).chunks_read


class _Plaintext(io.RawIOBase):
    """The unbuffered stream: it counts, and turns what the host did into the error that libraries expect."""

    def __init__(self, committed: CommittedInput, count: _Count) -> None:
        super().__init__()
        self._record = committed.record
        self._size = committed.file.plain_size
        self._count = count
        self.chunks_read = 0
        try:
            self._file = committed.file.open()
        except SealroomError as exc:
            raise self._failed(exc) from exc
        self._note_chunks()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check_open()
        return self._file.seek(offset, whence)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._check_open()
        try:
            return self._file.readinto(memoryview(buffer))
        except SealroomError as exc:
            raise self._failed(exc) from exc
        finally:
            self._note_chunks()

    def readall(self) -> bytes:
        """Return the rest; the method of the base class would read it in pieces of 8 KiB."""
        return self.read_to_memory().getvalue()

    def read_to_memory(self) -> io.BytesIO:
        """Return the rest in a buffer that is made once, of exactly that size."""
        size, whole = max(0, self._size - self.tell()), io.BytesIO()
        if size:
            whole.seek(size - 1)
            whole.write(b"\0")
            buffer = whole.getbuffer()
            done = 0
            while done < size:
                done += self.readinto(buffer[done:])
            buffer.release()
            whole.seek(0)
        return whole

    def close(self) -> None:
        """Wipe the key that this stream read with."""
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _failed(self, reason: SealroomError) -> InputError:
        words = f"input {self._record.name!r} of data provider {self._record.provider}"
        return InputError(errno.EIO, f"{words}: the host changed it after it was checked ({reason})")

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed input")

    def _note_chunks(self) -> None:
        self._count.add(self._file.chunks_read - self.chunks_read)
        self.chunks_read = self._file.chunks_read


class _Count:
    """A number that several threads add to."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self.value += number
