"""Sealing and opening between two regular files, on all processors, in constant memory.

Each lane reads a batch of chunks at its place, works on it where it lies and writes it at its place.
Descriptors are the caller's: this module opens nothing and moves no position. Must never: take a source whose
length changed on the way for a whole one. Spec: docs/spec/container.md.
"""

import errno
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sealroom.client.lanes import DigestInOrder, processors, share
from sealroom.core.errors import VerificationError
from sealroom.core.sealing.chunks import TAG_SIZE, ChunkCipher, Layout
from sealroom.core.sealing.container_streams import sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import HEADER_SIZE, Header, new_header, unlock
from sealroom.core.sealing.secret import Secret32

SUPPORTED = sys.platform == "linux"
"""Whether this system reads and writes several buffers at a place; others use `container_streams`."""

_ELSEWHERE = "container files: this system cannot read and write at a place"
_BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is done on the way: digests, each taken in order, and telling how far it is.

    `tell` gets the bytes of plaintext done and in all, now and then, in the caller's thread.
    """

    plain: DigestInOrder | None = None
    sealed: DigestInOrder | None = None
    tell: Callable[[int, int], None] | None = None
    lanes: int = field(default_factory=processors)


def seal_file(source: int, sink: int, *, key: Secret32, context: Context, extras: Extras) -> int:
    """Seal the file behind the descriptor `source` into that behind `sink`, and return the plain length.

    Raises `VerificationError` when the source became shorter or longer on the way, and `OSError` as reading
    and writing do; `sink` then holds no container.
    """
    size = os.fstat(source).st_size
    header, subkey = new_header(key, context)
    layout = Layout.of(sealed_size(size), chunk_log2=header.chunk_log2)
    try:
        _reserve(sink, sealed_size(size))
        _write(sink, [memoryview(header.to_bytes())], 0)
        _Sealing(source, sink, header=header, layout=layout, cipher=ChunkCipher(subkey), extras=extras).run()
    finally:
        subkey.wipe()
    if os.fstat(source).st_size != size:
        raise VerificationError("source: became longer while it was sealed")
    return size


def open_file(source: int, sink: int, *, key: Secret32, context: Context, extras: Extras) -> int:
    """Open the container behind the descriptor `source` into `sink`, and return the plaintext's length.

    The last chunk is authenticated before anything is written, every other before it is written. Raises
    `MalformedError` or `VerificationError` for anything that does not open; what stands in `sink` then is
    authentic, in places, and no whole. `OSError` as reading and writing do.
    """
    size = os.fstat(source).st_size
    raw = memoryview(bytearray(min(size, HEADER_SIZE)))
    _read(source, [raw], 0)
    header = Header.from_bytes(bytes(raw))
    layout = Layout.of(size, chunk_log2=header.chunk_log2)
    cipher = ChunkCipher(unlock(header, key=key, context=context))
    try:
        opening = _Opening(source, sink, header=header, layout=layout, cipher=cipher, extras=extras)
        opening.check_last()
        _reserve(sink, layout.plain_size)
        opening.run()
    finally:
        cipher.wipe()
    return layout.plain_size


class _Work(ABC):
    """One container between two files, cut into batches of chunks."""

    def __init__(
        self, source: int, sink: int, *, header: Header, layout: Layout, cipher: ChunkCipher, extras: Extras
    ) -> None:
        self._source = source
        self._sink = sink
        self._header = memoryview(header.to_bytes())
        self._layout = layout
        self._cipher = cipher
        self._extras = extras
        self._in_batch = max(1, _BATCH_BYTES // layout.chunk_size)

    def run(self) -> None:
        """Share the batches among the lanes."""
        extras = self._extras
        share(
            -(-self._layout.count // self._in_batch),
            self._lane,
            lanes=extras.lanes,
            tell=self._told(extras.tell) if extras.tell else None,
            waits=tuple(digest for digest in (extras.plain, extras.sealed) if digest is not None),
        )
        if extras.tell:
            extras.tell(self._layout.plain_size, self._layout.plain_size)

    def _lane(self, numbers: Iterator[int]) -> None:
        chunks = min(self._in_batch, self._layout.count)
        buffer = memoryview(bytearray(chunks * self._layout.sealed_size_of(0)))
        for number in numbers:
            self._batch(_Batch.of(self._layout, number, self._in_batch, buffer))

    @abstractmethod
    def _batch(self, batch: "_Batch") -> None:
        """Seal or open one piece."""

    def _hash_plain(self, batch: "_Batch") -> None:
        if self._extras.plain is not None:
            self._extras.plain.update(batch.number, *batch.plain)

    def _hash_sealed(self, batch: "_Batch") -> None:
        if self._extras.sealed is not None:
            start = (self._header,) if batch.number == 0 else ()
            self._extras.sealed.update(batch.number, *start, batch.whole)

    def _told(self, tell: Callable[[int, int], None]) -> Callable[[int], None]:
        total, step = self._layout.plain_size, self._in_batch * self._layout.chunk_size
        return lambda done: tell(min(done * step, total), total)


class _Sealing(_Work):
    def _batch(self, batch: "_Batch") -> None:
        _read(self._source, batch.plain, batch.plain_offset)
        self._hash_plain(batch)
        for index, sealed, plain in batch.chunks():
            self._cipher.seal(plain, sealed, index=index, final=index == self._layout.count - 1)
        self._hash_sealed(batch)
        _write(self._sink, [batch.whole], batch.sealed_offset)


class _Opening(_Work):
    def check_last(self) -> None:
        """Authenticate the last chunk alone, as every reader that can seek does first."""
        last = self._layout.count - 1
        sealed = memoryview(bytearray(self._layout.sealed_size_of(last)))
        _read(self._source, [sealed], self._layout.offset_of(last))
        self._cipher.open(sealed, sealed[TAG_SIZE:], index=last, final=True)

    def _batch(self, batch: "_Batch") -> None:
        _read(self._source, [batch.whole], batch.sealed_offset)
        self._hash_sealed(batch)
        for index, sealed, plain in batch.chunks():
            self._cipher.open(sealed, plain, index=index, final=index == self._layout.count - 1)
        self._hash_plain(batch)
        _write(self._sink, batch.plain, batch.plain_offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Some chunks that follow each other, in one buffer as they lie in the container."""

    number: int
    first: int
    whole: memoryview
    sealed: Sequence[memoryview]
    plain: Sequence[memoryview]
    plain_offset: int
    sealed_offset: int

    @classmethod
    def of(cls, layout: Layout, number: int, in_batch: int, buffer: memoryview) -> "_Batch":
        first = number * in_batch
        sealed, end = [], 0
        for index in range(first, min(first + in_batch, layout.count)):
            start, end = end, end + layout.sealed_size_of(index)
            sealed.append(buffer[start:end])
        return cls(
            number=number,
            first=first,
            whole=buffer[:end],
            sealed=sealed,
            plain=[chunk[TAG_SIZE:] for chunk in sealed],
            plain_offset=first * layout.chunk_size,
            sealed_offset=layout.offset_of(first),
        )

    def chunks(self) -> Iterator[tuple[int, memoryview, memoryview]]:
        """Give each chunk's number in the container, its sealed and its plain place."""
        return zip(range(self.first, self.first + len(self.sealed)), self.sealed, self.plain, strict=True)


