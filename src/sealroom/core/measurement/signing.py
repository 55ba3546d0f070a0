"""Sign a SIGSTRUCT, and verify one.

The RSA operation is the signer's: a key in a file, or whatever holds the key and returns a signature. What
comes back is checked before anything is made of it, so a device with another key is noticed here and not by
a processor.

Spec: docs/spec/sigstruct.md, "Signature".
"""

from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.sigstruct import (
    EXPONENT,
    MODULUS_BITS,
    MODULUS_SIZE,
    Sigstruct,
    SigstructBody,
    parse_sigstruct,
)

# RFC 8017, 9.2: DigestInfo of SHA-256.
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class SigstructSigner(Protocol):
    """What signs: an RSA key of 3072 bits with exponent 3, wherever it is kept."""

    @property
    def modulus(self) -> int:
        """The key's modulus."""

    def sign(self, message: bytes) -> bytes:
        """Return the RSASSA-PKCS1-v1_5 signature with SHA-256: 384 bytes, as OpenSSL writes them."""


def sign_sigstruct(body: SigstructBody, signer: SigstructSigner) -> Sigstruct:
    """Return the signed SIGSTRUCT of `body`.

    Raises `MalformedError` for a key of another size, `VerificationError` where what the signer returned is
    not the signature of this body by this key.
    """
    modulus = signer.modulus
    if modulus.bit_length() != MODULUS_BITS:
        raise MalformedError(f"signing key: got {modulus.bit_length()} bits, expected {MODULUS_BITS}")
    message = body.signed_bytes()
    raw = signer.sign(message)
    if len(raw) != MODULUS_SIZE:
        raise VerificationError(f"signer: returned {len(raw)} bytes, expected {MODULUS_SIZE}")
    signature = int.from_bytes(raw, "big")
    _check_signature(message, signature, modulus)
    q1, q2 = _quotients(signature, modulus)
    return Sigstruct(body=body, modulus=modulus, signature=signature, q1=q1, q2=q2)


def verify_sigstruct(raw: bytes) -> Sigstruct:
    """Return what a SIGSTRUCT says, once its signature and both quotients hold.

    Whose key it is stays with the caller: see `mrsigner`. Raises `MalformedError` or `VerificationError`.
    """
    sigstruct = parse_sigstruct(raw)
    _check_signature(sigstruct.body.signed_bytes(), sigstruct.signature, sigstruct.modulus)
    if (sigstruct.q1, sigstruct.q2) != _quotients(sigstruct.signature, sigstruct.modulus):
        raise VerificationError("sigstruct: q1 or q2 does not belong to the signature; no processor takes it")
    return sigstruct


def _check_signature(message: bytes, signature: int, modulus: int) -> None:
    padded = b"\x00\x01" + b"\xff" * (MODULUS_SIZE - 54) + b"\x00" + _SHA256_INFO + sha256(message).digest()
    if signature >= modulus:
        raise VerificationError("sigstruct signature: not smaller than the modulus")
    # Every byte of the padding is fixed, so comparing it whole leaves a forger of e = 3 nothing to choose.
    opened = pow(signature, EXPONENT, modulus).to_bytes(MODULUS_SIZE, "big")
    if not compare_digest(opened, padded):
        raise VerificationError("sigstruct signature: not made over these fields by this key")


def _quotients(signature: int, modulus: int) -> tuple[int, int]:
    """Return what spares the processor its divisions (SDM vol. 3D, EINIT)."""
    q1, remainder = divmod(signature * signature, modulus)
    return q1, signature * remainder // modulus
