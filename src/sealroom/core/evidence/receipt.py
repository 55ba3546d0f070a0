"""Decide what an enclave said about a computation, given evidence of that enclave that was verified before.

From evidence to keys, from arguments to agreement, from participants to what they signed. Must never believe
the server: it hands out receipts, and can withhold or mix them, but not make one. Opens nothing.

Spec: docs/spec/receipt.md, "Verifying".
"""

from dataclasses import dataclass
from datetime import datetime

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
from sealroom.core.evidence.verdict import CheckGroup, RefusedEvidenceError, Verdict
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.dsse_verification import verify_envelope
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.receipt import Closing, Opening, Refusal
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.receipt_parsing import parse_refusal


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
class ReceiptAnchor:
    """What a receipt is checked against: an enclave whose evidence was judged before. Opens no door to it.

    `people_compared` is false where nobody had an invitation to compare people and terms with.
    """

    arguments: Arguments
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes
    verified_at: datetime
    policy_name: str
    tcb_status: str
    advisories: tuple[str, ...]
    is_simulated: bool
    people_compared: bool

    @classmethod
    def from_enclave(cls, enclave: VerifiedEnclave | SimulatedEnclave) -> "ReceiptAnchor":
        """Return the anchor that a verified, or a simulated, enclave is."""
        return cls(
            arguments=enclave.arguments,
            mrenclave=enclave.mrenclave,
            identity_pk=enclave.identity_pk,
            box_pk=enclave.box_pk,
            verified_at=enclave.verified_at,
            policy_name=enclave.policy_name,
            tcb_status=enclave.tcb_status,
            advisories=enclave.advisories,
            is_simulated=isinstance(enclave, SimulatedEnclave),
            people_compared=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisedReceipt:
    """The groups of a receipt's verdict, and what was signed, each once its signature and form held."""

    groups: tuple[CheckGroup, ...]
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
    anchor = ReceiptAnchor.from_enclave(enclave)
    return _verdict(appraise_signed(receipt, anchor), anchor)


def verify_receipt(receipt: bytes, *, enclave: VerifiedEnclave) -> VerifiedReceipt:
    """Return what `enclave` said, if the receipt passed every check of `appraise_receipt`.

    Raises `RefusedEvidenceError` with the verdict if not, `MalformedError` for what is no receipt.
    """
    anchor = ReceiptAnchor.from_enclave(enclave)
    appraisal = appraise_signed(receipt, anchor)
    verdict = _verdict(appraisal, anchor)
    if not verdict.accepted:
        raise RefusedEvidenceError(verdict)
    return VerifiedReceipt(
        verdict=verdict,
        opening=appraisal.opening,
        closing=appraisal.closing,
        refusal=appraisal.refusal,
    )


def insecure_verify_simulated_receipt(receipt: bytes, *, enclave: SimulatedEnclave) -> SimulatedReceipt:
    """Return what a simulated `enclave` said, if the receipt passed every check.

    Proves nothing about what ran: whoever runs the simulation holds its keys. Raises like `verify_receipt`.
    """
    anchor = ReceiptAnchor.from_enclave(enclave)
    appraisal = appraise_signed(receipt, anchor)
    verdict = _verdict(appraisal, anchor)
    if not verdict.passed_but_simulated:
        raise RefusedEvidenceError(verdict)
    return SimulatedReceipt(
        verdict=verdict,
        opening=appraisal.opening,
        closing=appraisal.closing,
        refusal=appraisal.refusal,
    )


def appraise_signed(raw_receipt: bytes, anchor: ReceiptAnchor) -> AppraisedReceipt:
    """Make the checks of `appraise_receipt` against `anchor`; raises `MalformedError` for no receipt."""
    receipt = Receipt.from_bytes(raw_receipt)
    if receipt.refusal is not None:
        return _appraise_refusal(receipt.refusal, anchor)
    if receipt.opening is None:
        raise RuntimeError("receipt: neither a run nor a refusal")
    return _appraise_run(receipt.opening, receipt.closing, anchor)


def unreached_groups(raw_receipt: bytes) -> tuple[CheckGroup, ...]:
    """Return the groups of a receipt whose enclave's evidence is not accepted: the keys come from there.

    Raises `MalformedError` for no receipt.
    """
    record = _record_of(Receipt.from_bytes(raw_receipt))
    for name in record.names:
        record.not_reached(name, "the evidence is not accepted")
    return record.groups()


def _record_of(receipt: Receipt) -> Record:
    if receipt.refusal is not None:
        return Record(groups=REFUSAL_GROUPS, page=REFUSAL_PAGE)
    return Record(groups=UNFINISHED_GROUPS if receipt.closing is None else RUN_GROUPS, page=RUN_PAGE)


def _appraise_run(opened: Envelope, closed: Envelope | None, anchor: ReceiptAnchor) -> AppraisedReceipt:
    record = _record_of(Receipt(opening=opened, closing=closed))
    kind = "a run that began and ended"
    if closed is None:
        kind = "a run that began; there is no closing, so how it ended is the server's claim alone"
    _record_origin(record, kind, anchor)
    closing: Closing | None = None
    opening = appraise_opening(record, opened, enclave=anchor)
    if opening is not None and closed is not None:
        closing = appraise_closing(
            record, closed, opening=opening, opening_payload=opened.payload, arguments=anchor.arguments
        )
    return AppraisedReceipt(groups=record.groups(), opening=opening, closing=closing)


def _appraise_refusal(envelope: Envelope, anchor: ReceiptAnchor) -> AppraisedReceipt:
    record = _record_of(Receipt(refusal=envelope))
    _record_origin(record, "a refusal: this enclave wiped its keys and never ran", anchor)
    payload = record.check(
        "refusal.signature",
        lambda: verify_envelope(envelope, public_key=anchor.identity_pk),
        "made by the enclave's identity key",
    )
    if payload is None:
        return AppraisedReceipt(groups=record.groups())
    refusal = record.check(
        "refusal.form", lambda: parse_refusal(payload), lambda said: f"refused: {said.reason.value}"
    )
    if refusal is not None:
        record.rule("refusal.enclave", lambda: _check_refusing(refusal, anchor), "this enclave and contract")
    return AppraisedReceipt(groups=record.groups(), refusal=refusal)


def _record_origin(record: Record, kind: str, anchor: ReceiptAnchor) -> None:
    record.rule("receipt.kind", lambda: None, kind)
    verified = f"verified as of {anchor.verified_at.isoformat()} under the policy {anchor.policy_name}"
    if anchor.is_simulated:
        record.simulated("receipt.enclave", f"simulated; {verified}")
    else:
        record.rule("receipt.enclave", lambda: None, verified)
    people = "those of the invitation"
    if not anchor.people_compared:
        people = "the measured arguments' own word: no invitation was given to compare them with"
    record.rule("receipt.people", lambda: None, people)


def _check_refusing(refusal: Refusal, anchor: ReceiptAnchor) -> None:
    check_same("agreement", refusal.agreement, anchor.arguments.agreement)
    check_same("mrenclave", refusal.mrenclave, anchor.mrenclave)
    check_same("identity_pk", refusal.identity_pk, anchor.identity_pk)


def _verdict(appraisal: AppraisedReceipt, anchor: ReceiptAnchor) -> Verdict:
    return Verdict(
        policy_name=anchor.policy_name,
        at=anchor.verified_at,
        is_simulated=anchor.is_simulated,
        status=anchor.tcb_status,
        advisories=anchor.advisories,
        mrenclave=anchor.mrenclave,
        groups=appraisal.groups,
    )
