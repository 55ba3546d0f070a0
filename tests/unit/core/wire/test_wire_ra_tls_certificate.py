"""The certificate of an attested key as other parsers read it: names, addresses, dates."""

import ipaddress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sealroom.core.wire.ra_tls import EvidenceForm
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key

KEY = ec.generate_private_key(ec.SECP256R1())
POINT = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2056, 1, 1, tzinfo=UTC)
ADDRESSES = ("127.0.0.1", "2001:db8::1")


def fields(**changes: object) -> CertificateFields:
    members = {
        "common_name": "service.example",
        "dns_names": ("service.example", "localhost"),
        "addresses": tuple(ipaddress.ip_address(address).packed for address in ADDRESSES),
        "serial": 7,
        "not_before": START,
        "not_after": END,
    }
    return CertificateFields(**(members | changes))


def made(**changes: object) -> x509.Certificate:
    certificate = make_certificate(
        fields(**changes),
        key=p256_key(POINT),
        form=EvidenceForm.SGX_QUOTE,
        evidence=b"quote",
        sign=lambda message: KEY.sign(message, ec.ECDSA(hashes.SHA256())),
    )
    return x509.load_der_x509_certificate(certificate)


def test_each_name_and_each_address_is_an_alternative_name() -> None:
    found = made().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["service.example", "localhost"]
    assert [str(address) for address in found.get_values_for_type(x509.IPAddress)] == list(ADDRESSES)


def test_a_service_with_addresses_alone_has_them_alone() -> None:
    found = made(dns_names=()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [type(name) for name in found] == [x509.IPAddress, x509.IPAddress]


def test_dates_around_2050_are_read_as_they_were_meant() -> None:
    certificate = made()
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (START, END)


@pytest.mark.parametrize("address", [b"", b"\x7f\0\0", b"1" * 15, b"1" * 17])
def test_an_address_of_another_length_is_no_address(address: bytes) -> None:
    with pytest.raises(ValueError, match="4 or 16 octets"):
        fields(addresses=(address,))
