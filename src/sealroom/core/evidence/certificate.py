"""Decide what a certificate with a quote in it proves: in which enclave its TLS key was made.

The caller names how the key is bound; it is never guessed. Must never make a `VerifiedEnclave`, which is of a
computation. That a connection ends in this enclave is not proven here: a key may have leaked.

Spec: docs/spec/ra-tls.md, "Verifying".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.certificate_walk import check_in_validity, verify_self_signature
from sealroom.core.attestation.collateral import VerifiedCollateral
from sealroom.core.attestation.ratls import RatlsCertificate, check_key_binding, parse_ratls_certificate
from sealroom.core.evidence.certificate_catalogue import CERTIFICATE_GROUPS, CERTIFICATE_PAGE
from sealroom.core.evidence.lone_quote import AppraisedQuote, conclude, record_quote
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import Verdict, refusal
from sealroom.core.wire.ra_tls import CertificateKey, KeyBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedKey:
    """A TLS key that was made in a genuine enclave which a policy accepts; `certificate` is its DER."""

    key: CertificateKey
    certificate: bytes
    caller_data: bytes
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedKey:
    """A TLS key of a simulated enclave, which whoever runs it has too; the same members."""

    key: CertificateKey
    certificate: bytes
    caller_data: bytes
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appraisal:
    verdict: Verdict
    certificate: RatlsCertificate | None
    caller_data: bytes | None


def appraise_certificate(
    certificate: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    binding: KeyBinding,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> Verdict:
    """Make every check of a DER certificate whose inputs are trusted by then; raises nothing for any bytes.

    1. The certificate has the accepted form, its own key signed it, it is valid. 2. The quote in it is
    genuine, 3. its platform sound, 4. the enclave closed to its host, 5. its measurement accepted, all as in
    `appraise_quote`. 6. The quote binds the certificate's key by `binding`.
    """
    return _appraise(certificate, collateral, binding=binding, policy=policy, roots=roots, now=now).verdict


def verify_certificate(
    certificate: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    binding: KeyBinding,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> AttestedKey:
    """Return the key of a certificate that passed every check of `appraise_certificate`.

    Raises `RefusedEvidenceError`, or `UnusableCollateralError` where only Intel's documents are missing or
    stale; both carry the verdict. A simulated enclave is always refused.
    """
    appraisal = _appraise(certificate, collateral, binding=binding, policy=policy, roots=roots, now=now)
    if not appraisal.verdict.accepted:
        raise refusal(appraisal.verdict)
    key, caller_data = _accepted_parts(appraisal)
    return AttestedKey(key=key, certificate=certificate, caller_data=caller_data, verdict=appraisal.verdict)


def insecure_verify_simulated_certificate(
    certificate: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    binding: KeyBinding,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> SimulatedKey:
    """Return the key of a simulated enclave's certificate that passed every check but Intel's root.

    Proves nothing about secrecy. Raises like `verify_certificate`, also for an enclave that is not simulated.
    """
    appraisal = _appraise(certificate, collateral, binding=binding, policy=policy, roots=roots, now=now)
    if not appraisal.verdict.passed_but_simulated:
        raise refusal(appraisal.verdict)
    key, caller_data = _accepted_parts(appraisal)
    return SimulatedKey(key=key, certificate=certificate, caller_data=caller_data, verdict=appraisal.verdict)


def _appraise(
    raw: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    binding: KeyBinding,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> _Appraisal:
    if now.tzinfo is None:
        raise ValueError("now: expected a moment with its time zone")
    record = Record(groups=CERTIFICATE_GROUPS, page=CERTIFICATE_PAGE)
    appraised = AppraisedQuote(verified=None, tcb=None)
    caller_data = None
    certificate = record.check("certificate.form", lambda: parse_ratls_certificate(raw), _shown_form)
    if certificate is not None:
        walked = certificate.certificate
        record.rule("certificate.signature", lambda: verify_self_signature(walked), "signature holds")
        record.rule(
            "certificate.dates",
            lambda: check_in_validity(walked, now=now),
            f"from {walked.not_before:%Y-%m-%d} to {walked.not_after:%Y-%m-%d}",
        )
        # The quote is signed for itself: what is wrong with the certificate changes nothing of what it says.
        appraised = record_quote(
            record, certificate.raw_quote, collateral, policy=policy, roots=roots, now=now
        )
        caller_data = _appraise_binding(record, certificate, appraised, binding)
    verdict = conclude(record, appraised, policy=policy, now=now)
    return _Appraisal(verdict=verdict, certificate=certificate, caller_data=caller_data)


def _appraise_binding(
    record: Record, certificate: RatlsCertificate, appraised: AppraisedQuote, binding: KeyBinding
) -> bytes | None:
    verified = appraised.verified
    if verified is None or not record.passed("certificate.signature"):
        return None
    report_data = verified.quote.body.report_data
    return record.check(
        "key.binding",
        lambda: check_key_binding(certificate, binding=binding, report_data=report_data),
        lambda rest: f"{binding.value}, {'the rest ' + rest.hex() if any(rest) else 'the rest zero'}",
    )


def _shown_form(certificate: RatlsCertificate) -> str:
    key = certificate.certificate.key
    return f"a key of {key.algorithm.name}, and a quote as {certificate.form.value}"


def _accepted_parts(appraisal: _Appraisal) -> tuple[CertificateKey, bytes]:
    """Return what every accepted appraisal has; a verdict that accepts without them is our own error."""
    if appraisal.certificate is None or appraisal.caller_data is None:
        raise RuntimeError("verdict: accepted without all of its parts")
    return appraisal.certificate.certificate.key, appraisal.caller_data
