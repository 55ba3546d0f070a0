"""What one X.509 certificate of a PCK or signing chain says; nothing here is believed yet.

Own strict DER rather than a general X.509 library: the accepted shape is small, every refusal is ours,
and the bytes that are signed are kept as received. Specification: docs/spec/quotes.md, "Certificates".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation import der
from sealroom.core.errors import MalformedError

MAX_CERTIFICATE_BYTES = 8_192
_MAX_EXTENSIONS = 16

_ONE_SEQUENCE = bytes([der.SEQUENCE])
_ONE_BIT_STRING = bytes([der.BIT_STRING])
# What was signed, the algorithm, the signature: RFC 5280, 4.1 and 5.1.
_SIGNED = bytes([der.SEQUENCE, der.SEQUENCE, der.BIT_STRING])
# Version, serial number, algorithm, issuer, validity, subject, key, extensions: RFC 5280, 4.1.2.
_TBS_CERTIFICATE = bytes.fromhex("a0 02 30 30 30 30 30 a3")
_PLAIN_EXTENSION = bytes([der.OBJECT_IDENTIFIER, der.OCTET_STRING])
_FLAGGED_EXTENSION = bytes([der.OBJECT_IDENTIFIER, der.BOOLEAN, der.OCTET_STRING])
_VERSION_3 = bytes.fromhex("020102")
# OBJECT IDENTIFIER ecdsa-with-SHA256
_ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
# SEQUENCE { id-ecPublicKey, prime256v1 }
_P256_KEY = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
_COMMON_NAME = der.object_identifier("2.5.4.3")
BASIC_CONSTRAINTS = der.object_identifier("2.5.29.19")
KEY_USAGE = der.object_identifier("2.5.29.15")
_MAY_BE_CRITICAL = frozenset({BASIC_CONSTRAINTS, KEY_USAGE})

_DIGITAL_SIGNATURE = 0x80
_KEY_CERT_SIGN = 0x04
_CRL_SIGN = 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What basic constraints and key usage allow the holder of a certificate."""

    is_ca: bool
    path_length: int | None
    key_usage: int

    @property
    def signs_certificates(self) -> bool:
        """Whether the key may sign certificates."""
        return self.is_ca and bool(self.key_usage & _KEY_CERT_SIGN)

    @property
    def signs_crls(self) -> bool:
        """Whether the key may sign revocation lists."""
        return self.is_ca and bool(self.key_usage & _CRL_SIGN)

    @property
    def signs_documents(self) -> bool:
        """Whether the key is an end entity's signing key."""
        return not self.is_ca and bool(self.key_usage & _DIGITAL_SIGNATURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate as it reads. `tbs`, `issuer` and `subject` are bytes as received."""

    raw: bytes
    tbs: bytes
    signature: bytes
    serial: int
    issuer: bytes
    subject: bytes
    common_name: str
    not_before: datetime
    not_after: datetime
    public_key: bytes
    rights: Rights
    extensions: dict[bytes, bytes]

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name."""
        return self.issuer == self.subject


def parse_certificate(raw: bytes) -> Certificate:
    """Read `raw` as one DER certificate of the accepted shape, or raise `MalformedError`."""
    if len(raw) > MAX_CERTIFICATE_BYTES:
        raise MalformedError(f"certificate: {len(raw)} bytes, at most {MAX_CERTIFICATE_BYTES}")
    tbs, signature = split_signed(raw, "certificate")
    ((_, start, stop),) = der.expected(tbs, 0, len(tbs), _ONE_SEQUENCE, "tbs certificate")
    version, serial, algorithm, issuer, validity, subject, key, extensions = (
        part[1:] for part in der.expected(tbs, start, stop, _TBS_CERTIFICATE, "tbs certificate")
    )
    if tbs[slice(*version)] != _VERSION_3:
        raise MalformedError("certificate version: not 3")
    number = der.read_integer(tbs[slice(*serial)], "serial number")
    if number == 0:
        raise MalformedError("serial number: not positive")
    check_algorithm(tbs[slice(*algorithm)])
    not_before, not_after = _validity(tbs, *validity)
    listed = read_extensions(tbs[slice(*extensions)])
    return Certificate(
        raw=raw,
        tbs=tbs,
        signature=signature,
        serial=number,
        # With its header: an element begins where the one before it stops.
        issuer=tbs[algorithm[1] : issuer[1]],
        subject=tbs[validity[1] : subject[1]],
        common_name=_common_name(tbs, *subject),
        not_before=not_before,
        not_after=not_after,
        public_key=_public_key(tbs[slice(*key)]),
        rights=_rights(listed),
        extensions=listed,
    )


def split_signed(raw: bytes, name: str) -> tuple[bytes, bytes]:
    """Cut what a CA signed with ecdsa-with-SHA256 into the bytes that are signed and the signature."""
    ((_, start, stop),) = der.expected(raw, 0, len(raw), _ONE_SEQUENCE, name)
    tbs, algorithm, signature = der.expected(raw, start, stop, _SIGNED, name)
    check_algorithm(raw[algorithm[1] : algorithm[2]])
    return raw[start : tbs[2]], der.read_bits(raw[signature[1] : signature[2]], f"{name} signature")


def check_algorithm(content: bytes) -> None:
    """Refuse an AlgorithmIdentifier that is not ecdsa-with-SHA256 without parameters."""
    if content != _ECDSA_WITH_SHA256:
        raise MalformedError("signature algorithm: not ecdsa-with-SHA256")


def read_extensions(
    content: bytes, *, may_be_critical: frozenset[bytes] = _MAY_BE_CRITICAL
) -> dict[bytes, bytes]:
    """Read what is inside the context tag of extensions: each once, no critical one but `may_be_critical`."""
    ((_, start, stop),) = der.expected(content, 0, len(content), _ONE_SEQUENCE, "extensions")
    found: dict[bytes, bytes] = {}
    for tag, first, last in der.elements(content, start, stop, "extensions"):
        if tag != der.SEQUENCE:
            raise MalformedError(f"extension: tag 0x{tag:02x} where 0x{der.SEQUENCE:02x} is expected")
        identifier, value = _extension(content, first, last, may_be_critical)
        if identifier in found:
            raise MalformedError(f"extension {identifier.hex()}: stands twice")
        found[identifier] = value
        if len(found) > _MAX_EXTENSIONS:
            raise MalformedError(f"extensions: more than {_MAX_EXTENSIONS}")
    return found


def _extension(data: bytes, start: int, stop: int, may_be_critical: frozenset[bytes]) -> tuple[bytes, bytes]:
    parts = der.elements(data, start, stop, "extension")
    tags = bytes([tag for tag, _, _ in parts])
    if tags not in (_PLAIN_EXTENSION, _FLAGGED_EXTENSION):
        raise MalformedError("extension: not an identifier, perhaps a flag, and a value")
    (_, first, last), (_, value, end) = parts[0], parts[-1]
    identifier = data[first:last]
    if tags == _FLAGGED_EXTENSION:
        _, first, last = parts[1]
        if der.read_boolean(data[first:last], "extension critical") and identifier not in may_be_critical:
            raise MalformedError(f"extension {identifier.hex()}: critical and unknown")
    return identifier, data[value:end]


def _validity(data: bytes, start: int, stop: int) -> tuple[datetime, datetime]:
    times = der.elements(data, start, stop, "validity")
    if len(times) != 2:
        raise MalformedError(f"validity: {len(times)} times, expected 2")
    before, after = (der.read_time(tag, data[first:last], "validity") for tag, first, last in times)
    return before, after


def _public_key(content: bytes) -> bytes:
    if not content.startswith(_P256_KEY):
        raise MalformedError("key algorithm: not P-256")
    # BIT STRING of 65 bytes, whole, the first of which says that the point is uncompressed.
    bits = content[len(_P256_KEY) :]
    if len(bits) != 68 or not bits.startswith(b"\x03\x42\x00\x04"):
        raise MalformedError("public key: not an uncompressed point")
    return bits[3:]


def _common_name(data: bytes, start: int, stop: int) -> str:
    """Read the only common name; other parts of a name are compared with other names, and not read."""
    common_name: str | None = None
    for tag, first, last in der.elements(data, start, stop, "subject"):
        if tag != der.SET:
            raise MalformedError(f"name part: tag 0x{tag:02x} where 0x{der.SET:02x} is expected")
        if data.find(_COMMON_NAME, first, last) < 0:
            continue
        ((_, inner, end),) = der.expected(data, first, last, _ONE_SEQUENCE, "name part")
        kind, text = _attribute(data, inner, end)
        if kind != _COMMON_NAME:
            continue
        if common_name is not None:
            raise MalformedError("subject: two common names")
        common_name = text
    if common_name is None:
        raise MalformedError("subject: no common name")
    return common_name


def _attribute(data: bytes, start: int, stop: int) -> tuple[bytes, str]:
    parts = der.elements(data, start, stop, "name attribute")
    if len(parts) != 2 or parts[0][0] != der.OBJECT_IDENTIFIER:
        raise MalformedError("name attribute: not an identifier with a value")
    (_, first, last), (tag, text, end) = parts
    if tag not in (0x0C, 0x13):  # UTF8String, PrintableString
        raise MalformedError("common name: neither UTF8String nor PrintableString")
    try:
        return data[first:last], data[text:end].decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("common name: not ASCII") from exc


def _rights(extensions: dict[bytes, bytes]) -> Rights:
    constraints = extensions.get(BASIC_CONSTRAINTS)
    usage = extensions.get(KEY_USAGE)
    if constraints is None or usage is None:
        raise MalformedError("extensions: basic constraints or key usage missing")
    ((_, start, stop),) = der.expected(constraints, 0, len(constraints), _ONE_SEQUENCE, "basic constraints")
    is_ca, path_length = False, None
    parts = der.elements(constraints, start, stop, "basic constraints")
    if parts and parts[0][0] == der.BOOLEAN:
        _, first, last = parts.pop(0)
        is_ca = der.read_boolean(constraints[first:last], "basic constraints")
    if parts and parts[0][0] == der.INTEGER:
        _, first, last = parts.pop(0)
        path_length = der.read_integer(constraints[first:last], "path length", max_bytes=1)
    if parts:
        raise MalformedError("basic constraints: neither a flag nor a path length")
    return Rights(is_ca=is_ca, path_length=path_length, key_usage=_key_usage(usage))


def _key_usage(value: bytes) -> int:
    ((_, start, stop),) = der.expected(value, 0, len(value), _ONE_BIT_STRING, "key usage")
    if not 2 <= stop - start <= 3 or value[start] > 7:
        raise MalformedError("key usage: not one or two bytes of bits")
    return value[start + 1]
