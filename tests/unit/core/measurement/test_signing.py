"""Signing enclaves: keys, devices that hold them, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.expansion import with_defaults
from sealroom.core.measurement.signing import sign_sigstruct, verify_sigstruct
from sealroom.core.measurement.signing_key import (
    EnclaveSigningKey,
    is_encrypted,
    new_enclave_signing_key,
    parse_enclave_signing_key,
    parse_public_modulus,
)
from sealroom.core.measurement.sigstruct import SIGSTRUCT_SIZE, SigstructBody, parse_sigstruct, sigstruct_body

_CASE = Path(__file__).parents[3] / "vectors" / "measurement" / "sigstruct-plain"
_PEM = (_CASE / "key").read_bytes()
_DATE = "0000-00-00"


@pytest.fixture(scope="module")
def key() -> EnclaveSigningKey:
    return parse_enclave_signing_key(_PEM)


def _body(**sgx: object) -> SigstructBody:
    return sigstruct_body(with_defaults({"sgx": sgx}), mrenclave=bytes(range(32)), date=_DATE)


def test_what_is_signed_verifies_and_reads_back(key: EnclaveSigningKey) -> None:
    body = _body(debug=True, isvsvn=65535)
    signed = sign_sigstruct(body, key)
    raw = signed.to_bytes()
    assert len(raw) == SIGSTRUCT_SIZE
    assert verify_sigstruct(raw) == signed
    assert (signed.body, signed.body.debug, signed.body.isv_svn) == (body, True, 65535)


def test_the_same_enclave_key_and_date_give_the_same_file(key: EnclaveSigningKey) -> None:
    assert sign_sigstruct(_body(), key).to_bytes() == sign_sigstruct(_body(), key).to_bytes()


def test_a_key_never_prints(key: EnclaveSigningKey) -> None:
    assert "EnclaveSigningKey()" == repr(key) == str(key)


class _Device:
    def __init__(self, modulus: int, answer: bytes) -> None:
        self.modulus = modulus
        self._answer = answer

    def sign(self, _message: bytes) -> bytes:
        return self._answer


def test_a_device_that_signs_something_else_is_noticed(key: EnclaveSigningKey) -> None:
    other = key.sign(_body(debug=True).signed_bytes())
    with pytest.raises(VerificationError, match="not made over these fields"):
        sign_sigstruct(_body(), _Device(key.modulus, other))


def test_a_device_with_another_key_is_noticed(key: EnclaveSigningKey) -> None:
    with pytest.raises(VerificationError, match="signature"):
        sign_sigstruct(_body(), _Device(key.modulus + 2, key.sign(_body().signed_bytes())))


def test_a_device_that_answers_in_another_size_is_noticed(key: EnclaveSigningKey) -> None:
    with pytest.raises(VerificationError, match="returned 5 bytes"):
        sign_sigstruct(_body(), _Device(key.modulus, b"short"))


def test_a_device_with_a_small_key_is_refused() -> None:
    with pytest.raises(MalformedError, match="bits"):
        sign_sigstruct(_body(), _Device((1 << 2047) + 1, bytes(384)))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"isvprodid": 65536}, "isvprodid"),
        ({"isvprodid": -1}, "isvprodid"),
        ({"isvsvn": True}, "isvsvn"),
        ({"debug": 1}, "debug"),
        ({"use_exinfo": "no"}, "use_exinfo"),
        ({"cpu_features": {"mpx": "unspecified"}}, "mpx"),
        ({"cpu_features": {"pkru": "on"}}, "pkru"),
        ({"cpu_features": {"avx": 1}}, "avx"),
    ],
)
def test_refuses_settings_that_the_signer_refuses(settings: dict, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        _body(**settings)


@pytest.mark.parametrize("manifest", [{}, {"sgx": 1}, {"sgx": {}}, {"sgx": {"cpu_features": 1}}])
def test_refuses_a_manifest_without_its_settings(manifest: dict) -> None:
    with pytest.raises(MalformedError, match="sgx"):
        sigstruct_body(manifest, mrenclave=bytes(32), date=_DATE)


@pytest.mark.parametrize("date", ["today", "2025-1-31", "20250131", "2025-01-3a", ""])
def test_refuses_another_form_of_date(date: str) -> None:
    with pytest.raises(MalformedError, match="date"):
        sigstruct_body(with_defaults({}), mrenclave=bytes(32), date=date)


def test_a_sigstruct_of_intel_reads_with_its_own_fields(key: EnclaveSigningKey) -> None:
    body = replace(_body(), vendor=0x8086, swdefined=7, cet_attributes=1, isv_family_id=b"f" * 16)
    assert verify_sigstruct(sign_sigstruct(body, key).to_bytes()).body == body


@given(st.integers(0, SIGSTRUCT_SIZE - 1), st.integers(1, 255))
def test_no_other_byte_verifies(position: int, change: int) -> None:
    raw = bytearray((_CASE / "input").read_bytes())
    raw[position] ^= change
    with pytest.raises((MalformedError, VerificationError)):
        verify_sigstruct(bytes(raw))


@given(st.binary(max_size=64), st.sampled_from([0, SIGSTRUCT_SIZE]))
def test_any_bytes_are_parsed_or_malformed(start: bytes, size: int) -> None:
    try:
        parse_sigstruct(start.ljust(size, b"\0"))
    except MalformedError:
        return


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, passphrase: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)


@pytest.fixture(scope="module")
def plain() -> rsa.RSAPrivateKey:
    found = load_pem_private_key(_PEM, None)
    assert isinstance(found, rsa.RSAPrivateKey)
    return found


def test_reads_both_forms_of_pem_and_passphrases(plain: rsa.RSAPrivateKey, key: EnclaveSigningKey) -> None:
    assert parse_enclave_signing_key(_pem(plain)).modulus == key.modulus
    for locked in (_pem(plain, passphrase=b"open"), key.to_pem(passphrase="open")):
        assert is_encrypted(locked)
        assert parse_enclave_signing_key(locked, passphrase="open").modulus == key.modulus
        for wrong in (None, "shut"):
            with pytest.raises(MalformedError, match="passphrase"):
                parse_enclave_signing_key(locked, passphrase=wrong)
    assert not is_encrypted(key.to_pem(passphrase=None))


def test_refuses_keys_that_sign_no_enclave() -> None:
    other_exponent = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    elliptic = ec.generate_private_key(ec.SECP256R1())
    for private in (other_exponent, elliptic):
        with pytest.raises(MalformedError, match="3072 bits with exponent 3"):
            parse_enclave_signing_key(_pem(private))
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(MalformedError, match="3072 bits with exponent 3"):
            parse_public_modulus(public)
    for parse in (parse_enclave_signing_key, parse_public_modulus):
        with pytest.raises(MalformedError, match="not a PEM"):
            parse(b"-----BEGIN NOTHING-----")


def test_reads_a_public_key(plain: rsa.RSAPrivateKey, key: EnclaveSigningKey) -> None:
    pem = plain.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert parse_public_modulus(pem) == key.modulus


@pytest.mark.slow
def test_a_new_key_signs() -> None:
    key = new_enclave_signing_key()
    assert parse_enclave_signing_key(key.to_pem(passphrase=None)).modulus == key.modulus
    verify_sigstruct(sign_sigstruct(_body(), key).to_bytes())
