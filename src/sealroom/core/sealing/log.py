"""The sealed log: what the program printed, padded, for the readers that the measured arguments name.

A log leaves in a container under a fresh key, and that key leaves in one sealed box a reader. The padding
hides the length up to a power of two. With log release `none` nothing is made at all. Spec:
docs/spec/logs.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from nacl._sodium import ffi

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container import open_bytes, seal_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import SEALED_BOX_OVERHEAD, BoxKey, box_form, seal_box
from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE, SigningKey
from sealroom.core.sealing.secret import Secret32
from sealroom.core.wire.byte_fields import check_size
from sealroom.core.wire.terms import LogRelease

MIN_PADDED_SIZE = 4096
MAX_READERS = 65_535
_LENGTH_SIZE = 8
_BOX_SIZE = Secret32.SIZE + SEALED_BOX_OVERHEAD
_ENTRY_SIZE = PUBLIC_KEY_SIZE + _BOX_SIZE


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

    @classmethod
    def from_bytes(cls, raw: bytes) -> LogKeys:
        """Read the file; raises `MalformedError` for another length or a reader that is named twice."""
        count, rest = divmod(len(raw), _ENTRY_SIZE)
        if rest not in (0, Secret32.SIZE) or count > MAX_READERS:
            raise MalformedError(f"log keys: expected entries of {_ENTRY_SIZE} octets, got {len(raw)} octets")
        starts = range(0, count * _ENTRY_SIZE, _ENTRY_SIZE)
        sealed = tuple(
            SealedLogKey(
                reader_pk=raw[start : start + PUBLIC_KEY_SIZE],
                box=raw[start + PUBLIC_KEY_SIZE : start + _ENTRY_SIZE],
            )
            for start in starts
        )
        return cls(sealed=sealed, public_key=raw[-Secret32.SIZE :] if rest else None)

    def to_bytes(self) -> bytes:
        """Serialise, giving the octets it was read from."""
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
    container = seal_bytes(_pad(text), key=key, context=Context.log(computation=computation, box_pk=box_pk))
    public = bytes(ffi.buffer(key.cdata, len(key))) if release is LogRelease.PUBLIC else None
    return SealedLog(container=container, keys=LogKeys(sealed=sealed, public_key=public))


def open_log(container: bytes, *, key: LogKey, computation: UUID, box_pk: bytes) -> bytes:
    """Open a log; raises `MalformedError` or `VerificationError` for one changed or of another launch."""
    padded = open_bytes(container, key=key, context=Context.log(computation=computation, box_pk=box_pk))
    return _unpad(padded)


def find_log_key(keys: LogKeys, *, signing_key: SigningKey) -> LogKey:
    """Open the log key that was sealed to this participant; raises `VerificationError` when there is none."""
    box = next((entry.box for entry in keys.sealed if entry.reader_pk == signing_key.public_key), None)
    if box is None:
        raise VerificationError("log keys: none is sealed to this participant")
    own = BoxKey.from_signing_key(signing_key)
    plain = own.open(box)
    own.wipe()
    try:
        return LogKey().fill_from(plain)
    finally:
        plain.wipe()


def padded_size(text_size: int) -> int:
    """Give the size of a log's plaintext: the least power of two from 4096 that holds length and text."""
    needed = _LENGTH_SIZE + text_size
    return max(MIN_PADDED_SIZE, 1 << (needed - 1).bit_length())


def _pad(text: bytes | bytearray | memoryview) -> bytearray:
    size = len(text)
    padded = bytearray(padded_size(size))
    padded[:_LENGTH_SIZE] = size.to_bytes(_LENGTH_SIZE, "big")
    padded[_LENGTH_SIZE : _LENGTH_SIZE + size] = text
    return padded


def _unpad(padded: bytes) -> bytes:
    size = int.from_bytes(padded[:_LENGTH_SIZE], "big")
    if len(padded) < MIN_PADDED_SIZE or padded_size(size) != len(padded):
        raise MalformedError("log: length and padding do not fit")
    if padded.count(0, _LENGTH_SIZE + size) != len(padded) - _LENGTH_SIZE - size:
        raise MalformedError("log: padding is not zeros")
    return padded[_LENGTH_SIZE : _LENGTH_SIZE + size]
