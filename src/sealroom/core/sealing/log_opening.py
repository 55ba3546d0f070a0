"""Opening a sealed log at home: the keys beside it, one's own box among them, and the text without padding.

Spec: docs/spec/logs.md.
"""

from __future__ import annotations

from uuid import UUID

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container_streams import open_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE, SigningKey
from sealroom.core.sealing.log import (
    ENTRY_SIZE,
    LENGTH_SIZE,
    MAX_READERS,
    MIN_PADDED_SIZE,
    LogKey,
    LogKeys,
    SealedLogKey,
    padded_size,
)
from sealroom.core.sealing.secret import Secret32


def parse_log_keys(raw: bytes) -> LogKeys:
    """Read the file; raises `MalformedError` for another length or a reader that is named twice."""
    count, rest = divmod(len(raw), ENTRY_SIZE)
    if rest not in (0, Secret32.SIZE) or count > MAX_READERS:
        raise MalformedError(f"log keys: expected entries of {ENTRY_SIZE} octets, got {len(raw)} octets")
    starts = range(0, count * ENTRY_SIZE, ENTRY_SIZE)
    sealed = tuple(
        SealedLogKey(
            reader_pk=raw[start : start + PUBLIC_KEY_SIZE],
            box=raw[start + PUBLIC_KEY_SIZE : start + ENTRY_SIZE],
        )
        for start in starts
    )
    return LogKeys(sealed=sealed, public_key=raw[-Secret32.SIZE :] if rest else None)


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


def _unpad(padded: bytes) -> bytes:
    size = int.from_bytes(padded[:LENGTH_SIZE], "big")
    if len(padded) < MIN_PADDED_SIZE or padded_size(size) != len(padded):
        raise MalformedError("log: length and padding do not fit")
    if padded.count(0, LENGTH_SIZE + size) != len(padded) - LENGTH_SIZE - size:
        raise MalformedError("log: padding is not zeros")
    return padded[LENGTH_SIZE : LENGTH_SIZE + size]
