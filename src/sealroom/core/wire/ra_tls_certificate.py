"""Making the certificate of an attested TLS key: DER written by hand, signed by whoever holds the key.

Imports no cryptography, so that an enclave can measure little: the caller hands in the signing function.
Must never see a private key.

Spec: docs/spec/ra-tls.md, "Making".
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.core.wire.ra_tls import CertificateKey, EvidenceForm, KeyAlgorithm

P256_POINT_BYTES = 65
_MAX_NAME = 64
_ADDRESS_BYTES = (4, 16)

_BIT_STRING, _INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER = 0x03, 0x02, 0x04, 0x06
_UTF8, _SEQUENCE, _SET, _UTC_TIME, _GENERALIZED_TIME = 0x0C, 0x30, 0x31, 0x17, 0x18
_TRUE = bytes.fromhex("0101ff")
_VERSION_3 = bytes.fromhex("a003020102")
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("0603550403")
_BASIC_CONSTRAINTS = bytes.fromhex("551d13")
_KEY_USAGE = bytes.fromhex("551d0f")
_EXTENDED_KEY_USAGE = bytes.fromhex("551d25")
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")
_DIGITAL_SIGNATURE = bytes.fromhex("03020780")
_SERVER_AUTH = bytes.fromhex("300a06082b06010505070301")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFields:
    """What a certificate says besides key and evidence. `serial` is the caller's random positive number.

    `addresses` are IP addresses in network order: 4 octets, or 16.
    """

    common_name: str
    dns_names: tuple[str, ...]
    addresses: tuple[bytes, ...] = ()
    serial: int
    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        if not 1 <= len(self.common_name) <= _MAX_NAME:
            raise ValueError(f"common name: expected 1 to {_MAX_NAME} characters")
        if not all(name.isascii() and 1 <= len(name) <= 253 for name in self.dns_names):
            raise ValueError("dns names: expected ASCII of 1 to 253 characters")
        if not all(len(address) in _ADDRESS_BYTES for address in self.addresses):
            raise ValueError("addresses: expected 4 or 16 octets")
        if not 0 < self.serial < 1 << 159:
            raise ValueError("serial: expected a positive number of at most 20 octets")
        if self.not_before.tzinfo is None or self.not_after.tzinfo is None:
            raise ValueError("dates: expected moments with their time zone")


def p256_key(point: bytes) -> CertificateKey:
    """Return the key that is this uncompressed point of P-256."""
    if len(point) != P256_POINT_BYTES or point[0] != 4:
        raise ValueError(f"point: expected an uncompressed point of {P256_POINT_BYTES} bytes")
    algorithm = KeyAlgorithm.P256
    info = _element(_SEQUENCE, algorithm.value, _element(_BIT_STRING, b"\0", point))
    return CertificateKey(algorithm=algorithm, info=info, content=point)


def make_certificate(
    fields: CertificateFields,
    *,
    key: CertificateKey,
    form: EvidenceForm,
    evidence: bytes,
    sign: Callable[[bytes], bytes],
) -> bytes:
    """Return the DER certificate of `key`, a P-256 key, with `evidence` in the extension of `form`.

    `sign` gets the bytes to be signed, and returns an ECDSA signature with SHA-256 by that same key, in DER.
    """
    if key.algorithm is not KeyAlgorithm.P256:
        raise ValueError("key: certificates are made for P-256 keys only")
    name = _element(
        _SEQUENCE,
        _element(
            _SET, _element(_SEQUENCE, _COMMON_NAME, _element(_UTF8, fields.common_name.encode("utf-8")))
        ),
    )
    to_be_signed = _element(
        _SEQUENCE,
        _VERSION_3,
        _element(_INTEGER, fields.serial.to_bytes(fields.serial.bit_length() // 8 + 1, "big")),
        _ECDSA_WITH_SHA256,
        name,
        _element(_SEQUENCE, _time(fields.not_before), _time(fields.not_after)),
        name,
        key.info,
        _element(0xA3, _element(_SEQUENCE, *_extensions(fields, form, evidence))),
    )
    signature = _element(_BIT_STRING, b"\0", sign(to_be_signed))
    return _element(_SEQUENCE, to_be_signed, _ECDSA_WITH_SHA256, signature)


def _extensions(fields: CertificateFields, form: EvidenceForm, evidence: bytes) -> tuple[bytes, ...]:
    # RFC 5280, 4.2.1.6: dNSName is [2], iPAddress is [7].
    names = b"".join(_element(0x82, name.encode("ascii")) for name in fields.dns_names)
    names += b"".join(_element(0x87, address) for address in fields.addresses)
    return (
        _extension(_BASIC_CONSTRAINTS, _element(_SEQUENCE), critical=True),
        _extension(_KEY_USAGE, _DIGITAL_SIGNATURE, critical=True),
        _extension(_EXTENDED_KEY_USAGE, _SERVER_AUTH),
        *((_extension(_SUBJECT_ALT_NAME, _element(_SEQUENCE, names)),) if names else ()),
        _extension(form.identifier, evidence),
    )


def _extension(identifier: bytes, value: bytes, *, critical: bool = False) -> bytes:
    return _element(
        _SEQUENCE,
        _element(_OBJECT_IDENTIFIER, identifier),
        _TRUE if critical else b"",
        _element(_OCTET_STRING, value),
    )


def _time(moment: datetime) -> bytes:
    # RFC 5280, 4.1.2.5: UTCTime through 2049.
    utc = moment.astimezone(UTC)
    if utc.year < 2050:
        return _element(_UTC_TIME, f"{utc:%y%m%d%H%M%SZ}".encode("ascii"))
    return _element(_GENERALIZED_TIME, f"{utc:%Y%m%d%H%M%SZ}".encode("ascii"))


def _element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + size.to_bytes(octets, "big") + content
