"""Certificates with quotes of the simulated platform, for tests that change one thing about them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.core.wire.ra_tls import (
    EvidenceForm,
    KeyBinding,
    make_claims_buffer,
    make_tagged_evidence,
    report_data_of_key,
)
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MRENCLAVE = bytes(range(32))
PKI = SimulationPki.generate(now=NOW)
QUOTING = QuotingEnclave(PKI)
FIELDS = CertificateFields(
    common_name="a service",
    dns_names=("service.test",),
    serial=0x1234567890ABCDEF1234,
    not_before=NOW - timedelta(hours=1),
    not_after=NOW + timedelta(days=30),
)


@dataclass(frozen=True)
class TlsKey:
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls, curve=None):
        return cls(ec.generate_private_key(curve or ec.SECP256R1()))

    @property
    def point(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def sign(self, message):
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))


def quote_for(report_data):
    return QUOTING.quote(ReportBody(mrenclave=MRENCLAVE, report_data=report_data))


def made(
    key=None,
    *,
    binding=KeyBinding.UNCOMPRESSED_POINT,
    form=EvidenceForm.SGX_QUOTE,
    fields=FIELDS,
    caller_data=bytes(32),
    quoted=None,
    claims=None,
):
    """Return the DER of a certificate; `quoted` is the key that the quote binds where it is not `key`."""
    key = key or TlsKey.generate()
    public, bound = p256_key(key.point), p256_key((quoted or key).point)
    tagged = form is EvidenceForm.TAGGED_EVIDENCE
    claims = (claims or make_claims_buffer(bound)) if tagged else None
    claims_bound = claims if binding is KeyBinding.CLAIMS_BUFFER else None
    report_data = report_data_of_key(binding, bound, claims_buffer=claims_bound, caller_data=caller_data)
    quote = quote_for(report_data)
    evidence = make_tagged_evidence(quote, claims) if tagged else quote
    return make_certificate(fields, key=public, form=form, evidence=evidence, sign=key.sign)


PAIRS = (
    (KeyBinding.UNCOMPRESSED_POINT, EvidenceForm.SGX_QUOTE),
    (KeyBinding.SUBJECT_PUBLIC_KEY_INFO, EvidenceForm.GRAMINE_LEGACY),
    (KeyBinding.CLAIMS_BUFFER, EvidenceForm.TAGGED_EVIDENCE),
)
