"""Results in the published client's form: whole files under the consumer's own data key.

They open as soon as the host has them, so they stay in the enclave's memory until the run has succeeded.
Spec: docs/spec/legacy-delivery.md.
"""

from __future__ import annotations

import hashlib

from sealroom.core.compat.whole_file import OVERHEAD, seal_in_place
from sealroom.core.sealing.secret import Secret32
from sealroom.enclave.messages import HostFolder


class WholeResult:
    """A result to one consumer, in memory."""

    def __init__(self, spool: HostFolder, name: str, *, key: Secret32) -> None:
        self.name = name
        self.plain_size = 0
        self.finished = False
        self.discarded = False
        self._spool = spool
        self._key = key
        self._content = bytearray(OVERHEAD)

    @property
    def sha256(self) -> bytes:
        """The digest of the sealed file."""
        return hashlib.sha256(self._content).digest()

    def begin(self) -> None:
        """Do nothing: the host sees a result when it is released."""

    def write(self, plain: memoryview) -> None:
        """Keep more of the result."""
        if self.finished or self.discarded:
            raise RuntimeError("result: finished or discarded already")
        self._content += plain
        self.plain_size += len(plain)

    def finish(self) -> None:
        """Seal the result."""
        if self.finished or self.discarded:
            raise RuntimeError("result: finished or discarded already")
        seal_in_place(self._content, key=self._key)
        self.finished = True

    def release(self, place: str) -> None:
        """Write the sealed file, at once under its final name."""
        self._spool.write(place, self._content)

    def discard(self) -> None:
        """Forget the result."""
        self.discarded, self.finished = True, False
        self._content = bytearray()
