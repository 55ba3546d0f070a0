"""Decide what an enclave said about a computation, given evidence of that enclave that was verified before.

From evidence to keys, from arguments to agreement, from participants to what they signed. Must never believe
the server: it hands out receipts, and can withhold or mix them, but not make one. Opens nothing.

Spec: docs/spec/receipt.md, "Verifying".
"""

from dataclasses import dataclass

from sealroom.core.evidence.receipt_catalogue import (
    REFUSAL_GROUPS,
    REFUSAL_PAGE,
    RUN_GROUPS,
    RUN_PAGE,
    UNFINISHED_GROUPS,
)
from sealroom.core.evidence.receipt_closing import appraise_closing
from sealroom.core.evidence.receipt_opening import appraise_opening
from sealroom.core.evidence.receipt_rules import check_same
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import RefusedEvidenceError, Verdict
from sealroom.core.wire.dsse import Envelope, verify_envelope
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.receipt import Closing, Opening, Receipt, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """What a verified enclave said: `opening` with `closing`, or `refusal`.

    `closing` is `None` also for a run whose process died. How it ended is the server's claim then, and every
    view has to say so.
    """

    verdict: Verdict
    opening: Opening | None
    closing: Closing | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedReceipt:
    """What a simulated enclave said, which whoever runs it could say too; the same members."""

    verdict: Verdict
    opening: Opening | None
    closing: Closing | None
    refusal: Refusal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appraisal:
    verdict: Verdict
    opening: Opening | None = None
    closing: Closing | None = None
    refusal: Refusal | None = None


def appraise_receipt(receipt: bytes, *, enclave: VerifiedEnclave | SimulatedEnclave) -> Verdict:
    """Make every check whose inputs are trusted by then, and say of the others why they were not reached.

    Of a run: 1. What the receipt says, and of which enclave. 2. The opening: signature, then form, then that
    contract and enclave are those of the evidence. 3. Every participant's statement, signature and inputs.
    4. The closing, where there is one. Of a refusal: 1. The same. 2. Signature, form, enclave.

    The verdict is as of the moment that the enclave was verified for. Raises `MalformedError` for what is no
    receipt, and nothing else.
    """
    return _appraise(receipt, enclave=enclave).verdict


def verify_receipt(receipt: bytes, *, enclave: VerifiedEnclave) -> VerifiedReceipt:
    """Return what `enclave` said, if the receipt passed every check of `appraise_receipt`.

    Raises `RefusedEvidenceError` with the verdict if not, `MalformedError` for what is no receipt.
    """
    appraisal = _appraise(receipt, enclave=enclave)
    if not appraisal.verdict.accepted:
        raise RefusedEvidenceError(appraisal.verdict)
    return VerifiedReceipt(
        verdict=appraisal.verdict,
        opening=appraisal.opening,
        closing=appraisal.closing,
        refusal=appraisal.refusal,
    )


def insecure_verify_simulated_receipt(receipt: bytes, *, enclave: SimulatedEnclave) -> SimulatedReceipt:
    """Return what a simulated `enclave` said, if the receipt passed every check.

    Proves nothing about what ran: whoever runs the simulation holds its keys. Raises like `verify_receipt`.
    """
    appraisal = _appraise(receipt, enclave=enclave)
    if not appraisal.verdict.passed_but_simulated:
        raise RefusedEvidenceError(appraisal.verdict)
    return SimulatedReceipt(
        verdict=appraisal.verdict,
        opening=appraisal.opening,
        closing=appraisal.closing,
        refusal=appraisal.refusal,
    )


def _appraise(raw_receipt: bytes, *, enclave: VerifiedEnclave | SimulatedEnclave) -> _Appraisal:
    receipt = Receipt.from_bytes(raw_receipt)
    if receipt.opening is not None:
        return _appraise_run(receipt.opening, receipt.closing, enclave=enclave)
    if receipt.refusal is not None:
        return _appraise_refusal(receipt.refusal, enclave=enclave)
    raise RuntimeError("receipt: neither a run nor a refusal")


def _appraise_run(
    opened: Envelope, closed: Envelope | None, *, enclave: VerifiedEnclave | SimulatedEnclave
) -> _Appraisal:
    if closed is None:
        record = Record(groups=UNFINISHED_GROUPS, page=RUN_PAGE)
        kind = "a run that began; there is no closing, so how it ended is the server's claim alone"
    else:
        record = Record(groups=RUN_GROUPS, page=RUN_PAGE)
        kind = "a run that began and ended"
    _record_origin(record, kind, enclave)
    closing: Closing | None = None
    opening = appraise_opening(record, opened, enclave=enclave)
    if opening is not None and closed is not None:
        closing = appraise_closing(
            record, closed, opening=opening, opening_payload=opened.payload, arguments=enclave.arguments
        )
    return _Appraisal(verdict=_verdict(record, enclave), opening=opening, closing=closing)


def _appraise_refusal(envelope: Envelope, *, enclave: VerifiedEnclave | SimulatedEnclave) -> _Appraisal:
    record = Record(groups=REFUSAL_GROUPS, page=REFUSAL_PAGE)
    _record_origin(record, "a refusal", enclave)
    payload = record.check(
        "refusal.signature",
        lambda: verify_envelope(envelope, public_key=enclave.identity_pk),
        "made by the enclave's identity key",
    )
    if payload is None:
        return _Appraisal(verdict=_verdict(record, enclave))
    refusal = record.check(
        "refusal.form", lambda: Refusal.from_payload(payload), lambda said: f"refused: {said.reason.value}"
    )
    if refusal is not None:
        record.rule("refusal.enclave", lambda: _check_refusing(refusal, enclave), "this enclave and contract")
    return _Appraisal(verdict=_verdict(record, enclave), refusal=refusal)


def _record_origin(record: Record, kind: str, enclave: VerifiedEnclave | SimulatedEnclave) -> None:
    record.rule("receipt.kind", lambda: None, kind)
    verified = f"verified as of {enclave.verified_at.isoformat()} under the policy {enclave.policy_name}"
    if isinstance(enclave, SimulatedEnclave):
        record.simulated("receipt.enclave", f"simulated; {verified}")
    else:
        record.rule("receipt.enclave", lambda: None, verified)


def _check_refusing(refusal: Refusal, enclave: VerifiedEnclave | SimulatedEnclave) -> None:
    check_same("agreement", refusal.agreement, enclave.arguments.agreement)
    check_same("mrenclave", refusal.mrenclave, enclave.mrenclave)
    check_same("identity_pk", refusal.identity_pk, enclave.identity_pk)


def _verdict(record: Record, enclave: VerifiedEnclave | SimulatedEnclave) -> Verdict:
    return Verdict(
        policy_name=enclave.policy_name,
        at=enclave.verified_at,
        is_simulated=isinstance(enclave, SimulatedEnclave),
        status=enclave.tcb_status,
        advisories=enclave.advisories,
        mrenclave=enclave.mrenclave,
        groups=record.groups(),
    )
