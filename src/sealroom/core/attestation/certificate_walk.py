"""What a certificate that carries evidence, or signs tokens, says; nothing here is believed yet.

Wider than `certificates`, which knows Intel's own certificates only: other keys, other signatures, names that
nobody reads, and the forms of Gramine that X.509 libraries refuse. Just as strict about the bytes.
Specification: docs/spec/ra-tls.md, "Certificate".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation import der
from sealroom.core.attestation.certificates import read_extensions
from sealroom.core.attestation.der import DerReader
from sealroom.core.attestation.public_keys import SignatureAlgorithm, read_key, verify_signature
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.ra_tls import CertificateKey

MAX_WALKED_BYTES = 65_536
_VERSION_3 = b"\x02\x01\x02"
_NULL = 0x05


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkedCertificate:
    """One certificate as it reads. `tbs`, `issuer` and `subject` are bytes as received."""

    raw: bytes
    tbs: bytes
    algorithm: SignatureAlgorithm
    signature: bytes
    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    key: CertificateKey
    extensions: dict[bytes, bytes]


def walk_certificate(raw: bytes) -> WalkedCertificate:
    """Read `raw` as one DER certificate of the accepted shape, or raise `MalformedError`."""
    if len(raw) > MAX_WALKED_BYTES:
        raise MalformedError(f"certificate: {len(raw)} bytes, at most {MAX_WALKED_BYTES}")
    outer = DerReader(raw)
    certificate = outer.inside(der.SEQUENCE, "certificate")
    outer.finish("certificate")
    tbs = certificate.whole(der.SEQUENCE, "tbs certificate")
    outer_algorithm = certificate.whole(der.SEQUENCE, "signature algorithm")
    signature = certificate.bits("certificate signature")
    certificate.finish("certificate")

    body = DerReader(tbs).inside(der.SEQUENCE, "tbs certificate")
    if body.content(0xA0, "certificate version") != _VERSION_3:
        raise MalformedError("certificate version: not 3")
    serial = body.integer("serial number")
    if body.whole(der.SEQUENCE, "signature algorithm") != outer_algorithm:
        raise MalformedError("signature algorithm: inner and outer one differ")
    issuer = body.whole(der.SEQUENCE, "issuer")
    validity = body.inside(der.SEQUENCE, "validity")
    not_before = validity.time("not before", any_form=True)
    not_after = validity.time("not after", any_form=True)
    validity.finish("validity")
    subject = body.whole(der.SEQUENCE, "subject")
    key = read_key(body)
    extensions = read_extensions(body.content(0xA3, "extensions"))
    body.finish("tbs certificate")
    return WalkedCertificate(
        raw=raw,
        tbs=tbs,
        algorithm=_algorithm(outer_algorithm),
        signature=signature,
        serial=serial,
        issuer=issuer,
        subject=subject,
        not_before=not_before,
        not_after=not_after,
        key=key,
        extensions=extensions,
    )


def verify_self_signature(certificate: WalkedCertificate) -> None:
    """Verify that whoever made `certificate` has its key."""
    if certificate.issuer != certificate.subject:
        raise VerificationError("certificate: issued by another name than its own")
    verify_signature(
        certificate.key,
        certificate.algorithm,
        message=certificate.tbs,
        signature=certificate.signature,
        name="certificate",
    )


def check_in_validity(certificate: WalkedCertificate, *, now: datetime) -> None:
    """Refuse a certificate outside its validity at `now`."""
    if not certificate.not_before <= now <= certificate.not_after:
        raise VerificationError(
            f"certificate: valid from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}, "
            f"not at {now:%Y-%m-%d}"
        )


def _algorithm(raw: bytes) -> SignatureAlgorithm:
    reader = DerReader(raw).inside(der.SEQUENCE, "signature algorithm")
    identifier = reader.content(der.OBJECT_IDENTIFIER, "signature algorithm")
    try:
        algorithm = SignatureAlgorithm(identifier)
    except ValueError as exc:
        raise MalformedError(f"signature algorithm: {identifier.hex()} is not accepted") from exc
    # mbedTLS, and so Gramine, writes NULL where ECDSA has no parameters; RSA always has that NULL.
    has_parameters = algorithm is SignatureAlgorithm.RSA_SHA256 or not reader.empty
    if has_parameters and reader.content(_NULL, "signature parameters"):
        raise MalformedError("signature parameters: not NULL")
    reader.finish("signature algorithm")
    return algorithm
