"""Secrets in own buffers: hidden, compared in constant time, gone after wiping."""

import copy
import pickle
import subprocess
import sys

import pytest
from nacl._sodium import ffi, lib

from sealroom.core.sealing.keys import DataKey, PreSharedKey, all_distinct, all_equal
from sealroom.core.sealing.secret import SecretBuffer


def test_pynacl_still_has_every_function_that_sealing_calls() -> None:
    """`nacl._sodium` is private: a release without one of these must fail here, by name."""
    needed = {
        "crypto_box_keypair",
        "crypto_box_seal",
        "crypto_box_seal_open",
        "crypto_hash_sha256",
        "crypto_scalarmult_base",
        "crypto_secretbox_easy",
        "crypto_secretbox_open_easy",
        "crypto_sign",
        "crypto_sign_ed25519_pk_to_curve25519",
        "crypto_sign_ed25519_sk_to_curve25519",
        "crypto_sign_keypair",
        "crypto_sign_seed_keypair",
        "randombytes",
        "sodium_init",
        "sodium_memcmp",
        "sodium_memzero",
        "sodium_mlock",
    }
    assert needed <= set(dir(lib))


def test_libsodium_is_initialised_wherever_a_secret_can_be() -> None:
    """Not by luck of another import: uninitialised, it works at half the speed and tells nobody."""
    program = (
        "import sys, sealroom.core.sealing.secret\n"
        "from nacl._sodium import lib\n"
        "assert 'nacl.bindings' not in sys.modules\n"
        "print(lib.sodium_init())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n", "1: was initialised before"


def test_wiping_zeroes_the_very_memory() -> None:
    secret = SecretBuffer.random(64)
    memory = secret.cdata
    assert bytes(ffi.buffer(memory)) != bytes(64)
    secret.wipe()
    assert bytes(ffi.buffer(memory)) == bytes(64)
    assert secret.wiped


def test_the_end_of_life_wipes_too() -> None:
    secret = SecretBuffer.random(64)
    memory = secret.cdata
    del secret
    assert bytes(ffi.buffer(memory)) == bytes(64)


def test_a_wiped_secret_cannot_be_used() -> None:
    secret = DataKey.generate()
    secret.wipe()
    secret.wipe()
    for use in (secret.reveal, lambda: secret.cdata, lambda: secret.equals(DataKey.generate())):
        with pytest.raises(RuntimeError, match="secret was wiped"):
            use()


def test_taking_over_a_writable_buffer_zeroes_it() -> None:
    source = bytearray(b"\x07" * 32)
    key = DataKey.from_bytes(source)
    assert source == bytes(32)
    assert key.reveal() == b"\x07" * 32


def test_a_part_of_one_secret_fills_another() -> None:
    whole = SecretBuffer.take(bytes(range(64)), 64)
    assert DataKey().fill_from(whole).reveal() == bytes(range(32))
    assert DataKey().fill_from(whole, start=32).reveal() == bytes(range(32, 64))


@pytest.mark.parametrize("start", [-1, 33, 64, 1000])
def test_nothing_outside_a_secret_is_copied(start: int) -> None:
    with pytest.raises(ValueError, match="expected 32 octets"):
        DataKey().fill_from(SecretBuffer.random(64), start=start)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_keys_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"expected 32, got {size}"):
        DataKey.from_bytes(bytes(size))


def test_refuses_an_empty_secret_and_a_key_of_another_size() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SecretBuffer(0)
    with pytest.raises(ValueError, match="expected 32"):
        DataKey(16)


def test_never_shows_the_secret() -> None:
    key = DataKey.from_bytes(b"secret! " * 4)
    assert repr(key) == str(key) == f"{key}" == "<DataKey of 32 octets, hidden>"


def test_is_neither_copied_nor_pickled() -> None:
    key = DataKey.generate()
    for leak in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="secrets are not"):
            leak(key)


def test_equality_looks_at_octets_and_length() -> None:
    assert DataKey.from_bytes(b"\x01" * 32).equals(PreSharedKey.from_bytes(b"\x01" * 32))
    assert not DataKey.from_bytes(b"\x01" * 32).equals(DataKey.from_bytes(b"\x01" * 31 + b"\x02"))
    assert not DataKey.from_bytes(b"\x01" * 32).equals(SecretBuffer.take(b"\x01" * 31, 31))


def test_keys_of_all_deliveries_are_compared() -> None:
    one, same, other = (DataKey.from_bytes(bytes([octet]) * 32) for octet in (1, 1, 2))
    assert all_equal([one, same])
    assert not all_equal([one, same, other])
    assert all_distinct([one, other])
    assert not all_distinct([one, other, same])
    assert all_equal([]) and all_distinct([])
    assert all_equal([one]) and all_distinct([one])
