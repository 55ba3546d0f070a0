"""What one X.509 certificate of a PCK or signing chain says; nothing here is believed yet.

Own strict DER rather than a general X.509 library: the accepted shape is small, every refusal is ours,
and the bytes that are signed are kept as received. Specification: docs/spec/quotes.md, "Certificates".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation import der
from sealroom.core.attestation.der import DerReader
from sealroom.core.errors import MalformedError

MAX_CERTIFICATE_BYTES = 8_192
_MAX_EXTENSIONS = 16

ECDSA_WITH_SHA256 = der.object_identifier("1.2.840.10045.4.3.2")
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
    outer = DerReader(raw)
    certificate = outer.inside(der.SEQUENCE, "certificate")
    outer.finish("certificate")
    tbs = certificate.whole(der.SEQUENCE, "tbs certificate")
    read_algorithm(certificate)
    signature = certificate.bits("certificate signature")
    certificate.finish("certificate")

    body = DerReader(tbs).inside(der.SEQUENCE, "tbs certificate")
    if body.content(0xA0, "certificate version") != b"\x02\x01\x02":
        raise MalformedError("certificate version: not 3")
    serial = body.integer("serial number")
    if serial == 0:
        raise MalformedError("serial number: not positive")
    read_algorithm(body)
    issuer = body.whole(der.SEQUENCE, "issuer")
    validity = body.inside(der.SEQUENCE, "validity")
    not_before, not_after = validity.time("not before"), validity.time("not after")
    validity.finish("validity")
    subject = body.whole(der.SEQUENCE, "subject")
    public_key = _public_key(body.inside(der.SEQUENCE, "public key"))
    extensions = read_extensions(body.inside(0xA3, "extensions"))
    body.finish("tbs certificate")
    return Certificate(
        raw=raw,
        tbs=tbs,
        signature=signature,
        serial=serial,
        issuer=issuer,
        subject=subject,
        common_name=_common_name(subject),
        not_before=not_before,
        not_after=not_after,
        public_key=public_key,
        rights=_rights(extensions),
        extensions=extensions,
    )


def read_algorithm(reader: DerReader) -> None:
    """Take an AlgorithmIdentifier that is ecdsa-with-SHA256 without parameters."""
    algorithm = reader.inside(der.SEQUENCE, "signature algorithm")
    if algorithm.content(der.OBJECT_IDENTIFIER, "signature algorithm") != ECDSA_WITH_SHA256:
        raise MalformedError("signature algorithm: not ecdsa-with-SHA256")
    algorithm.finish("signature algorithm")


def read_extensions(wrapper: DerReader) -> dict[bytes, bytes]:
    """Read the extensions inside their context tag: each once, no unknown critical one."""
    reader = wrapper.inside(der.SEQUENCE, "extensions")
    wrapper.finish("extensions")
    found: dict[bytes, bytes] = {}
    while not reader.empty:
        extension = reader.inside(der.SEQUENCE, "extension")
        identifier = extension.content(der.OBJECT_IDENTIFIER, "extension id")
        critical = extension.peek_tag() == der.BOOLEAN and extension.boolean("extension critical")
        if critical and identifier not in _MAY_BE_CRITICAL:
            raise MalformedError(f"extension {identifier.hex()}: critical and unknown")
        if identifier in found:
            raise MalformedError(f"extension {identifier.hex()}: stands twice")
        found[identifier] = extension.content(der.OCTET_STRING, "extension value")
        extension.finish("extension")
        if len(found) > _MAX_EXTENSIONS:
            raise MalformedError(f"extensions: more than {_MAX_EXTENSIONS}")
    return found


def _public_key(reader: DerReader) -> bytes:
    if reader.whole(der.SEQUENCE, "key algorithm") != _P256_KEY:
        raise MalformedError("key algorithm: not P-256")
    point = reader.bits("public key")
    reader.finish("public key")
    if len(point) != 65 or point[0] != 4:
        raise MalformedError("public key: not an uncompressed point")
    return point


def _common_name(subject: bytes) -> str:
    names = DerReader(subject).inside(der.SEQUENCE, "subject")
    common_name: str | None = None
    while not names.empty:
        pair = names.inside(der.SET, "name part")
        attribute = pair.inside(der.SEQUENCE, "name attribute")
        pair.finish("name part")
        if attribute.content(der.OBJECT_IDENTIFIER, "name type") != _COMMON_NAME:
            continue
        if common_name is not None:
            raise MalformedError("subject: two common names")
        common_name = _text(attribute)
    if common_name is None:
        raise MalformedError("subject: no common name")
    return common_name


def _text(attribute: DerReader) -> str:
    tag = attribute.peek_tag()
    if tag not in (0x0C, 0x13):  # UTF8String, PrintableString
        raise MalformedError("common name: neither UTF8String nor PrintableString")
    raw = attribute.content(tag, "common name")
    attribute.finish("name attribute")
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("common name: not ASCII") from exc


def _rights(extensions: dict[bytes, bytes]) -> Rights:
    constraints = extensions.get(BASIC_CONSTRAINTS)
    usage = extensions.get(KEY_USAGE)
    if constraints is None or usage is None:
        raise MalformedError("extensions: basic constraints or key usage missing")
    outer = DerReader(constraints)
    inner = outer.inside(der.SEQUENCE, "basic constraints")
    outer.finish("basic constraints")
    is_ca = inner.peek_tag() == der.BOOLEAN and inner.boolean("basic constraints")
    path_length = None if inner.empty else inner.integer("path length", max_bytes=1)
    inner.finish("basic constraints")
    return Rights(is_ca=is_ca, path_length=path_length, key_usage=_key_usage(usage))


def _key_usage(value: bytes) -> int:
    reader = DerReader(value)
    content = reader.content(der.BIT_STRING, "key usage")
    reader.finish("key usage")
    if not 2 <= len(content) <= 3 or content[0] > 7:
        raise MalformedError("key usage: not one or two bytes of bits")
    return content[1]
