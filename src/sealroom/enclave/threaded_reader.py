"""One open input that several threads read at once, each where it wants to.

DuckDB moves and reads one Python file from all its threads, without a lock: with an ordinary file another
thread's `seek` comes in between, and the query's answer is wrong without a word. Here a thread reads where
that thread moved to. Spec: docs/spec/enclave-session.md, "Inputs".
"""

from __future__ import annotations

import io
import threading
import weakref

from sealroom.enclave.inputs import Input, InputReader


class ThreadedReader(io.BufferedIOBase):
    """Reads `file`. After a `seek` the next `read` of the same thread is there, whatever others do meanwhile.

    A read that no `seek` of its thread came before goes on where the last one of any thread ended, as with
    an ordinary file that is handed from thread to thread.
    """

    def __init__(self, file: Input) -> None:
        super().__init__()
        self._file = file
        self._place = 0
        # Each read without a `seek` begins a new count: places that were moved to before it are outdated.
        self._round = 0
        self._lock = threading.Lock()
        self._own = threading.local()
        self._readers: weakref.WeakSet[InputReader] = weakref.WeakSet()
        self._reader()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any place can be read."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the next read of this thread, and of any thread that does not move."""
        with self._lock:
            bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._place_now(), io.SEEK_END: self._file.size}
            if whence not in bases or bases[whence] + offset < 0:
                raise ValueError("seek: expected a place at or after the start")
            self._place = bases[whence] + offset
            self._own.moved = (self._round, self._place)
            return self._place

    def tell(self) -> int:
        """Give the place of the next octet that this thread reads."""
        with self._lock:
            return self._place_now()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` octets, less only at the end; raises `InputError` as the reader below."""
        reader = self._reader()
        with self._lock:
            place = self._moved()
            if place is None:
                self._round += 1
                return self._read_on(reader, size)
        # Outside the lock: threads decrypt at the same time.
        reader.seek(place)
        content = reader.read(size)
        with self._lock:
            self._own.moved = None
            self._place = place + len(content)
        return content

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to `size` octets; what is there is there at once."""
        return self.read(io.DEFAULT_BUFFER_SIZE if size < 0 else size)

    def close(self) -> None:
        """Close the readers of all threads."""
        if not self.closed:
            for reader in list(getattr(self, "_readers", ())):
                reader.close()
        super().close()

    def _read_on(self, reader: InputReader, size: int | None) -> bytes:
        reader.seek(self._place)
        content = reader.read(size)
        self._place += len(content)
        return content

    def _place_now(self) -> int:
        moved = self._moved()
        return self._place if moved is None else moved

    def _moved(self) -> int | None:
        """Return where this thread moved to and has not read yet."""
        moved: tuple[int, int] | None = getattr(self._own, "moved", None)
        return moved[1] if moved is not None and moved[0] == self._round else None

    def _reader(self) -> InputReader:
        """Return this thread's reader, which has a chunk of its own at hand."""
        if self.closed:
            raise ValueError("I/O operation on closed input")
        reader: InputReader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = self._file.open()
            with self._lock:
                self._readers.add(reader)
        return reader
