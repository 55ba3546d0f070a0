"""Sealing and opening what is in memory already, on all processors, from one buffer straight into another.

Spec: docs/spec/container.md.
"""

from collections.abc import Iterator

from sealroom.client.lanes import processors, share
from sealroom.core.sealing.chunks import TAG_SIZE, ChunkCipher, Layout
from sealroom.core.sealing.container_streams import sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import HEADER_SIZE, Header, new_header, unlock
from sealroom.core.sealing.secret import Secret32

Buffer = bytes | bytearray | memoryview
_IN_BATCH = 4


def seal_memory(plaintext: Buffer, into: bytearray | memoryview, *, key: Secret32, context: Context) -> None:
    """Seal `plaintext` into `into`, which must have exactly the container's length, `sealed_size`."""
    if len(into) != sealed_size(len(plaintext)):
        raise ValueError(f"sealed: expected room of {sealed_size(len(plaintext))} octets, got {len(into)}")
    header, subkey = new_header(key, context)
    plain, sealed = memoryview(plaintext), memoryview(into)
    sealed[:HEADER_SIZE] = header.to_bytes()
    layout = Layout.of(len(into), chunk_log2=header.chunk_log2)
    cipher = ChunkCipher(subkey)

    def lane(numbers: Iterator[int]) -> None:
        for index in _chunks(numbers, layout):
            target, source = _places(layout, index, sealed, plain)
            cipher.seal(source, target, index=index, final=index == layout.count - 1)

    try:
        share(-(-layout.count // _IN_BATCH), lane, lanes=processors())
    finally:
        subkey.wipe()


def open_memory(container: Buffer, into: bytearray | memoryview, *, key: Secret32, context: Context) -> int:
    """Open `container` into the start of `into`, and return the plaintext's length.

    Raises `MalformedError` or `VerificationError` for anything that does not open, with `into` in any state,
    and `ValueError` for one that is too small.
    """
    sealed, plain = memoryview(container), memoryview(into)
    header = Header.from_bytes(bytes(sealed[:HEADER_SIZE]))
    layout = Layout.of(len(sealed), chunk_log2=header.chunk_log2)
    if len(plain) < layout.plain_size:
        raise ValueError(f"plaintext: expected room of {layout.plain_size} octets, got {len(plain)}")
    cipher = ChunkCipher(unlock(header, key=key, context=context))

    def lane(numbers: Iterator[int]) -> None:
        for index in _chunks(numbers, layout):
            source, target = _places(layout, index, sealed, plain)
            cipher.open(source, target, index=index, final=index == layout.count - 1)

    try:
        share(-(-layout.count // _IN_BATCH), lane, lanes=processors())
    finally:
        cipher.wipe()
    return layout.plain_size


def _chunks(numbers: Iterator[int], layout: Layout) -> Iterator[int]:
    for number in numbers:
        yield from range(number * _IN_BATCH, min(layout.count, (number + 1) * _IN_BATCH))


def _places(
    layout: Layout, index: int, sealed: memoryview, plain: memoryview
) -> tuple[memoryview, memoryview]:
    """Return where chunk `index` lies in the container and in the plaintext."""
    size, start, offset = layout.sealed_size_of(index), index * layout.chunk_size, layout.offset_of(index)
    return sealed[offset : offset + size], plain[start : start + size - TAG_SIZE]
