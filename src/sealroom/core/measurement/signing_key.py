"""The key that signs enclaves, in a PEM file.

Must never: print the key. Spec: docs/spec/sigstruct.md, "Signature".
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.sigstruct import EXPONENT, MODULUS_BITS

MAX_KEY_BYTES = 64 * 1024
_SHAPE = f"expected RSA of {MODULUS_BITS} bits with exponent {EXPONENT}"


class EnclaveSigningKey:
    """An RSA key of 3072 bits with exponent 3, in memory."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "EnclaveSigningKey()"

    @property
    def modulus(self) -> int:
        """The key's modulus."""
        return self._key.public_key().public_numbers().n

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, as `SigstructSigner` wants it."""
        return self._key.sign(message, padding.PKCS1v15(), SHA256())

    def to_pem(self, *, passphrase: str | None) -> bytes:
        """Return the key as PKCS#8, encrypted where there is a passphrase."""
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def new_enclave_signing_key() -> EnclaveSigningKey:
    """Make a key; takes a second or so."""
    return EnclaveSigningKey(rsa.generate_private_key(public_exponent=EXPONENT, key_size=MODULUS_BITS))


def is_encrypted(pem: bytes) -> bool:
    """Say whether a key needs a passphrase: in either form of PEM the word stands in clear."""
    return b"ENCRYPTED" in pem


def parse_enclave_signing_key(pem: bytes, *, passphrase: str | None = None) -> EnclaveSigningKey:
    """Parse a PEM key, PKCS#1 or PKCS#8.

    Raises `MalformedError` for a wrong passphrase, another kind of key, another size or another exponent.
    """
    try:
        key = load_pem_private_key(pem, None if passphrase is None else passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise MalformedError("signing key: not a PEM private key, or not with this passphrase") from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise MalformedError(f"signing key: {_SHAPE}")
    _check_shape(key.public_key())
    return EnclaveSigningKey(key)


def parse_public_modulus(pem: bytes) -> int:
    """Return the modulus of a PEM public key; `MalformedError` for one that signs no enclave."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise MalformedError("public key: not a PEM public key") from exc
    if not isinstance(key, rsa.RSAPublicKey):
        raise MalformedError(f"public key: {_SHAPE}")
    _check_shape(key)
    return key.public_numbers().n


def _check_shape(key: rsa.RSAPublicKey) -> None:
    numbers = key.public_numbers()
    if key.key_size != MODULUS_BITS or numbers.e != EXPONENT:
        raise MalformedError(f"key: got {key.key_size} bits with exponent {numbers.e}, {_SHAPE}")
