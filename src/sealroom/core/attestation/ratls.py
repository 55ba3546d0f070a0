"""RA-TLS: the quote inside a certificate, and whether it binds the certificate's key.

One function a step, so that a verdict can name the one that failed; `verify_ratls_certificate` is those steps
in order. Whether the quote is genuine is not decided here: a binding to a quote that nobody signed is worth
nothing. Must never guess the binding. Specification: docs/spec/ra-tls.md.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.cbor import CborReader
from sealroom.core.attestation.certificate_walk import (
    WalkedCertificate,
    check_in_validity,
    verify_self_signature,
    walk_certificate,
)
from sealroom.core.attestation.quote import Quote, parse_quote
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.ra_tls import (
    CALLER_DATA_BYTES,
    EVIDENCE_TAG,
    PUBKEY_HASH,
    CertificateKey,
    EvidenceForm,
    KeyBinding,
    report_data_of_key,
)

MAX_CLAIMS_BYTES = 4096
_MAX_CLAIMS = 16
_MAX_CLAIM_NAME = 64
# Named information hash algorithms (IANA): 1, 7, 8.
_DIGESTS = {1: "sha256", 7: "sha384", 8: "sha512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """A claims buffer as received, and the digest of a public key that it names."""

    raw: bytes
    digest_name: str
    pubkey_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RatlsCertificate:
    """A certificate and the evidence in it; nothing believed. `claims` belongs to tagged evidence only."""

    certificate: WalkedCertificate
    form: EvidenceForm
    raw_quote: bytes
    claims: Claims | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundKey:
    """A TLS key and the quote that binds it; whether the quote is genuine is the next question.

    `caller_data` is the second half of the report data: the enclave's where the binding leaves it to it,
    else zero.
    """

    key: CertificateKey
    binding: KeyBinding
    quote: Quote
    raw_quote: bytes
    caller_data: bytes


def verify_ratls_certificate(raw: bytes, *, binding: KeyBinding, now: datetime) -> BoundKey:
    """Return the key of a certificate and the quote that binds it.

    1. The certificate has the accepted form and carries one quote. 2. Its own key signed it. 3. It is valid
    at `now`. 4. The quote parses. 5. Its report data binds the key by `binding`.
    """
    certificate = parse_ratls_certificate(raw)
    verify_self_signature(certificate.certificate)
    check_in_validity(certificate.certificate, now=now)
    quote = parse_quote(certificate.raw_quote)
    caller_data = check_key_binding(certificate, binding=binding, report_data=quote.body.report_data)
    return BoundKey(
        key=certificate.certificate.key,
        binding=binding,
        quote=quote,
        raw_quote=certificate.raw_quote,
        caller_data=caller_data,
    )


def parse_ratls_certificate(raw: bytes) -> RatlsCertificate:
    """Read a DER certificate that carries a quote in exactly one of the known forms."""
    certificate = walk_certificate(raw)
    forms = [form for form in EvidenceForm if form.identifier in certificate.extensions]
    if len(forms) != 1:
        raise MalformedError(f"certificate: a quote in {len(forms)} of the known extensions, expected one")
    value = certificate.extensions[forms[0].identifier]
    if forms[0] is EvidenceForm.TAGGED_EVIDENCE:
        raw_quote, claims = _parse_tagged_evidence(value)
        return RatlsCertificate(certificate=certificate, form=forms[0], raw_quote=raw_quote, claims=claims)
    return RatlsCertificate(certificate=certificate, form=forms[0], raw_quote=value, claims=None)


def check_key_binding(certificate: RatlsCertificate, *, binding: KeyBinding, report_data: bytes) -> bytes:
    """Refuse `report_data` that does not bind the certificate's key; return its second half.

    That half is zero but for `UNCOMPRESSED_POINT`, where it is the enclave's own.
    """
    key, claims = certificate.certificate.key, certificate.claims
    expected = report_data_of_key(binding, key, claims_buffer=None if claims is None else claims.raw)
    if not hmac.compare_digest(report_data[:CALLER_DATA_BYTES], expected[:CALLER_DATA_BYTES]):
        raise VerificationError(f"report data: does not bind the certificate's key as {binding.value}")
    caller_data = report_data[CALLER_DATA_BYTES:]
    if binding is not KeyBinding.UNCOMPRESSED_POINT and any(caller_data):
        raise VerificationError("report data: second half is not zero")
    if claims is not None:
        digest = hashlib.new(claims.digest_name, key.info).digest()
        if not hmac.compare_digest(digest, claims.pubkey_digest):
            raise VerificationError("claims buffer: names another key than the certificate's")
    return caller_data


def _parse_tagged_evidence(value: bytes) -> tuple[bytes, Claims]:
    reader = CborReader(value, name="tagged evidence")
    reader.tag(EVIDENCE_TAG)
    reader.array(2)
    raw_quote = reader.byte_string()
    claims = _parse_claims(reader.byte_string())
    reader.finish()
    return raw_quote, claims


def _parse_claims(raw: bytes) -> Claims:
    if len(raw) > MAX_CLAIMS_BYTES:
        raise MalformedError(f"claims buffer: {len(raw)} bytes, at most {MAX_CLAIMS_BYTES}")
    reader = CborReader(raw, name="claims buffer")
    values: dict[str, bytes] = {}
    for _ in range(reader.map(max_pairs=_MAX_CLAIMS)):
        name = reader.text(max_bytes=_MAX_CLAIM_NAME)
        if name in values:
            raise MalformedError(f"claims buffer: {name!r} stands twice")
        values[name] = reader.byte_string() if name == PUBKEY_HASH else reader.string()
    reader.finish()
    if PUBKEY_HASH not in values:
        raise MalformedError(f"claims buffer: no {PUBKEY_HASH}")
    return _parse_pubkey_hash(raw, values[PUBKEY_HASH])


def _parse_pubkey_hash(raw: bytes, value: bytes) -> Claims:
    reader = CborReader(value, name=PUBKEY_HASH)
    reader.array(2)
    algorithm, digest = reader.unsigned(), reader.byte_string()
    reader.finish()
    if algorithm not in _DIGESTS:
        raise MalformedError(f"{PUBKEY_HASH}: algorithm {algorithm}, expected 1, 7 or 8")
    name = _DIGESTS[algorithm]
    if len(digest) != hashlib.new(name).digest_size:
        raise MalformedError(f"{PUBKEY_HASH}: {len(digest)} bytes are no {name} digest")
    return Claims(raw=raw, digest_name=name, pubkey_digest=digest)
