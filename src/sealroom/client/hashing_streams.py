"""Streams that hash and count what passes through them, on its way from or to another one."""

import hashlib

from sealroom.core.sealing.chunks import Readable, Writable


class HashingSource:
    """Reads from another source, and knows the SHA-256 of what it gave."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._digest = hashlib.sha256()

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read and hash."""
        got = self._source.readinto(buffer)
        if got:
            self._digest.update(buffer[:got])
        return got

    def digest(self) -> bytes:
        """Return the SHA-256 of what was read."""
        return self._digest.digest()


class HashingSink:
    """Writes to another sink, and knows the SHA-256 of what it wrote."""

    def __init__(self, sink: Writable) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()

    def write(self, buffer: memoryview, /) -> int | None:
        """Write and hash."""
        written = self._sink.write(buffer)
        self._digest.update(buffer[:written])
        return written

    def digest(self) -> bytes:
        """Return the SHA-256 of what was written."""
        return self._digest.digest()
