"""The sealed log: what the program printed, padded, for the readers that the measured arguments name.

A log leaves in a container under a fresh key, and that key leaves in one sealed box a reader. The padding
hides the length up to a power of two. With log release `none` nothing is made at all. Spec:
docs/spec/logs.md. Opening one is `log_opening`'s, at home.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from nacl._sodium import ffi

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.container_writer import ContainerWriter
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import SEALED_BOX_OVERHEAD, box_form, seal_box
from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE
from sealroom.core.sealing.secret import Secret32
from sealroom.core.wire.byte_fields import check_size
from sealroom.core.wire.terms import LogRelease

MIN_PADDED_SIZE = 4096
MAX_READERS = 65_535
LENGTH_SIZE = 8
_BOX_SIZE = Secret32.SIZE + SEALED_BOX_OVERHEAD
ENTRY_SIZE = PUBLIC_KEY_SIZE + _BOX_SIZE


class LogKey(Secret32):
    """What one run's log is sealed with."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedLogKey:
    """The log key, sealed to one reader."""

    reader_pk: bytes
    box: bytes

    def __post_init__(self) -> None:
        check_size(self.reader_pk, field="log reader", size=PUBLIC_KEY_SIZE)
        check_size(self.box, field="log key box", size=_BOX_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKeys:
    """The file beside a log: a box for each reader and, for a public log, the key itself."""

    sealed: tuple[SealedLogKey, ...]
    public_key: bytes | None = None

    def __post_init__(self) -> None:
        if self.public_key is not None:
            check_size(self.public_key, field="public log key", size=LogKey.SIZE)
        if len({entry.reader_pk for entry in self.sealed}) != len(self.sealed):
            raise MalformedError("log keys: a reader is named twice")

    def to_bytes(self) -> bytes:
        """Serialise: the boxes in their order, then the public key."""
        return b"".join(entry.reader_pk + entry.box for entry in self.sealed) + (self.public_key or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedLog:
    """The two files that leave: the container and the keys beside it."""

    container: bytes
    keys: LogKeys


def seal_log(
    text: bytes | bytearray | memoryview,
    *,
    key: LogKey,
    release: LogRelease,
    readers: Sequence[bytes],
    computation: UUID,
    box_pk: bytes,
) -> SealedLog | None:
    """Seal the log for `readers`, the participants' Ed25519 keys in the order of the arguments.

    Each key gets one box, whatever the number of its roles. Gives `None` when the release is `none`. The
    caller wipes `key` afterwards.
    """
    if release is LogRelease.NONE:
        return None
    sealed = tuple(
        SealedLogKey(reader_pk=reader, box=seal_box(key, box_form(reader)))
        for reader in dict.fromkeys(readers)
    )
    container = io.BytesIO()
    writer = ContainerWriter(container, key=key, context=Context.log(computation=computation, box_pk=box_pk))
    writer.write(_pad(text))
    writer.finish()
    public = bytes(ffi.buffer(key.cdata, len(key))) if release is LogRelease.PUBLIC else None
    return SealedLog(container=container.getvalue(), keys=LogKeys(sealed=sealed, public_key=public))


def padded_size(text_size: int) -> int:
    """Give the size of a log's plaintext: the least power of two from 4096 that holds length and text."""
    needed = LENGTH_SIZE + text_size
    return max(MIN_PADDED_SIZE, 1 << (needed - 1).bit_length())


def _pad(text: bytes | bytearray | memoryview) -> bytearray:
    size = len(text)
    padded = bytearray(padded_size(size))
    padded[:LENGTH_SIZE] = size.to_bytes(LENGTH_SIZE, "big")
    padded[LENGTH_SIZE : LENGTH_SIZE + size] = text
    return padded
