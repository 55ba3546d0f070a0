"""A file sealed in one piece, as the published client does it: `nonce | tag | ciphertext`.

Everything happens in place, in a buffer that the caller owns, so memory is the file's size once. Nothing in
this form says which computation, name or key a file belongs to. This module must never give a plaintext that
was not authenticated. Spec: docs/spec/whole-file.md.
"""

from __future__ import annotations

from nacl._sodium import ffi, lib

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.secret import Secret32

SUFFIX = ".enc"
NONCE_SIZE = 24
TAG_SIZE = 16
OVERHEAD = NONCE_SIZE + TAG_SIZE


def seal_in_place(buffer: bytearray | memoryview, *, key: Secret32) -> None:
    """Seal what stands in `buffer` behind its first 40 octets, which become nonce and tag.

    The nonce is fresh: sealing the same plaintext twice never gives the same file. Raises `ValueError` for a
    buffer without room for nonce and tag.
    """
    if len(buffer) < OVERHEAD:
        raise ValueError(f"whole file: expected room of {OVERHEAD} octets, got {len(buffer)}")
    start = ffi.from_buffer("unsigned char[]", buffer, require_writable=True)
    lib.randombytes(start, NONCE_SIZE)
    plain_size = len(buffer) - OVERHEAD
    sealed, plain = start + NONCE_SIZE, start + OVERHEAD
    if lib.crypto_secretbox_easy(sealed, plain, plain_size, start, key.cdata) != 0:
        raise ValueError("whole file: too long to seal")


def open_in_place(buffer: bytearray | memoryview, *, key: Secret32) -> memoryview:
    """Open the sealed file in `buffer`, and return the part of it that now holds the plaintext.

    Raises `MalformedError` for what is too short to be one and `VerificationError` for another key or one
    changed bit; the buffer then is as it was.
    """
    if len(buffer) < OVERHEAD:
        raise MalformedError(f"whole file: expected at least {OVERHEAD} octets, got {len(buffer)}")
    start = ffi.from_buffer("unsigned char[]", buffer, require_writable=True)
    sealed, plain = start + NONCE_SIZE, start + OVERHEAD
    if lib.crypto_secretbox_open_easy(plain, sealed, len(buffer) - NONCE_SIZE, start, key.cdata) != 0:
        raise VerificationError("whole file: sealed with another key, or changed")
    return memoryview(buffer)[OVERHEAD:]


def seal_whole_file(plaintext: bytes | bytearray | memoryview, *, key: Secret32) -> bytearray:
    """Seal a copy of `plaintext`; where memory counts, `seal_in_place` needs no copy."""
    sealed = bytearray(OVERHEAD + len(plaintext))
    sealed[OVERHEAD:] = plaintext
    seal_in_place(sealed, key=key)
    return sealed


def open_whole_file(sealed: bytes | bytearray | memoryview, *, key: Secret32) -> memoryview:
    """Open a copy of `sealed`; where memory counts, `open_in_place` needs no copy. Raises as that does."""
    return open_in_place(bytearray(sealed), key=key)
