"""The inputs as a program sees them: by provider and name, each a seekable stream of its plaintext.

Chunks are opened when they are read, so an input of any size costs one chunk of memory. Must never show a
file of the host's under another provider or name than it was committed to.
Spec: docs/spec/enclave-session.md, "What a program sees".
"""

from __future__ import annotations

import io

from sealroom.core.sealing.chunks import read_up_to
from sealroom.enclave.committed_inputs import CommittedInput


class Input:
    """One file of one Data Provider. `provider` counts from 0 in the order of the measured arguments."""

    __slots__ = ("_file", "name", "provider", "size")

    def __init__(self, committed: CommittedInput) -> None:
        self._file = committed.file
        self.provider = committed.record.provider
        self.name = committed.record.name
        self.size = committed.file.plain_size

    def open(self) -> io.BufferedReader:
        """Open the plaintext for reading at any place.

        Raises `VerificationError` or `MalformedError`, now or while reading, when the host changed the file.
        """
        return io.BufferedReader(self._file.open())

    def read(self) -> bytes:
        """Return the whole plaintext."""
        content = bytearray(self.size)
        with self._file.open() as reader:
            read_up_to(reader, memoryview(content))
        return bytes(content)

    def __repr__(self) -> str:
        return f"<Input {self.name!r} of provider {self.provider}, {self.size} bytes>"
