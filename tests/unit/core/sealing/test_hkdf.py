"""HKDF-SHA256 against RFC 5869, appendix A, and HMAC against the standard library."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.sealing.hkdf import hkdf_sha256, hmac_sha256
from sealroom.core.sealing.secret import SecretBuffer

RFC_5869 = [
    pytest.param(
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        id="A.1",
    ),
    pytest.param(
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        id="A.2",
    ),
    pytest.param(
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        id="A.3",
    ),
]


@pytest.mark.parametrize(("ikm", "salt", "info", "okm"), RFC_5869)
def test_gives_the_keying_material_of_the_rfc(ikm: str, salt: str, info: str, okm: str) -> None:
    key = SecretBuffer.take(bytes.fromhex(ikm), len(ikm) // 2)
    made = hkdf_sha256(
        key, salt=bytes.fromhex(salt), info=bytes.fromhex(info), into=SecretBuffer(len(okm) // 2)
    )
    assert made.reveal().hex() == okm


def test_refuses_more_than_255_blocks() -> None:
    key = SecretBuffer.random(32)
    assert len(hkdf_sha256(key, salt=b"", info=b"", into=SecretBuffer(255 * 32))) == 255 * 32
    with pytest.raises(ValueError, match="at most 8160"):
        hkdf_sha256(key, salt=b"", info=b"", into=SecretBuffer(255 * 32 + 1))


def test_leaves_the_input_key_usable() -> None:
    key = SecretBuffer.random(32)
    first = hkdf_sha256(key, salt=b"s", info=b"i", into=SecretBuffer(32))
    assert first.equals(hkdf_sha256(key, salt=b"s", info=b"i", into=SecretBuffer(32)))
    assert not first.equals(hkdf_sha256(key, salt=b"s", info=b"j", into=SecretBuffer(32)))
    assert not first.equals(hkdf_sha256(key, salt=b"t", info=b"i", into=SecretBuffer(32)))


@given(key=st.binary(max_size=150), parts=st.lists(st.binary(max_size=100), max_size=4))
def test_hmac_agrees_with_the_standard_library(key: bytes, parts: list[bytes]) -> None:
    expected = hmac.new(key, b"".join(parts), hashlib.sha256).digest()
    assert hmac_sha256(key, *parts).reveal() == expected
