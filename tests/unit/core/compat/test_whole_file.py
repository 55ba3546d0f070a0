"""The published client's file form, beside PyNaCl's own SecretBox, which is what that client used."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from sealroom.core.compat.whole_file import (
    OVERHEAD,
    open_in_place,
    open_whole_file,
    seal_in_place,
    seal_whole_file,
)
from sealroom.core.errors import MalformedError, SealroomError, VerificationError
from sealroom.core.sealing.keys import DataKey

RAW_KEY = bytes(range(32))


@pytest.fixture
def key() -> Iterator[DataKey]:
    made = DataKey.from_bytes(RAW_KEY)
    yield made
    made.wipe()


@given(plaintext=st.binary(max_size=300))
def test_the_published_form_opens_what_is_sealed_here(plaintext: bytes) -> None:
    sealed = seal_whole_file(plaintext, key=DataKey.from_bytes(RAW_KEY))
    assert len(sealed) == len(plaintext) + OVERHEAD
    assert SecretBox(RAW_KEY).decrypt(bytes(sealed)) == plaintext


@given(plaintext=st.binary(max_size=300))
def test_what_the_published_form_sealed_opens_here(plaintext: bytes) -> None:
    sealed = bytes(SecretBox(RAW_KEY).encrypt(plaintext))
    assert open_whole_file(sealed, key=DataKey.from_bytes(RAW_KEY)) == plaintext


def test_sealing_and_opening_take_place_in_the_one_buffer(key: DataKey) -> None:
    buffer = bytearray(OVERHEAD) + b"what is to be hidden"
    seal_in_place(memoryview(buffer), key=key)
    assert b"hidden" not in buffer
    opened = open_in_place(buffer, key=key)
    assert opened.obj is buffer
    assert opened == b"what is to be hidden"


def test_each_file_has_a_nonce_of_its_own(key: DataKey) -> None:
    assert seal_whole_file(b"same", key=key)[:24] != seal_whole_file(b"same", key=key)[:24]


@pytest.mark.parametrize("place", [0, 23, 24, 39, 40, 43])
def test_refuses_one_changed_bit_and_gives_nothing(place: int, key: DataKey) -> None:
    sealed = seal_whole_file(b"text", key=key)
    sealed[place] ^= 1
    before = bytes(sealed)
    with pytest.raises(VerificationError, match="changed"):
        open_in_place(sealed, key=key)
    assert sealed == before


def test_refuses_another_key(key: DataKey) -> None:
    with pytest.raises(VerificationError, match="another key"):
        open_whole_file(seal_whole_file(b"text", key=key), key=DataKey.generate())


@pytest.mark.parametrize("size", [0, 1, 24, 39])
def test_refuses_a_file_without_room_for_nonce_and_tag(size: int, key: DataKey) -> None:
    with pytest.raises(MalformedError, match="at least 40 octets"):
        open_whole_file(bytes(size), key=key)


def test_refuses_to_seal_a_buffer_without_room_for_nonce_and_tag(key: DataKey) -> None:
    with pytest.raises(ValueError, match="room of 40 octets"):
        seal_in_place(bytearray(39), key=key)


def test_never_writes_into_what_nobody_may_write(key: DataKey) -> None:
    with pytest.raises(BufferError):
        seal_in_place(memoryview(bytes(50)), key=key)
    with pytest.raises(BufferError):
        open_in_place(memoryview(bytes(50)), key=key)


def test_a_wiped_key_seals_nothing(key: DataKey) -> None:
    key.wipe()
    with pytest.raises(RuntimeError, match="wiped"):
        seal_whole_file(b"text", key=key)


@given(sealed=st.binary(max_size=200))
def test_opens_or_raises_an_error_of_ours_for_any_bytes(sealed: bytes) -> None:
    with pytest.raises(SealroomError):
        open_whole_file(sealed, key=DataKey.from_bytes(RAW_KEY))
