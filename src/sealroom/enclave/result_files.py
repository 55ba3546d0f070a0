"""One sealed result in the spool, from its first chunk to its release.

The header stays in the enclave until then: without its salt no key opens what the host already has.
Spec: docs/spec/enclave-session.md, "Results".
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Protocol

from sealroom.core.sealing.container_writer import ContainerWriter
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import HEADER_SIZE
from sealroom.core.sealing.secret import Secret32
from sealroom.enclave.messages import HostFile, HostFolder


class ResultFile(Protocol):
    """A result to one consumer: begun, then finished or discarded, and released at the end.

    Nothing is on the host's disk before `begin`. A result that was discarded stays so.
    """

    name: str
    plain_size: int
    finished: bool
    discarded: bool

    @property
    def sha256(self) -> bytes:
        """The digest of the whole sealed file, known without reading it back from the host."""

    def begin(self) -> None:
        """Create what the host sees of it."""

    def write(self, plain: memoryview) -> None:
        """Add to the result; after a failure it can only be discarded."""

    def finish(self) -> None:
        """Complete the result: it opens for nobody yet."""

    def release(self, place: str) -> None:
        """Let the host have the whole of it, under its final name."""

    def discard(self) -> None:
        """Leave nothing of it."""


class SealedResult:
    """A result as a container in the spool."""

    def __init__(self, spool: HostFolder, place: str, *, key: Secret32, context: Context) -> None:
        self.name = context.name
        self.plain_size = 0
        self.finished = False
        self.discarded = False
        self._spool = spool
        self._place = place
        self._sink = _HeaderlessSink()
        self._writer = ContainerWriter(self._sink, key=key, context=context)

    @property
    def sha256(self) -> bytes:
        """The digest of the whole container, known without reading it back from the host."""
        return self._sink.sha256

    def begin(self) -> None:
        """Create the file, with zeros where the header will be."""
        self._sink.begin(self._spool.create(self._place))

    def write(self, plain: memoryview) -> None:
        """Seal more of the result; after a failure it can only be discarded."""
        self._writer.write(plain)
        self.plain_size += len(plain)

    def finish(self) -> None:
        """Seal the last chunk; the result is complete, and opens for nobody yet."""
        self._writer.finish()
        self._sink.close()
        self.finished = True

    def release(self, place: str) -> None:
        """Write the header and give the file its final name."""
        self._spool.complete(self._place, start=self._sink.header, name=place)

    def discard(self) -> None:
        """Wipe the key and remove the file."""
        self.discarded, self.finished = True, False
        self._writer.abandon()
        # A program may have closed every descriptor that it found: the run gets its closing all the same.
        with contextlib.suppress(OSError):
            self._sink.close()
        self._spool.discard(self._place)


class _HeaderlessSink:
    """Holds the header back, which is the first thing that is written, and hashes it with the rest."""

    def __init__(self) -> None:
        self.header = b""
        self._file: HostFile | None = None
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> bytes:
        return self._hash.digest()

    def begin(self, file: HostFile) -> None:
        self._file = file
        if file.write(bytes(HEADER_SIZE)) != HEADER_SIZE:
            raise OSError("result: the disk is full")

    def write(self, buffer: memoryview, /) -> int:
        written = len(buffer)
        if not self.header:
            self.header = bytes(buffer)
        elif self._file is None:
            raise ValueError("result: not begun")
        else:
            written = self._file.write(buffer)
        self._hash.update(buffer[:written])
        return written

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
