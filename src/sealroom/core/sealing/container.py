"""The file container: any number of octets, sealed in chunks, in constant memory.

Sealing reads a stream and writes a stream. Opening either serves any place of a seekable source
(`ContainerReader`, which authenticates the last chunk before it serves anything) or follows a pipe in
order, where a missing last chunk is an error after what was written. No octet leaves before its chunk is
authenticated. Spec: docs/spec/container.md.
"""

from __future__ import annotations

import io
from typing import Protocol

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.chunks import (
    TAG_SIZE,
    ChunkCipher,
    Layout,
    Readable,
    Writable,
    read_up_to,
    write_all,
)
from sealroom.core.sealing.context import Context, Purpose
from sealroom.core.sealing.header import (
    DEFAULT_CHUNK_LOG2,
    HEADER_SIZE,
    Header,
    Subkey,
    accept_subkey,
    check_chunk_log2,
    new_header,
    reproducible_salt,
    unlock,
)
from sealroom.core.sealing.secret import Secret32

__all__ = [
    "DEFAULT_CHUNK_LOG2",
    "HEADER_SIZE",
    "TAG_SIZE",
    "ContainerReader",
    "Context",
    "Header",
    "Purpose",
    "Readable",
    "SeekableSource",
    "Subkey",
    "Writable",
    "accept_subkey",
    "open_bytes",
    "open_container",
    "open_stream",
    "read_header",
    "seal_bytes",
    "seal_bytes_reproducibly",
    "seal_stream",
    "sealed_size",
    "unlock",
]


class SeekableSource(Readable, Protocol):
    """What a container is read from at any place."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to `offset`."""


def sealed_size(plain_size: int, *, chunk_log2: int = DEFAULT_CHUNK_LOG2) -> int:
    """Give the length of the container of `plain_size` octets: known before anything is sealed."""
    check_chunk_log2(chunk_log2)
    if plain_size < 0:
        raise ValueError(f"plain size: expected at least 0, got {plain_size}")
    chunks = max(1, -(-plain_size >> chunk_log2)) if plain_size else 1
    return HEADER_SIZE + plain_size + chunks * TAG_SIZE


def seal_stream(
    source: Readable,
    sink: Writable,
    *,
    key: Secret32,
    context: Context,
    chunk_log2: int = DEFAULT_CHUNK_LOG2,
) -> int:
    """Seal everything that `source` gives into `sink`, and say how many octets were sealed.

    Memory is two chunks, whatever the length. The salt is fresh: two calls never give the same container.
    """
    header, subkey = new_header(key, context, chunk_log2=chunk_log2)
    return _seal_chunks(source, sink, header, subkey)


def seal_bytes(
    plaintext: bytes | bytearray | memoryview,
    *,
    key: Secret32,
    context: Context,
    chunk_log2: int = DEFAULT_CHUNK_LOG2,
) -> bytes:
    """Seal what is in memory already."""
    sink = io.BytesIO()
    seal_stream(io.BytesIO(plaintext), sink, key=key, context=context, chunk_log2=chunk_log2)
    return sink.getvalue()


def seal_bytes_reproducibly(
    plaintext: bytes, *, key: Secret32, context: Context, chunk_log2: int = DEFAULT_CHUNK_LOG2
) -> bytes:
    """Seal so that the same key, context and plaintext give the same container: for service packages.

    Whoever sees two such containers learns whether their plaintexts are equal, and nothing else.
    """
    salt = reproducible_salt(key, context, plaintext)
    header, subkey = new_header(key, context, chunk_log2=chunk_log2, salt=salt)
    sink = io.BytesIO()
    _seal_chunks(io.BytesIO(plaintext), sink, header, subkey)
    return sink.getvalue()


def read_header(source: Readable) -> Header:
    """Read the header from the start of a stream; raises `MalformedError`."""
    raw = bytearray(HEADER_SIZE)
    got = read_up_to(source, memoryview(raw))
    return Header.from_bytes(bytes(raw[:got]))


def open_stream(source: Readable, sink: Writable, *, key: Secret32, context: Context) -> int:
    """Open a container in order, from a pipe or a file, and say how many octets were written.

    What was written before an error was authenticated, and may be the beginning only: a container that was
    cut ends in `VerificationError`, and the caller must then fail too. Raises `MalformedError` for what is
    no container.
    """
    header = read_header(source)
    cipher = ChunkCipher(unlock(header, key=key, context=context))
    try:
        return _open_chunks(source, sink, cipher, 1 << header.chunk_log2)
    finally:
        cipher.wipe()


def open_bytes(container: bytes | bytearray | memoryview, *, key: Secret32, context: Context) -> bytes:
    """Open a container that is in memory already; nothing is given unless all of it is authentic."""
    with open_container(io.BytesIO(container), key=key, context=context) as reader:
        return reader.read()


def open_container(source: SeekableSource, *, key: Secret32, context: Context) -> ContainerReader:
    """Open a seekable container from its start; raises `MalformedError` or `VerificationError`."""
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    header = read_header(source)
    return ContainerReader(source, header=header, subkey=unlock(header, key=key, context=context), size=size)


