"""A container's plaintext at any place of a seekable source.

The last chunk is authenticated before anything is served, and no octet leaves before its chunk is. Whole
streams are `container_streams`', writing is `container_writer`'s. Spec: docs/spec/container.md.
"""

from __future__ import annotations

import io
from typing import Protocol

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.chunks import (
    TAG_SIZE,
    ChunkCipher,
    Layout,
    Readable,
    read_up_to,
)
from sealroom.core.sealing.header import (
    Header,
    Subkey,
)


class SeekableSource(Readable, Protocol):
    """What a container is read from at any place."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to `offset`."""


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


def _buffer(size: int) -> memoryview:
    return memoryview(bytearray(size))
