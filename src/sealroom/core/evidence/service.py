"""Decide whether evidence proves the service that somebody means: before a key is sealed, before a call.

The one place that makes a `VerifiedService` or a `SimulatedService`. Opens nothing: evidence, collateral,
policy, expectations, release, wheels, roots and the moment are arguments, and none of them has a default.

Spec: docs/spec/services.md, "Verifying".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.certificate_walk import check_in_validity, verify_self_signature
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pem import parse_pem
from sealroom.core.attestation.quote_checks import VerifiedQuote
from sealroom.core.attestation.ratls import RatlsCertificate, check_key_binding, parse_ratls_certificate
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.attestation.tcb import TcbVerdict
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.closed import appraise_enclave
from sealroom.core.evidence.genuine import appraise_genuineness
from sealroom.core.evidence.platform import GivenCollateral, appraise_platform
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.service_catalogue import SERVICE_GROUPS, SERVICE_PAGE
from sealroom.core.evidence.service_contract import appraise_service
from sealroom.core.evidence.service_expectations import ServiceExpectations
from sealroom.core.evidence.service_measured import appraise_service_measurement
from sealroom.core.evidence.verdict import Verdict, refusal
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.ra_tls import KeyBinding
from sealroom.core.wire.service_arguments import ServiceArguments
from sealroom.core.wire.service_evidence import ServiceEvidence
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAppraisal:
    """A verdict, and what an accepted service is made of; the rest may be missing from a refused one.

    Nothing of it may be sealed to: that needs the types that this module makes of an accepted one.
    """

    verdict: Verdict
    evidence_sha256: bytes
    tcb: TcbVerdict | None
    certificate: bytes | None
    arguments: ServiceArguments | None
    box_pk: bytes | None


def appraise_service_evidence(
    evidence: bytes,
    *,
    collateral: GivenCollateral,
    policy: Policy,
    expected: ServiceExpectations,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> ServiceAppraisal:
    """Make every check whose inputs are trusted by then, and say of the others why they were not reached.

    1. The certificate is its own key's. 2. The quote in it is genuine, 3. its platform sound, 4. the enclave
    closed to its host. 5. It runs what was packed: the manifest is what was measured, and what `release`
    builds; MRENCLAVE is in `policy`'s list or, where that has a signer's rule, that signer signed. 6. The
    measured arguments are those of the service that `expected` knows. 7. The quote binds the certificate's
    key and the box key.

    `collateral` is the caller's own; with `None` the evidence's is judged, by the ages that `policy` demands.
    Nothing of the evidence decides who may sign. Raises `MalformedError` for what is no evidence, and nothing
    else.
    """
    if now.tzinfo is None:
        raise ValueError("now: expected a moment with its time zone")
    shown = ServiceEvidence.from_bytes(evidence)
    record = Record(groups=SERVICE_GROUPS, page=SERVICE_PAGE)
    certificate = _appraise_certificate(record, shown, now)
    memo = Memo()
    tcb, report, arguments, box_pk = None, None, None, None
    verified = None
    if certificate is not None:
        verified = appraise_genuineness(
            record, certificate.raw_quote, roots=roots, now=now, memo=memo, accept_zero_padding=False
        )
    if certificate is not None and verified is not None:
        given = shown.collateral if collateral is None else collateral
        tcb = appraise_platform(record, verified, given, policy=policy, now=now, memo=memo)
        report = appraise_enclave(record, verified, policy)
        box_pk = _appraise_key(record, certificate, verified)
    if verified is not None and report is not None:
        arguments = appraise_service_measurement(
            record, shown, report=report, policy=policy, release=release, wheels=wheels
        )
    if verified is not None and arguments is not None:
        appraise_service(
            record, arguments, provenance=verified.pck.provenance, policy=policy, expected=expected
        )
    return ServiceAppraisal(
        verdict=_verdict(record, policy, now, tcb, report),
        evidence_sha256=sha256(evidence),
        tcb=tcb,
        certificate=None if certificate is None else certificate.certificate.raw,
        arguments=arguments,
        box_pk=box_pk,
    )


def verify_service(
    evidence: bytes,
    *,
    collateral: GivenCollateral,
    policy: Policy,
    expected: ServiceExpectations,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> VerifiedService:
    """Return the service whose evidence passed every check of `appraise_service_evidence`.

    Raises `RefusedEvidenceError`, or `UnusableCollateralError` where only Intel's documents are missing or
    stale; both carry the verdict. A simulated service is always refused. Raises `MalformedError` for what is
    no evidence.
    """
    appraisal = appraise_service_evidence(
        evidence,
        collateral=collateral,
        policy=policy,
        expected=expected,
        release=release,
        wheels=wheels,
        roots=roots,
        now=now,
    )
    if not appraisal.verdict.accepted:
        raise refusal(appraisal.verdict)
    return accepted_service(appraisal)


def insecure_verify_simulated_service(
    evidence: bytes,
    *,
    collateral: GivenCollateral,
    policy: Policy,
    expected: ServiceExpectations,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> SimulatedService:
    """Return the simulated service whose evidence passed every check but Intel's root and the runtime.

    Proves nothing about secrecy: whoever runs the simulation reads what is in it. Raises like
    `verify_service`, also for a service that is not simulated.
    """
    appraisal = appraise_service_evidence(
        evidence,
        collateral=collateral,
        policy=policy,
        expected=expected,
        release=release,
        wheels=wheels,
        roots=roots,
        now=now,
    )
    if not appraisal.verdict.passed_but_simulated:
        raise refusal(appraisal.verdict)
    return insecure_simulated_service(appraisal)


def accepted_service(appraisal: ServiceAppraisal) -> VerifiedService:
    """Return the service of an appraisal that accepts; raises its refusal for every other."""
    if not appraisal.verdict.accepted:
        raise refusal(appraisal.verdict)
    tcb, certificate, arguments, box_pk, mrenclave = _accepted_parts(appraisal)
    return VerifiedService(
        arguments=arguments,
        mrenclave=mrenclave,
        box_pk=box_pk,
        certificate=certificate,
        verified_at=appraisal.verdict.at,
        policy_name=appraisal.verdict.policy_name,
        tcb_status=tcb.status.value,
        advisories=tcb.advisories,
        evidence_sha256=appraisal.evidence_sha256,
    )


def insecure_simulated_service(appraisal: ServiceAppraisal) -> SimulatedService:
    """Return the service of an appraisal that lacks Intel's root alone; raises its refusal for others."""
    if not appraisal.verdict.passed_but_simulated:
        raise refusal(appraisal.verdict)
    tcb, certificate, arguments, box_pk, mrenclave = _accepted_parts(appraisal)
    return SimulatedService(
        arguments=arguments,
        mrenclave=mrenclave,
        box_pk=box_pk,
        certificate=certificate,
        verified_at=appraisal.verdict.at,
        policy_name=appraisal.verdict.policy_name,
        tcb_status=tcb.status.value,
        advisories=tcb.advisories,
        evidence_sha256=appraisal.evidence_sha256,
    )


