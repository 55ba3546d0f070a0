"""The keys an enclave makes for itself, and the one for its closing receipt.

Each lives in its own buffer from the first octet on and is wiped there; none is ever written anywhere. The
identity key must be wiped before foreign code runs. Spec: docs/spec/container.md, section "Keys in memory".
"""

from __future__ import annotations

from nacl._sodium import ffi, lib

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE, SigningKey
from sealroom.core.sealing.secret import Secret32, SecretBuffer

SEALED_BOX_OVERHEAD = 48  # ephemeral public key 32 | tag 16


class IdentityKey(SigningKey):
    """The enclave's Ed25519 identity: signs an opening or a refusal, then is wiped."""

    __slots__ = ()


class RunKey(SigningKey):
    """The Ed25519 key of one run, named in the opening: signs the closing and nothing else."""

    __slots__ = ()


class _BoxSecret(Secret32):
    """The secret half of a box key."""

    __slots__ = ()


class BoxKey:
    """An X25519 key pair that deliveries are sealed to."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, secret: Secret32, public_key: bytes) -> None:
        self._secret = secret
        self.public_key = public_key

    @classmethod
    def generate(cls) -> BoxKey:
        """Make a key pair from the system's random source."""
        secret = _BoxSecret()
        public = ffi.new("unsigned char[]", PUBLIC_KEY_SIZE)
        lib.crypto_box_keypair(public, secret.cdata)
        return cls(secret, bytes(ffi.buffer(public)))

    @classmethod
    def from_signing_key(cls, key: SigningKey) -> BoxKey:
        """Make the X25519 form of an Ed25519 key, to open what was sealed to the public half's form."""
        secret = _BoxSecret()
        public = ffi.new("unsigned char[]", PUBLIC_KEY_SIZE)
        lib.crypto_sign_ed25519_sk_to_curve25519(secret.cdata, key.secret.cdata)
        lib.crypto_scalarmult_base(public, secret.cdata)
        return cls(secret, bytes(ffi.buffer(public)))

    def open(self, box: bytes) -> SecretBuffer:
        """Open a sealed box into a buffer of its own; raises `VerificationError` when it does not open."""
        size = len(box) - SEALED_BOX_OVERHEAD
        if size < 1:
            raise VerificationError(
                f"sealed box: expected more than {SEALED_BOX_OVERHEAD} octets, got {len(box)}"
            )
        plain = SecretBuffer(size)
        if lib.crypto_box_seal_open(plain.cdata, box, len(box), self.public_key, self._secret.cdata) != 0:
            plain.wipe()
            raise VerificationError("sealed box: not sealed to this key, or changed since")
        return plain

    @property
    def secret(self) -> SecretBuffer:
        """The 32 secret octets; they must not leave their buffer."""
        return self._secret

    @property
    def wiped(self) -> bool:
        """Whether the secret half is gone."""
        return self._secret.wiped

    def wipe(self) -> None:
        """Erase the secret half; the public half stays."""
        self._secret.wipe()

    def __repr__(self) -> str:
        return f"<BoxKey {self.public_key.hex()[:16]}, secret hidden>"


def seal_box(plain: SecretBuffer, public_key: bytes) -> bytes:
    """Seal `plain` anonymously to an X25519 public key; raises `ValueError` for a weak key."""
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise ValueError(f"box public key: expected {PUBLIC_KEY_SIZE} octets, got {len(public_key)}")
    box = ffi.new("unsigned char[]", len(plain) + SEALED_BOX_OVERHEAD)
    if lib.crypto_box_seal(box, plain.cdata, len(plain), public_key) != 0:
        raise ValueError("box public key: a weak point")
    return bytes(ffi.buffer(box))


def box_form(ed25519_public_key: bytes) -> bytes:
    """Give the X25519 form of an Ed25519 public key; raises `ValueError` for one that is no valid point."""
    if len(ed25519_public_key) != PUBLIC_KEY_SIZE:
        raise ValueError(f"public key: expected {PUBLIC_KEY_SIZE} octets, got {len(ed25519_public_key)}")
    converted = ffi.new("unsigned char[]", PUBLIC_KEY_SIZE)
    if lib.crypto_sign_ed25519_pk_to_curve25519(converted, ed25519_public_key) != 0:
        raise ValueError("public key: not a valid Ed25519 point")
    return bytes(ffi.buffer(converted))
