"""A container on the host's disk that was checked once, and can be read at any time after.

The file's digest and its header come from one pass over it. Header, size and the subkey derived from them are
kept in the enclave's memory and are never read again, so a file that is another by now does not open.
Must never keep the key that the subkey came from. Spec: docs/spec/enclave-session.md, "Checked files".
"""

from __future__ import annotations

import hmac
import io
from collections.abc import Callable
from dataclasses import dataclass

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.chunks import Layout
from sealroom.core.sealing.container import ContainerReader
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import HEADER_SIZE, Header, Subkey, unlock
from sealroom.core.sealing.secret import Secret32
from sealroom.enclave.messages import HostFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFile:
    """One checked container: where it lies, and all that was learned when it was checked."""

    folder: HostFolder
    place: str
    size: int
    header: Header
    subkey: Subkey

    @property
    def plain_size(self) -> int:
        """The length of the plaintext."""
        return Layout.of(self.size, chunk_log2=self.header.chunk_log2).plain_size

    def open(self) -> ContainerReader:
        """Open the plaintext for reading at any place.

        Raises `MalformedError` or `VerificationError`, now or when reading, if the file was changed.
        """
        file = self.folder.open(self.place, size=self.size)
        try:
            return _OwningReader(file, header=self.header, subkey=_copy(self.subkey), size=self.size)
        except BaseException:
            file.close()
            raise


class Checking:
    """The one check of all files, which may be given up between blocks and then leaves no key behind.

    `pause` is called often, and raises to give up.
    """

    def __init__(self, pause: Callable[[], None]) -> None:
        self.pause = pause
        self._subkeys: list[Subkey] = []

    def keep(self, subkey: Subkey) -> Subkey:
        """Return `subkey`, and remember it: the failure of a later file must find it."""
        self._subkeys.append(subkey)
        return subkey

    def wipe(self) -> None:
        """Erase every subkey that was derived so far."""
        for subkey in self._subkeys:
            subkey.wipe()


def check_sealed_file(
    folder: HostFolder,
    place: str,
    *,
    size: int,
    sha256: bytes,
    key: Secret32,
    context: Context,
    checking: Checking,
) -> SealedFile:
    """Hash the file at `place` and derive its subkey from the very bytes that were hashed.

    Raises `MalformedError` or `VerificationError` for a file of another size or digest, for what is no
    container, and for one that was sealed with another key or for another context.
    """
    hashed = folder.hash(place, size=size, keep=HEADER_SIZE, pause=checking.pause)
    if not hmac.compare_digest(hashed.sha256, sha256):
        raise VerificationError(f"{place}: not the file with the listed digest")
    header = Header.from_bytes(hashed.start)
    Layout.of(size, chunk_log2=header.chunk_log2)
    subkey = checking.keep(unlock(header, key=key, context=context))
    return SealedFile(folder=folder, place=place, size=size, header=header, subkey=subkey)


class _OwningReader(ContainerReader):
    """A reader that closes its file, which nobody else holds."""

    def __init__(self, file: io.FileIO, *, header: Header, subkey: Subkey, size: int) -> None:
        super().__init__(file, header=header, subkey=subkey, size=size)
        self._file = file

    def close(self) -> None:
        """Wipe this reader's copy of the subkey and close the file."""
        super().close()
        if hasattr(self, "_file"):
            self._file.close()


def _copy(subkey: Subkey) -> Subkey:
    """Copy from buffer to buffer: a reader wipes the subkey it was given, and there may be several."""
    return Subkey().fill_from(subkey)
