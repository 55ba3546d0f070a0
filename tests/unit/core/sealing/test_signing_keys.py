"""Participants' and enclaves' key pairs, and sealed boxes."""

import hashlib

import nacl.bindings
import nacl.public
import nacl.signing
import pytest

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey, box_form, seal_box
from sealroom.core.sealing.keys import SigningKey, fingerprint, short_fingerprint
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.signatures import verify_ed25519

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_signs_as_rfc_8032_does() -> None:
    key = SigningKey.from_seed(SEED)
    assert key.public_key == PUBLIC
    assert key.sign(b"\x72") == SIGNATURE


def test_an_empty_message_is_signed_too() -> None:
    key = SigningKey.generate()
    verify_ed25519(public_key=key.public_key, message=b"", signature=key.sign(b""))


def test_every_generated_key_is_another_one() -> None:
    assert IdentityKey.generate().public_key != IdentityKey.generate().public_key
    assert BoxKey.generate().public_key != BoxKey.generate().public_key


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_refuses_a_seed_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match="expected 32"):
        SigningKey.from_seed(bytes(size))
    with pytest.raises(ValueError, match="expected 32"):
        SigningKey.from_seed(SecretBuffer(size or 1))


def test_a_seed_buffer_is_wiped_once_used() -> None:
    seed = SecretBuffer.take(SEED, 32)
    assert SigningKey.from_seed(seed).public_key == PUBLIC
    assert seed.wiped


def test_a_wiped_key_signs_nothing_and_keeps_its_public_half() -> None:
    key = IdentityKey.generate()
    public = key.public_key
    key.wipe()
    assert key.wiped
    assert key.public_key == public
    with pytest.raises(RuntimeError, match="wiped"):
        key.sign(b"message")


def test_repr_shows_the_short_fingerprint_alone() -> None:
    key = SigningKey.from_seed(SEED)
    assert repr(key) == f"<SigningKey {short_fingerprint(PUBLIC)}, secret hidden>"
    assert SEED.hex() not in repr(key)
    box_key = BoxKey.generate()
    assert box_key.secret.reveal().hex()[:8] not in repr(box_key)


def test_fingerprint_is_sha3_256_and_its_short_form_the_last_8_octets() -> None:
    digest = hashlib.sha3_256(PUBLIC).hexdigest()
    assert fingerprint(PUBLIC) == SigningKey.from_seed(SEED).fingerprint == digest
    assert short_fingerprint(PUBLIC) == digest[-16:]


def test_boxes_are_libsodium_sealed_boxes() -> None:
    box_key = BoxKey.generate()
    sealed = nacl.public.SealedBox(nacl.public.PublicKey(box_key.public_key)).encrypt(b"hello")
    assert box_key.open(sealed).reveal() == b"hello"
    private = nacl.public.PrivateKey(box_key.secret.reveal())
    box = seal_box(SecretBuffer.take(b"hello", 5), box_key.public_key)
    assert nacl.public.SealedBox(private).decrypt(box) == b"hello"


def test_a_box_for_another_key_does_not_open() -> None:
    box = seal_box(SecretBuffer.take(b"hello", 5), BoxKey.generate().public_key)
    with pytest.raises(VerificationError, match="not sealed to this key"):
        BoxKey.generate().open(box)


@pytest.mark.parametrize("size", [0, 32, 47, 48])
def test_a_box_too_short_to_hold_anything_is_refused(size: int) -> None:
    with pytest.raises(VerificationError, match="more than 48"):
        BoxKey.generate().open(bytes(size))


def test_a_wiped_box_key_opens_nothing() -> None:
    box_key = BoxKey.generate()
    box = seal_box(SecretBuffer.take(b"hello", 5), box_key.public_key)
    box_key.wipe()
    assert box_key.wiped
    with pytest.raises(RuntimeError, match="wiped"):
        box_key.open(box)


def test_the_x25519_form_of_both_halves_fit() -> None:
    key = SigningKey.generate()
    form = box_form(key.public_key)
    assert form == nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(key.public_key)
    assert BoxKey.from_signing_key(key).public_key == form


def test_refuses_public_keys_that_no_box_can_be_made_to() -> None:
    plain = SecretBuffer.take(b"hello", 5)
    with pytest.raises(ValueError, match="weak point"):
        seal_box(plain, bytes(32))
    with pytest.raises(ValueError, match="expected 32"):
        seal_box(plain, bytes(31))
    with pytest.raises(ValueError, match="not a valid Ed25519 point"):
        box_form(bytes(32))
    with pytest.raises(ValueError, match="expected 32"):
        box_form(bytes(33))


def test_signatures_agree_with_pynacl() -> None:
    key = SigningKey.from_seed(SEED)
    assert nacl.signing.SigningKey(SEED).sign(b"text").signature == key.sign(b"text")