def _behind(buffers: Sequence[memoryview], done: int) -> Sequence[memoryview]:
    """Return what is left of `buffers` after `done` bytes of them."""
    for number, buffer in enumerate(buffers):
        if done < len(buffer):
            return [buffer[done:], *buffers[number + 1 :]]
        done -= len(buffer)
    return []


if sys.platform == "linux":

    def _reserve(descriptor: int, size: int) -> None:
        """Have the disk set the room aside: quicker to write to, and a full disk says so before the work.

        Raises `OSError` when there is not so much room; what cannot reserve is written to as it is.
        """
        try:
            if size:
                os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise

    def _read(descriptor: int, buffers: Sequence[memoryview], offset: int) -> None:
        """Fill `buffers` from `offset` on; raises `VerificationError` when the file ends before."""
        while buffers:
            got = os.preadv(descriptor, buffers, offset)
            if not got and any(buffers):
                raise VerificationError("source: became shorter while it was read")
            buffers, offset = _behind(buffers, got), offset + got

    def _write(descriptor: int, buffers: Sequence[memoryview], offset: int) -> None:
        """Write all of `buffers` from `offset` on, also where the system takes less at a time."""
        while buffers:
            put = os.pwritev(descriptor, buffers, offset)
            buffers, offset = _behind(buffers, put), offset + put

else:

    def _elsewhere(*_: object) -> None:
        raise RuntimeError(_ELSEWHERE)

    _reserve = _read = _write = _elsewhere
