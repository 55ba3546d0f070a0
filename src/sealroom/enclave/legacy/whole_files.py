"""Files that are sealed in one piece: opened when they are checked, and kept in the enclave's memory.

Their one tag says nothing before all of it was read, and the key that opens them is wiped before the program
runs. So memory is the file's size. Must never keep the key.
Spec: docs/spec/whole-file.md; docs/spec/legacy-delivery.md.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from dataclasses import dataclass, field

from sealroom.core.compat.whole_file import open_in_place
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.keys import DataKey
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.sealed_files import Checking

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """One checked file, opened."""

    plaintext: memoryview = field(repr=False)

    @property
    def plain_size(self) -> int:
        """The length of the plaintext."""
        return len(self.plaintext)

    def open(self) -> MemoryReader:
        """Open the plaintext for reading at any place."""
        return MemoryReader(self.plaintext)


def check_whole_file(
    folder: HostFolder, place: str, *, size: int, sha256: bytes, key: DataKey, checking: Checking
) -> WholeFile:
    """Read the file at `place` once, compare it with its listed digest, and open it in that very buffer.

    Raises `MalformedError` or `VerificationError` for a file of another size or digest, that memory has no
    room for, or that does not open with `key`.
    """
    content = _read_once(folder, place, size=size, checking=checking)
    if not hmac.compare_digest(hashlib.sha256(content).digest(), sha256):
        raise VerificationError(f"{place}: not the file with the listed digest")
    return WholeFile(plaintext=open_in_place(content, key=key).toreadonly())


def _read_once(folder: HostFolder, place: str, *, size: int, checking: Checking) -> bytearray:
    with folder.open(place, size=size) as file:
        try:
            content = bytearray(size)
        except MemoryError as exc:
            raise MalformedError(f"{place}: {size} octets do not fit into memory") from exc
        done = 0
        while done < size:
            got = file.readinto(memoryview(content)[done : done + _BLOCK])
            if not got:
                raise MalformedError(f"{place}: ended {size - done} octets early")
            done += got
            checking.pause()
    return content


class MemoryReader(io.RawIOBase):
    """A plaintext in memory as a raw stream; nothing is decrypted for it any more."""

    chunks_read = 0

    def __init__(self, plaintext: memoryview) -> None:
        super().__init__()
        self._plaintext = plaintext
        self._place = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any place can be read."""
        return True

    def tell(self) -> int:
        """Give the place of the next octet read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a place in the plaintext; beyond the end is allowed, and reads as the end."""
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._plaintext)}
        if whence not in bases or bases[whence] + offset < 0:
            raise ValueError("seek: expected a place at or after the start")
        self._place = bases[whence] + offset
        return self._place

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer` with what there is from here on; 0 is the end."""
        target = memoryview(buffer).cast("B")
        part = self._plaintext[self._place : self._place + len(target)]
        target[: len(part)] = part
        self._place += len(part)
        return len(part)
