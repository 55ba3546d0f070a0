"""A sink that hashes and counts what passes through it on its way to a file."""

import hashlib
from typing import BinaryIO


class HashingSink:
    """Writes to another sink, and knows the size and SHA-256 of what it wrote."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Write and hash."""
        self._digest.update(data)
        self.size += len(data)
        return self._sink.write(data)

    def digest(self) -> bytes:
        """Return the SHA-256 of what was written."""
        return self._digest.digest()