def _appraise_certificate(record: Record, shown: ServiceEvidence, now: datetime) -> RatlsCertificate | None:
    certificate = record.check(
        "certificate.form",
        lambda: parse_ratls_certificate(_one_certificate(shown.certificate)),
        lambda found: f"a key of {found.certificate.key.algorithm.name}, and a quote as {found.form.value}",
    )
    if certificate is None:
        return None
    walked = certificate.certificate
    record.rule("certificate.signature", lambda: verify_self_signature(walked), "signature holds")
    record.rule(
        "certificate.dates",
        lambda: check_in_validity(walked, now=now),
        f"from {walked.not_before:%Y-%m-%d} to {walked.not_after:%Y-%m-%d}",
    )
    return certificate


def _one_certificate(pem: str) -> bytes:
    blocks = parse_pem(pem.encode("ascii"))
    if len(blocks) != 1:
        raise MalformedError(f"certificate: {len(blocks)} certificates, expected 1")
    return blocks[0]


def _appraise_key(record: Record, certificate: RatlsCertificate, verified: VerifiedQuote) -> bytes | None:
    if not record.passed("certificate.signature"):
        return None
    binding, report_data = KeyBinding.UNCOMPRESSED_POINT, verified.quote.body.report_data
    return record.check(
        "key.binding",
        lambda: check_key_binding(certificate, binding=binding, report_data=report_data),
        lambda box_pk: f"{binding.value}, box key {box_pk.hex()}",
    )


def _verdict(
    record: Record, policy: Policy, now: datetime, tcb: TcbVerdict | None, report: SgxReport | None
) -> Verdict:
    return Verdict(
        policy_name=policy.name,
        at=now,
        is_simulated=record.is_simulated("quote.root"),
        status=None if tcb is None else tcb.status.value,
        advisories=() if tcb is None else tcb.advisories,
        mrenclave=None if report is None else report.mrenclave,
        groups=record.groups(),
    )


def _accepted_parts(
    appraisal: ServiceAppraisal,
) -> tuple[TcbVerdict, bytes, ServiceArguments, bytes, bytes]:
    """Return what every accepted appraisal has; a verdict that accepts without them is our own error."""
    tcb, certificate, arguments = appraisal.tcb, appraisal.certificate, appraisal.arguments
    box_pk, mrenclave = appraisal.box_pk, appraisal.verdict.mrenclave
    if tcb is None or certificate is None or arguments is None or box_pk is None or mrenclave is None:
        raise RuntimeError("verdict: accepted without all of its parts")
    return tcb, certificate, arguments, box_pk, mrenclave
