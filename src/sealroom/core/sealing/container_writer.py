"""A container written piece by piece, for whoever has no stream to hand over: a result that a program writes.

The same bytes as `seal_stream` makes, whatever the sizes of the pieces. What was never finished has no last
chunk, and no reader takes it. Spec: docs/spec/container.md, "Writing".
"""

from __future__ import annotations

from sealroom.core.sealing.chunks import TAG_SIZE, ChunkCipher, Writable, write_all
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import DEFAULT_CHUNK_LOG2, new_header
from sealroom.core.sealing.secret import Secret32


class ContainerWriter:
    """Seals what it is given into `sink`, chunk by chunk. Memory is two chunks, whatever the length.

    The salt is fresh. One chunk is kept back, since only `finish` tells which is the last. After a sink
    failed, the subkey is gone: nothing that is written later can look like a continuation.
    """

    def __init__(
        self, sink: Writable, *, key: Secret32, context: Context, chunk_log2: int = DEFAULT_CHUNK_LOG2
    ) -> None:
        header, subkey = new_header(key, context, chunk_log2=chunk_log2)
        self._sink = sink
        self._cipher = ChunkCipher(subkey)
        self._chunk_size = 1 << chunk_log2
        # Grows to one chunk: a small result must not pay for a buffer that it never fills.
        self._kept = bytearray()
        self._sealed = memoryview(b"")
        self._index = 0
        self._is_open = True
        write_all(sink, memoryview(header.to_bytes()))

    def write(self, plain: bytes | bytearray | memoryview) -> None:
        """Seal more of the plaintext; raises `RuntimeError` after `finish`, `abandon` or a failure."""
        self._check_open()
        rest = memoryview(plain)
        while rest:
            if len(self._kept) == self._chunk_size:
                self._seal(memoryview(self._kept), final=False)
                self._kept.clear()
            if not self._kept and len(rest) > self._chunk_size:
                # More follows, so this chunk is not the last, and need not be kept.
                self._seal(rest[: self._chunk_size], final=False)
                rest = rest[self._chunk_size :]
                continue
            taken = self._chunk_size - len(self._kept)
            self._kept += rest[:taken]
            rest = rest[taken:]

    def finish(self) -> None:
        """Seal the last chunk, and wipe the subkey: the container is whole."""
        self._check_open()
        self._seal(memoryview(self._kept), final=True)
        self.abandon()

    def abandon(self) -> None:
        """Wipe the subkey and let the buffers go; what was written so far opens for nobody."""
        self._is_open = False
        self._cipher.wipe()
        self._kept, self._sealed = bytearray(), memoryview(b"")

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("container: finished, abandoned or failed already")

    def _seal(self, plain: memoryview, *, final: bool) -> None:
        if len(self._sealed) < len(plain) + TAG_SIZE:
            self._sealed = memoryview(bytearray(len(plain) + TAG_SIZE))
        target = self._sealed[: len(plain) + TAG_SIZE]
        try:
            self._cipher.seal(plain, target, index=self._index, final=final)
            write_all(self._sink, target)
        except BaseException:
            self.abandon()
            raise
        self._index += 1
