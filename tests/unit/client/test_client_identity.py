from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from sealroom.client.home import Home
from sealroom.client.identity import (
    IdentityError,
    PassphraseError,
    create_identity,
    identity_has_passphrase,
    load_identity,
    parse_identity,
)
from sealroom.core.errors import MalformedError
from sealroom.core.wire.signatures import verify_ed25519


def test_a_stored_identity_is_the_one_that_was_made(home: Home) -> None:
    made = create_identity(home)
    loaded = load_identity(home)
    assert loaded.public_key == made.public_key
    verify_ed25519(public_key=made.public_key, message=b"m", signature=loaded.sign(b"m"))


def test_the_file_is_pkcs8_pem_that_other_tools_read(home: Home) -> None:
    made = create_identity(home)
    raw = home.identity.read_bytes()
    assert home.identity.stat().st_mode & 0o777 == 0o600
    assert raw.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    key = load_pem_private_key(raw, None)
    assert key.public_key().public_bytes_raw() == made.public_key  # type: ignore[union-attr]


def test_an_identity_is_never_replaced(home: Home) -> None:
    made = create_identity(home)
    with pytest.raises(IdentityError, match="exists"):
        create_identity(home)
    assert load_identity(home).public_key == made.public_key


def test_a_passphrase_protects_the_file(home: Home) -> None:
    made = create_identity(home, passphrase="correct horse")
    assert identity_has_passphrase(home)
    assert load_identity(home, passphrase="correct horse").public_key == made.public_key
    with pytest.raises(PassphraseError):
        load_identity(home)
    with pytest.raises(PassphraseError) as refused:
        load_identity(home, passphrase="wrong horse")
    assert "horse" not in str(refused.value)


def test_a_passphrase_for_an_unprotected_key_is_a_mistake(home: Home) -> None:
    create_identity(home)
    assert not identity_has_passphrase(home)
    with pytest.raises(PassphraseError):
        load_identity(home, passphrase="x")


def test_an_empty_passphrase_is_refused(home: Home) -> None:
    with pytest.raises(ValueError, match="empty"):
        create_identity(home, passphrase="")
    assert not home.identity.exists()


def test_a_home_without_a_key_says_so(home: Home) -> None:
    with pytest.raises(IdentityError, match="keygen"):
        load_identity(home)
    with pytest.raises(IdentityError, match="keygen"):
        identity_has_passphrase(home)


def test_a_key_of_another_kind_is_refused() -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(MalformedError, match="Ed25519"):
        parse_identity(pem)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_or_malformed(raw: bytes) -> None:
    with pytest.raises((MalformedError, PassphraseError)):
        parse_identity(raw)


def test_the_secret_is_not_shown(home: Home) -> None:
    key = create_identity(home)
    seed = load_pem_private_key(Path(home.identity).read_bytes(), None)
    assert seed.private_bytes_raw().hex() not in repr(key)  # type: ignore[union-attr]
