"""HKDF with SHA-256 (RFC 5869), computed inside buffers that can be erased.

Python's `hmac` returns `bytes`, so every extracted and derived key would leave a copy behind that nothing
can zero. Here HMAC is written out over libsodium's SHA-256 on secret buffers, each wiped on the way.
Nothing here must ever put key material into `bytes`. Spec: docs/spec/container.md, section "Deriving keys".
"""

from __future__ import annotations

from typing import TypeVar

from nacl._sodium import ffi, lib

from sealroom.core.sealing.secret import SecretBuffer

HASH_SIZE = 32
_BLOCK_SIZE = 64
_INNER_PAD = 0x36
_OUTER_PAD = 0x5C
_MAX_BLOCKS = 255

_Secret = TypeVar("_Secret", bound=SecretBuffer)


def hkdf_sha256(ikm: SecretBuffer, *, salt: bytes, info: bytes, into: _Secret) -> _Secret:
    """Fill `into`, whatever its length, with keying material derived from `ikm`, and return it.

    Raises `ValueError` when `into` is longer than the 255 blocks that RFC 5869 allows.
    """
    blocks = -(-len(into) // HASH_SIZE)
    if blocks > _MAX_BLOCKS:
        raise ValueError(f"derived key size: expected at most {_MAX_BLOCKS * HASH_SIZE}, got {len(into)}")
    extracted = hmac_sha256(salt, ikm)
    previous: SecretBuffer | bytes = b""
    for index in range(blocks):
        block = hmac_sha256(extracted, previous, info, bytes([index + 1]))
        start = index * HASH_SIZE
        ffi.memmove(into.cdata + start, block.cdata, min(HASH_SIZE, len(into) - start))
        _wipe(previous)
        previous = block
    _wipe(previous)
    extracted.wipe()
    return into


def hmac_sha256(key: SecretBuffer | bytes, *parts: SecretBuffer | bytes) -> SecretBuffer:
    """Compute HMAC-SHA256 over the joined `parts`; meant for short messages, which are copied once."""
    block = _key_block(key)
    inner = _padded_hash(block, _INNER_PAD, *parts)
    outer = _padded_hash(block, _OUTER_PAD, inner)
    block.wipe()
    inner.wipe()
    return outer


def _key_block(key: SecretBuffer | bytes) -> SecretBuffer:
    """Give the key as one hash block: hashed when longer, then filled up with zeros."""
    block = SecretBuffer(_BLOCK_SIZE)
    if len(key) > _BLOCK_SIZE:
        lib.crypto_hash_sha256(block.cdata, _pointer(key), len(key))
    else:
        ffi.memmove(block.cdata, _pointer(key), len(key))
    return block


def _padded_hash(block: SecretBuffer, pad: int, *parts: SecretBuffer | bytes) -> SecretBuffer:
    """Hash `(block xor pad) | parts`."""
    message = SecretBuffer(_BLOCK_SIZE + sum(map(len, parts)))
    key, target = block.cdata, message.cdata
    for index in range(_BLOCK_SIZE):
        target[index] = key[index] ^ pad
    offset = _BLOCK_SIZE
    for part in parts:
        ffi.memmove(target + offset, _pointer(part), len(part))
        offset += len(part)
    digest = SecretBuffer(HASH_SIZE)
    lib.crypto_hash_sha256(digest.cdata, target, offset)
    message.wipe()
    return digest


def _pointer(value: SecretBuffer | bytes) -> object:
    return value.cdata if isinstance(value, SecretBuffer) else value


def _wipe(value: SecretBuffer | bytes) -> None:
    if isinstance(value, SecretBuffer):
        value.wipe()
