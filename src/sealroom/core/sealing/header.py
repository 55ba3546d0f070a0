"""A container's header, the key of one container, and how the one leads to the other.

XSalsa20-Poly1305 does not commit to its key, so the header carries a digest of the subkey, compared in
constant time before a single chunk is touched. This module never reads chunks. Spec:
docs/spec/container.md.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from nacl._sodium import ffi, lib

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.hkdf import HASH_SIZE, hkdf_sha256, hmac_sha256
from sealroom.core.sealing.secret import Secret32, SecretBuffer

MAGIC = b"sealroom"
VERSION = 1
HEADER_SIZE = 76
SALT_SIZE = 32
MIN_CHUNK_LOG2 = 12
MAX_CHUNK_LOG2 = 24
DEFAULT_CHUNK_LOG2 = 18
_COMMIT_SIZE = 32
_CONTAINER_LABEL = b"sealroom/v1/container\x00"
_COMMIT_LABEL = b"sealroom/v1/commit\x00"
_SALT_LABEL = b"sealroom/v1/salt\x00"


class Subkey(Secret32):
    """The key of one container's chunks. Disclosing it proves this one plaintext and opens nothing else."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The 76 octets in front of the chunks: `magic | version | chunk_log2 | 0x0000 | salt | commit`."""

    chunk_log2: int
    salt: bytes
    commit: bytes

    def __post_init__(self) -> None:
        check_chunk_log2(self.chunk_log2)
        if len(self.salt) != SALT_SIZE or len(self.commit) != _COMMIT_SIZE:
            raise ValueError(f"container header: expected salt {SALT_SIZE} and commit {_COMMIT_SIZE}")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Header:
        """Read a header; raises `MalformedError` for any other size, magic, version or chunk size."""
        if len(raw) != HEADER_SIZE:
            raise MalformedError(f"container header: expected {HEADER_SIZE} octets, got {len(raw)}")
        if raw[:8] != MAGIC:
            raise MalformedError("container magic: not a sealroom container")
        if raw[8] != VERSION:
            raise MalformedError(f"container version: expected {VERSION}, got {raw[8]}")
        if not MIN_CHUNK_LOG2 <= raw[9] <= MAX_CHUNK_LOG2:
            raise MalformedError(
                f"container chunk_log2: expected {MIN_CHUNK_LOG2} to {MAX_CHUNK_LOG2}, got {raw[9]}"
            )
        if raw[10:12] != b"\x00\x00":
            raise MalformedError("container reserved octets: expected zeros")
        return cls(chunk_log2=raw[9], salt=raw[12:44], commit=raw[44:76])

    def to_bytes(self) -> bytes:
        """Serialise, giving the octets it was read from."""
        return _fixed_part(self.chunk_log2) + self.salt + self.commit


def check_chunk_log2(chunk_log2: int) -> None:
    """Refuse, with `ValueError`, a chunk size that no reader accepts."""
    if not MIN_CHUNK_LOG2 <= chunk_log2 <= MAX_CHUNK_LOG2:
        raise ValueError(f"chunk_log2: expected {MIN_CHUNK_LOG2} to {MAX_CHUNK_LOG2}, got {chunk_log2}")


def new_header(
    key: Secret32, context: Context, *, chunk_log2: int = DEFAULT_CHUNK_LOG2, salt: bytes | None = None
) -> tuple[Header, Subkey]:
    """Start a container: a header with a fresh salt and the subkey it stands for.

    `salt` is for `reproducible_salt` alone: one salt under one key for two plaintexts would give both away.
    """
    check_chunk_log2(chunk_log2)
    salt = secrets.token_bytes(SALT_SIZE) if salt is None else salt
    subkey = _derive(key, context, chunk_log2=chunk_log2, salt=salt)
    return Header(chunk_log2=chunk_log2, salt=salt, commit=_commit(subkey)), subkey


def unlock(header: Header, *, key: Secret32, context: Context) -> Subkey:
    """Derive the subkey and compare it with the header's commitment.

    Raises `VerificationError` when key or context is another than the container was sealed with.
    """
    subkey = _derive(key, context, chunk_log2=header.chunk_log2, salt=header.salt)
    if not hmac.compare_digest(_commit(subkey), header.commit):
        subkey.wipe()
        raise VerificationError(
            "container: sealed with another key, or for another name, purpose or computation"
        )
    return subkey


def accept_subkey(header: Header, subkey: Subkey) -> Subkey:
    """Check a disclosed subkey against the header; raises `VerificationError` for any but the right one."""
    if not hmac.compare_digest(_commit(subkey), header.commit):
        raise VerificationError("container: the disclosed subkey is not the one this container commits to")
    return subkey


def reproducible_salt(key: Secret32, context: Context, plaintext: bytes) -> bytes:
    """Give the salt of a container that must come out the same each time, from key, context, plaintext."""
    digest = hashlib.sha256(plaintext).digest()
    made = hmac_sha256(key, _SALT_LABEL, context.to_bytes(), digest)
    return bytes(ffi.buffer(made.cdata, HASH_SIZE))


def _derive(key: Secret32, context: Context, *, chunk_log2: int, salt: bytes) -> Subkey:
    info = _CONTAINER_LABEL + _fixed_part(chunk_log2) + context.to_bytes()
    return hkdf_sha256(key, salt=salt, info=info, into=Subkey())


def _fixed_part(chunk_log2: int) -> bytes:
    return MAGIC + bytes([VERSION, chunk_log2, 0, 0])


def _commit(subkey: Subkey) -> bytes:
    """Hash the subkey behind its label; the digest is public, what is hashed stays in its own buffer."""
    labelled = SecretBuffer(len(_COMMIT_LABEL) + len(subkey))
    ffi.memmove(labelled.cdata, _COMMIT_LABEL, len(_COMMIT_LABEL))
    ffi.memmove(labelled.cdata + len(_COMMIT_LABEL), subkey.cdata, len(subkey))
    digest = ffi.new("unsigned char[]", HASH_SIZE)
    lib.crypto_hash_sha256(digest, labelled.cdata, len(labelled))
    labelled.wipe()
    return bytes(ffi.buffer(digest))
