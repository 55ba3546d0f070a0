"""The participant's Ed25519 identity: one PKCS#8 PEM file, with a passphrase if its owner wants one.

Must never: write over a key that exists, show a private key, or fall back to an unprotected file.
"""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sealroom.client.home import Home
from sealroom.client.private_files import read_bounded, write_private
from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.sealing.keys import SigningKey

_MAX_PEM_BYTES = 16 * 1024


class IdentityError(SealroomError):
    """The identity is missing, already there, or cannot be opened with what was given."""


class PassphraseError(IdentityError):
    """The identity has a passphrase, and none or another one was given."""


def create_identity(home: Home, *, passphrase: str | None = None) -> SigningKey:
    """Make this home's key pair and store it; raises `IdentityError` when there is one already."""
    with home.lock():
        if home.identity.exists():
            raise IdentityError(f"identity: {home.identity} exists already")
        key = Ed25519PrivateKey.generate()
        write_private(
            home.identity, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
        )
    return _signing_key(key)


def load_identity(home: Home, *, passphrase: str | None = None) -> SigningKey:
    """Open this home's key pair.

    Raises `IdentityError` when there is none, `PassphraseError` when the passphrase is missing or wrong, and
    `MalformedError` for a file that holds anything but one Ed25519 key.
    """
    try:
        pem = read_bounded(home.identity, max_bytes=_MAX_PEM_BYTES, what="identity")
    except FileNotFoundError as error:
        raise IdentityError(f"identity: no key in {home.root}; make one with sealroom keygen") from error
    return parse_identity(pem, passphrase=passphrase)


def parse_identity(pem: bytes, *, passphrase: str | None = None) -> SigningKey:
    """Read one Ed25519 private key in PKCS#8 PEM form."""
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    if encrypted and passphrase is None:
        raise PassphraseError("identity: a passphrase is needed")
    if not encrypted and passphrase is not None:
        raise PassphraseError("identity: the key has no passphrase, and one was given")
    password = None if passphrase is None else passphrase.encode("utf-8")
    try:
        key = load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own message is left out: it may quote what it read.
        if encrypted:
            raise PassphraseError("identity: the passphrase is wrong, or the file is damaged") from None
        raise MalformedError("identity: not a PKCS#8 PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedError("identity: not an Ed25519 key")
    return _signing_key(key)


def identity_has_passphrase(home: Home) -> bool:
    """Say whether the stored key asks for a passphrase; raises `IdentityError` when there is no key."""
    try:
        pem = read_bounded(home.identity, max_bytes=_MAX_PEM_BYTES, what="identity")
    except FileNotFoundError as error:
        raise IdentityError(f"identity: no key in {home.root}; make one with sealroom keygen") from error
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem


def _encryption(passphrase: str | None) -> KeySerializationEncryption:
    if passphrase is None:
        return NoEncryption()
    if not passphrase:
        raise ValueError("passphrase must not be empty")
    return BestAvailableEncryption(passphrase.encode("utf-8"))


def _signing_key(key: Ed25519PrivateKey) -> SigningKey:
    # A writable copy, which `from_seed` zeroes once it is in the key's own buffer.
    return SigningKey.from_seed(bytearray(key.private_bytes_raw()))
