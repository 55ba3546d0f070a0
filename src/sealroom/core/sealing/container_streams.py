"""Whole containers, sealed from a stream or memory and opened into one, in constant memory.

Opening either serves any place of a seekable source (`open_container`) or follows a pipe in order, where a
missing last chunk is an error after what was written. No octet leaves before its chunk is authenticated.
Spec: docs/spec/container.md.
"""

from __future__ import annotations

import io

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.chunks import TAG_SIZE, ChunkCipher, Readable, Writable, read_up_to, write_all
from sealroom.core.sealing.container import ContainerReader, SeekableSource
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import (
    DEFAULT_CHUNK_LOG2,
    HEADER_SIZE,
    Header,
    Subkey,
    check_chunk_log2,
    new_header,
    reproducible_salt,
    unlock,
)
from sealroom.core.sealing.secret import Secret32


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
