"""The keys of a participant: types, not octets, so that one cannot stand in for another.

Ed25519 for identity, 32 random octets for a data key, 32 derived octets for the pre-shared key. This module
never reads or writes key files. Spec: docs/spec/container.md, section "Keys in memory".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

from nacl._sodium import ffi, lib

from sealroom.core.sealing.secret import Secret32, SecretBuffer

PUBLIC_KEY_SIZE = 32
SEED_SIZE = 32
SIGNATURE_SIZE = 64
_SECRET_KEY_SIZE = 64  # libsodium keeps seed and public key together
_SHORT_FINGERPRINT_OCTETS = 8


class DataKey(Secret32):
    """What a participant's files are sealed with; one for each of its roles in a computation."""

    __slots__ = ()


class PreSharedKey(Secret32):
    """What the words of the invitation derive to: the same for everybody in a computation."""

    __slots__ = ()


class SigningKey:
    """An Ed25519 key pair whose secret half stays in its own buffer."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, secret: SecretBuffer, public_key: bytes) -> None:
        self._secret = secret
        self.public_key = public_key

    @classmethod
    def generate(cls) -> Self:
        """Make a key pair from the system's random source."""
        secret = SecretBuffer(_SECRET_KEY_SIZE)
        public = ffi.new("unsigned char[]", PUBLIC_KEY_SIZE)
        lib.crypto_sign_keypair(public, secret.cdata)
        return cls(secret, bytes(ffi.buffer(public)))

    @classmethod
    def from_seed(cls, seed: bytes | bytearray | SecretBuffer) -> Self:
        """Make the key pair of `seed`, the 32 octets that a PKCS#8 file holds.

        A writable seed is zeroed. Raises `ValueError` for another length.
        """
        held = seed if isinstance(seed, SecretBuffer) else SecretBuffer.take(seed, SEED_SIZE)
        if len(held) != SEED_SIZE:
            raise ValueError(f"seed size: expected {SEED_SIZE}, got {len(held)}")
        secret = SecretBuffer(_SECRET_KEY_SIZE)
        public = ffi.new("unsigned char[]", PUBLIC_KEY_SIZE)
        lib.crypto_sign_seed_keypair(public, secret.cdata, held.cdata)
        held.wipe()
        return cls(secret, bytes(ffi.buffer(public)))

    def sign(self, message: bytes) -> bytes:
        """Sign `message`, giving the 64 octets of the signature alone."""
        signed = ffi.new("unsigned char[]", SIGNATURE_SIZE + len(message))
        length = ffi.new("unsigned long long *")
        lib.crypto_sign(signed, length, message, len(message), self._secret.cdata)
        return bytes(ffi.buffer(signed, SIGNATURE_SIZE))

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the public half."""
        return fingerprint(self.public_key)

    @property
    def secret(self) -> SecretBuffer:
        """The 64 octets of libsodium's secret key; they must not leave their buffer."""
        return self._secret

    @property
    def wiped(self) -> bool:
        """Whether the secret half is gone."""
        return self._secret.wiped

    def wipe(self) -> None:
        """Erase the secret half; the public half stays."""
        self._secret.wipe()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {short_fingerprint(self.public_key)}, secret hidden>"


def fingerprint(public_key: bytes) -> str:
    """Give the 64 hex digits of SHA3-256 over the raw public key: what two people compare, in full."""
    return hashlib.sha3_256(public_key).hexdigest()


def short_fingerprint(public_key: bytes) -> str:
    """Give the last 8 octets of the fingerprint in hex: for tables, never for a comparison that matters."""
    return fingerprint(public_key)[-2 * _SHORT_FINGERPRINT_OCTETS :]


def all_equal(keys: Sequence[Secret32]) -> bool:
    """Say whether all `keys` are the same, looking at every one of them and telling no more than that."""
    return sum(not key.equals(keys[0]) for key in keys) == 0


def all_distinct(keys: Sequence[Secret32]) -> bool:
    """Say whether no two of `keys` are the same, comparing every pair."""
    pairs = [(one, other) for index, one in enumerate(keys) for other in keys[:index]]
    return sum(one.equals(other) for one, other in pairs) == 0