class ContainerReader(io.RawIOBase):
    """A container's plaintext as a seekable raw stream; `io.BufferedReader` around it serves small reads.

    `header`, `subkey` and `size` are what was learned while the file was checked, and are never read again:
    when the file behind `source` is another by now, its chunks do not open. The last chunk is authenticated
    here, so a container that was cut or added to fails before anything is served. The reader owns the
    subkey and wipes it when closed; it does not close `source`. `chunks_read` counts the chunks that were
    opened, the last one at the start among them. Raises `MalformedError` for an impossible size,
    `VerificationError` for anything that does not open.
    """

    def __init__(self, source: SeekableSource, *, header: Header, subkey: Subkey, size: int) -> None:
        super().__init__()
        self._source = source
        self._cipher = ChunkCipher(subkey)
        self._layout = Layout.of(size, chunk_log2=header.chunk_log2)
        buffer_size = self._layout.sealed_size_of(0)
        self._sealed = _buffer(buffer_size)
        self._plain = self._sealed[TAG_SIZE:]
        self._loaded: int | None = None
        self._position = 0
        self.chunks_read = 0
        self._load(self._layout.count - 1)

    @property
    def plain_size(self) -> int:
        """The length of the plaintext."""
        return self._layout.plain_size

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any place can be read."""
        return True

    def tell(self) -> int:
        """Give the place of the next octet read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place in the plaintext; beyond the end is allowed, and reads as the end."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._layout.plain_size}
        if whence not in bases or bases[whence] + offset < 0:
            raise ValueError("seek: expected a place at or after the start")
        self._position = bases[whence] + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer` with what one chunk has from here on; 0 is the end."""
        if self.closed:
            raise ValueError("I/O operation on closed container")
        target = memoryview(buffer).cast("B")
        if self._position >= self._layout.plain_size or not target:
            return 0
        index, start = divmod(self._position, self._layout.chunk_size)
        size = self._layout.sealed_size_of(index) - TAG_SIZE
        end = min(size, start + len(target))
        if index != self._loaded and end - start == size:
            # All of it is wanted: no copy on the way.
            self._open(index, into=target[:size])
        else:
            if index != self._loaded:
                self._load(index)
            target[: end - start] = self._plain[start:end]
        self._position += end - start
        return end - start

    def close(self) -> None:
        """Wipe the subkey; the source stays open."""
        if not self.closed and hasattr(self, "_cipher"):
            self._cipher.wipe()
        super().close()

    def _load(self, index: int) -> None:
        """Read and authenticate one chunk in the reader's own buffer."""
        self._open(index, into=self._plain[: self._layout.sealed_size_of(index) - TAG_SIZE])
        self._loaded = index

    def _open(self, index: int, *, into: memoryview) -> None:
        size = self._layout.sealed_size_of(index)
        # What was loaded is overwritten from here on, whatever comes.
        self._loaded = None
        self._source.seek(self._layout.offset_of(index))
        if read_up_to(self._source, self._sealed[:size]) != size:
            raise VerificationError(f"container chunk {index}: the file is shorter than when it was checked")
        self._cipher.open(self._sealed[:size], into, index=index, final=index == self._layout.count - 1)
        self.chunks_read += 1


def _seal_chunks(source: Readable, sink: Writable, header: Header, subkey: Subkey) -> int:
    """Write header and chunks; one chunk is read ahead, since the last one is sealed as the last."""
    size = 1 << header.chunk_log2
    cipher = ChunkCipher(subkey)
    current = _buffer(size + TAG_SIZE)
    try:
        write_all(sink, memoryview(header.to_bytes()))
        length, index, total = read_up_to(source, current[TAG_SIZE:]), 0, 0
        # A small file must not pay for a buffer that it never fills.
        ahead = _buffer(size + TAG_SIZE if length == size else 0)
        while True:
            following = read_up_to(source, ahead[TAG_SIZE:]) if length == size else 0
            sealed = current[: length + TAG_SIZE]
            cipher.seal(sealed[TAG_SIZE:], sealed, index=index, final=following == 0)
            write_all(sink, sealed)
            total += length
            if following == 0:
                return total
            current, ahead, length, index = ahead, current, following, index + 1
    finally:
        cipher.wipe()


def _open_chunks(source: Readable, sink: Writable, cipher: ChunkCipher, size: int) -> int:
    """Authenticate and write chunk after chunk; the stream must end with a chunk sealed as the last."""
    current = _buffer(size + TAG_SIZE)
    length, index, total = read_up_to(source, current), 0, 0
    ahead = _buffer(size + TAG_SIZE if length == size + TAG_SIZE else 0)
    while True:
        following = read_up_to(source, ahead) if length == size + TAG_SIZE else 0
        if length < TAG_SIZE or (length == TAG_SIZE and index > 0):
            raise MalformedError(f"container chunk {index}: cut off")
        plain = current[TAG_SIZE:length]
        cipher.open(current[:length], plain, index=index, final=following == 0)
        write_all(sink, plain)
        total += len(plain)
        if following == 0:
            return total
        current, ahead, length, index = ahead, current, following, index + 1


def _buffer(size: int) -> memoryview:
    return memoryview(bytearray(size))
