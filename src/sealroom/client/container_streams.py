"""Sealing and opening between streams, in order, on all processors, in constant memory.

Pipes and file objects are read and written by the caller's thread alone, so that an interruption reaches it
there; helpers only seal and open what lies in memory. Must never: write a byte before its chunk is authentic,
or end without an error on a stream that was cut. Spec: docs/spec/container.md, "Reading".
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sealroom.client.lanes import processors
from sealroom.core.errors import MalformedError
from sealroom.core.sealing.chunks import TAG_SIZE, ChunkCipher, Readable, Writable, read_up_to, write_all
from sealroom.core.sealing.container_streams import read_header
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import new_header, unlock
from sealroom.core.sealing.secret import Secret32

_BATCH_BYTES = 1 << 20

Tell = Callable[[int], None]
"""Called with the plaintext bytes that were written so far."""


def seal_pipe(
    source: Readable, sink: Writable, *, key: Secret32, context: Context, tell: Tell | None = None
) -> int:
    """Seal everything that `source` gives into `sink`, and return how many bytes were sealed."""
    header, subkey = new_header(key, context)
    try:
        write_all(sink, memoryview(header.to_bytes()))
        return _Sealing(source, sink, ChunkCipher(subkey), 1 << header.chunk_log2).run(tell)
    finally:
        subkey.wipe()


def open_pipe(
    source: Readable, sink: Writable, *, key: Secret32, context: Context, tell: Tell | None = None
) -> int:
    """Open a container in order, and return how many bytes were written.

    What was written before an error is authentic, and may be the beginning only. Raises as `open_stream`
    does.
    """
    header = read_header(source)
    subkey = unlock(header, key=key, context=context)
    try:
        return _Opening(source, sink, ChunkCipher(subkey), 1 << header.chunk_log2).run(tell)
    finally:
        subkey.wipe()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Some chunks that follow each other, as they lie in the container; `last`: nothing follows them."""

    first: int
    buffer: memoryview
    length: int
    last: bool


class _Work(ABC):
    """One container from a stream to a stream, batch by batch."""

    def __init__(self, source: Readable, sink: Writable, cipher: ChunkCipher, chunk_size: int) -> None:
        self._source = source
        self._sink = sink
        self._cipher = cipher
        self._step = chunk_size + TAG_SIZE
        self._in_batch = max(1, _BATCH_BYTES // chunk_size)
        self._free: list[memoryview] = []
        self._written = 0

    def run(self, tell: Tell | None) -> int:
        """Read, work and write, with as many batches under way as there are helpers, and one more."""
        helpers = processors()
        under_way: deque[Future[_Batch]] = deque()
        with ThreadPoolExecutor(helpers, thread_name_prefix="sealroom-helper") as pool:
            for batch in self._batches():
                under_way.append(pool.submit(self._worked, batch))
                if len(under_way) > helpers:
                    self._finish(under_way.popleft().result(), tell)
            while under_way:
                self._finish(under_way.popleft().result(), tell)
        return self._written

    def _batches(self) -> Iterator[_Batch]:
        """Read batch after batch, one ahead: only what follows tells whether a chunk is the last."""
        first, whole = 0, self._in_batch * self._step
        buffer = self._buffer()
        length = self._fill(buffer)
        while length == whole:
            ahead = self._buffer()
            following = self._fill(ahead)
            yield _Batch(first=first, buffer=buffer, length=length, last=following == 0)
            if following == 0:
                return
            first, buffer, length = first + self._in_batch, ahead, following
        yield _Batch(first=first, buffer=buffer, length=length, last=True)

    def _finish(self, batch: _Batch, tell: Tell | None) -> None:
        self._written += self._write(batch)
        self._free.append(batch.buffer)
        if tell:
            tell(self._written)

    def _buffer(self) -> memoryview:
        return self._free.pop() if self._free else memoryview(bytearray(self._in_batch * self._step))

    def _chunks(self, batch: _Batch) -> list[memoryview]:
        return [
            batch.buffer[start : min(start + self._step, batch.length)]
            for start in range(0, batch.length, self._step)
        ]

    def _worked(self, batch: _Batch) -> _Batch:
        chunks = self._chunks(batch)
        for place, chunk in enumerate(chunks):
            self._work(chunk, batch.first + place, final=batch.last and place == len(chunks) - 1)
        return batch

    @abstractmethod
    def _fill(self, buffer: memoryview) -> int:
        """Read into `buffer`, and return how much of it the chunks then take."""

    @abstractmethod
    def _work(self, chunk: memoryview, index: int, *, final: bool) -> None:
        """Seal or open one piece."""

    @abstractmethod
    def _write(self, batch: _Batch) -> int:
        """Write what came of a batch, and return how many bytes of plaintext it has."""


class _Sealing(_Work):
    def _fill(self, buffer: memoryview) -> int:
        length = 0
        for start in range(0, len(buffer), self._step):
            got = read_up_to(self._source, buffer[start + TAG_SIZE : start + self._step])
            if not got:
                break
            length += got + TAG_SIZE
            if got < self._step - TAG_SIZE:
                break
        return length

    def _batches(self) -> Iterator[_Batch]:
        for batch in super()._batches():
            # An empty plaintext is one empty chunk.
            yield batch if batch.length else _Batch(first=0, buffer=batch.buffer, length=TAG_SIZE, last=True)

    def _work(self, chunk: memoryview, index: int, *, final: bool) -> None:
        self._cipher.seal(chunk[TAG_SIZE:], chunk, index=index, final=final)

    def _write(self, batch: _Batch) -> int:
        write_all(self._sink, batch.buffer[: batch.length])
        return batch.length - TAG_SIZE * len(self._chunks(batch))


class _Opening(_Work):
    def _fill(self, buffer: memoryview) -> int:
        return read_up_to(self._source, buffer)

    def _worked(self, batch: _Batch) -> _Batch:
        if not batch.length:
            raise MalformedError(f"container chunk {batch.first}: cut off")
        return super()._worked(batch)

    def _work(self, chunk: memoryview, index: int, *, final: bool) -> None:
        if len(chunk) < TAG_SIZE or (len(chunk) == TAG_SIZE and index > 0):
            raise MalformedError(f"container chunk {index}: cut off")
        self._cipher.open(chunk, chunk[TAG_SIZE:], index=index, final=final)

    def _write(self, batch: _Batch) -> int:
        plain = [chunk[TAG_SIZE:] for chunk in self._chunks(batch)]
        for chunk in plain:
            write_all(self._sink, chunk)
        return sum(map(len, plain))
