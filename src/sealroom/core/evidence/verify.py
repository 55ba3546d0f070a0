"""Decide whether evidence proves the enclave that a participant was promised.

The one place that makes a `VerifiedEnclave` or a `SimulatedEnclave`. Opens nothing: bundle, policy,
expectations, release, wheels, roots and the moment are arguments, and none of them has a default.

Spec: docs/spec/verification.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.tcb import TcbVerdict
from sealroom.core.evidence.closed import appraise_enclave
from sealroom.core.evidence.code import appraise_code, appraise_keys
from sealroom.core.evidence.contract import appraise_contract
from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.genuine import appraise_genuineness
from sealroom.core.evidence.measured import appraise_measurement
from sealroom.core.evidence.platform import appraise_platform
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import Verdict, refusal
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """A verdict, and what an accepted enclave is made of; the last four may be missing from a refused one.

    Nothing of it may be delivered to: that needs the types that this module makes of an accepted one.
    """

    verdict: Verdict
    bundle_sha256: bytes
    identity_pk: bytes
    tcb: TcbVerdict | None
    mrenclave: bytes | None
    arguments: Arguments | None
    box_pk: bytes | None


def appraise(
    bundle: bytes,
    *,
    policy: Policy,
    expected: Expectations | None,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> Verdict:
    """Make every check whose inputs are trusted by then, and say of the others why they were not reached.

    1. The quote is genuine: every signature up to its root, before anything in it is believed.
    2. The platform is sound: documents under the same root, its level, and what `policy` accepts of it.
    3. The enclave is closed to its host.
    4. It runs what was agreed: the manifest is what was measured, and what `release` builds.
    5. The measured arguments are the contract that `expected` knows from invitation and contacts.
    6. The code is its provider's.
    7. The two keys are the enclave's own.

    `wheels` are the files of each wheel that the caller has, by the SHA-256 that the caller checked; where
    one that the code needs is missing, the manifest cannot be compared, and nothing is accepted.
    `expected` is `None` where nobody was invited: then 5 cannot be complete, and nothing is accepted. `roots`
    are the root keys to be accepted, as uncompressed points; whatever stands there, a chain that does not end
    in Intel's pinned key is simulated. Raises `MalformedError` for what is no bundle, and nothing else.
    """
    return appraise_whole(
        bundle, policy=policy, expected=expected, release=release, wheels=wheels, roots=roots, now=now
    ).verdict


def verify_evidence(
    bundle: bytes,
    *,
    policy: Policy,
    expected: Expectations,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> VerifiedEnclave:
    """Return the enclave whose evidence passed every check of `appraise`.

    Raises `RefusedEvidenceError`, or `UnusableCollateralError` where what is wrong is that Intel's documents
    are missing or stale; both carry the verdict. A simulated enclave is always refused. Raises
    `MalformedError` for what is no bundle.
    """
    appraisal = appraise_whole(
        bundle, policy=policy, expected=expected, release=release, wheels=wheels, roots=roots, now=now
    )
    if not appraisal.verdict.accepted:
        raise refusal(appraisal.verdict)
    tcb, mrenclave, arguments, box_pk = _accepted_parts(appraisal)
    return VerifiedEnclave(
        arguments=arguments,
        mrenclave=mrenclave,
        identity_pk=appraisal.identity_pk,
        box_pk=box_pk,
        verified_at=now,
        policy_name=policy.name,
        tcb_status=tcb.status.value,
        advisories=tcb.advisories,
        bundle_sha256=appraisal.bundle_sha256,
    )


def insecure_verify_simulated_evidence(
    bundle: bytes,
    *,
    policy: Policy,
    expected: Expectations,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> SimulatedEnclave:
    """Return the simulated enclave whose evidence passed every check but Intel's root and the runtime.

    Proves nothing about secrecy: whoever runs the simulation reads what is in it. Raises like
    `verify_evidence`, also for an enclave that is not simulated.
    """
    appraisal = appraise_whole(
        bundle, policy=policy, expected=expected, release=release, wheels=wheels, roots=roots, now=now
    )
    if not appraisal.verdict.passed_but_simulated:
        raise refusal(appraisal.verdict)
    tcb, mrenclave, arguments, box_pk = _accepted_parts(appraisal)
    return SimulatedEnclave(
        arguments=arguments,
        mrenclave=mrenclave,
        identity_pk=appraisal.identity_pk,
        box_pk=box_pk,
        verified_at=now,
        policy_name=policy.name,
        tcb_status=tcb.status.value,
        advisories=tcb.advisories,
        bundle_sha256=appraisal.bundle_sha256,
    )


def appraise_whole(
    raw_bundle: bytes,
    *,
    policy: Policy,
    expected: Expectations | None,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> Appraisal:
    """Do what `appraise` does, and keep what was found, for all that verifies evidence here."""
    if now.tzinfo is None:
        raise ValueError("now: expected a moment with its time zone")
    bundle = EvidenceBundle.from_bytes(raw_bundle)
    record = Record()
    tcb, report, arguments, box_pk = None, None, None, None
    memo = Memo()
    verified = appraise_genuineness(
        record, bundle.quote, roots=roots, now=now, memo=memo, accept_zero_padding=False
    )
    if verified is not None:
        tcb = appraise_platform(record, verified, bundle.collateral, policy=policy, now=now, memo=memo)
        report = appraise_enclave(record, verified, policy)
    if verified is not None and report is not None:
        box_pk = appraise_keys(record, bundle, report=report)
        arguments = appraise_measurement(
            record, bundle, report=report, policy=policy, release=release, wheels=wheels
        )
    if verified is not None and arguments is not None:
        provenance = verified.pck.provenance
        appraise_contract(record, arguments, provenance=provenance, policy=policy, expected=expected)
        if record.passed("measurement.code-list"):
            appraise_code(record, bundle, arguments=arguments, expected=expected)
    verdict = Verdict(
        policy_name=policy.name,
        at=now,
        # Also of a quote whose signatures failed later: it is nobody's, and must never read as Intel's.
        is_simulated=record.is_simulated("quote.root"),
        status=None if tcb is None else tcb.status.value,
        advisories=() if tcb is None else tcb.advisories,
        mrenclave=None if report is None else report.mrenclave,
        groups=record.groups(),
    )
    return Appraisal(
        verdict=verdict,
        bundle_sha256=sha256(raw_bundle),
        identity_pk=bundle.identity_pk,
        tcb=tcb,
        mrenclave=verdict.mrenclave,
        arguments=arguments,
        box_pk=box_pk,
    )


def _accepted_parts(appraisal: Appraisal) -> tuple[TcbVerdict, bytes, Arguments, bytes]:
    """Return what every accepted appraisal has; a verdict that accepts without them is our own error."""
    tcb, mrenclave = appraisal.tcb, appraisal.mrenclave
    arguments, box_pk = appraisal.arguments, appraisal.box_pk
    if tcb is None or mrenclave is None or arguments is None or box_pk is None:
        raise RuntimeError("verdict: accepted without all of its parts")
    return tcb, mrenclave, arguments, box_pk
