"""A receipt, checked against an enclave that was verified before; opens nothing.

What the client needs for its own runs: the identity key in the journal is the anchor, so a receipt can be
checked after the release, the policy or the collateral changed. `core.evidence.receipt` judges one from its
evidence, for anybody, by the same rules. Must never: believe a part of a receipt whose signature was not
verified first.
Spec: docs/spec/receipt.md, "Verifying".
"""

from dataclasses import dataclass

from sealroom.core.errors import VerificationError
from sealroom.core.evidence.receipt_closing import check_belongs, check_outputs
from sealroom.core.evidence.receipt_opening import (
    check_contract,
    check_enclave,
    check_inputs,
    check_signatures,
    check_slots,
    check_statements,
)
from sealroom.core.evidence.receipt_rules import check_same
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.delivery import Delivery
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.dsse_verification import verify_envelope
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.receipt import Closing, Opening, Refusal
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEnclave:
    """An enclave that was verified before: what its receipt is checked against."""

    agreement: bytes
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes

    @classmethod
    def from_delivery(cls, wire: bytes) -> "KnownEnclave":
        """Return the enclave that a recorded delivery went to."""
        statement = Delivery.from_bytes(wire).statement
        return cls(
            agreement=statement.agreement,
            mrenclave=statement.mrenclave,
            identity_pk=statement.identity_pk,
            box_pk=statement.box_pk,
        )

    @classmethod
    def from_enclave(cls, enclave: VerifiedEnclave | SimulatedEnclave) -> "KnownEnclave":
        """Return an enclave whose evidence was verified."""
        return cls(
            agreement=enclave.arguments.agreement,
            mrenclave=enclave.mrenclave,
            identity_pk=enclave.identity_pk,
            box_pk=enclave.box_pk,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A receipt whose signatures were verified: a run, or a refusal.

    `closing` is `None` when the process died in the run: how it ended is then the server's claim.
    """

    enclave: KnownEnclave
    raw: bytes
    opening: Opening | None
    closing: Closing | None
    refusal: Refusal | None

    @property
    def arguments(self) -> Arguments | None:
        """The measured arguments, as the opening has them."""
        return None if self.opening is None else parse_arguments(self.opening.arguments)


def verify_record(receipt: Receipt, known: tuple[KnownEnclave, ...]) -> RunRecord:
    """Find the known enclave that signed a receipt, and check all of it.

    1. Opening or refusal is signed by that enclave's identity key, and names that enclave.
    2. The arguments in an opening are the agreement's, and its other members those of the arguments.
    3. Every slot has one statement, signed by the key in the arguments, about this enclave.
    4. Every Data Provider's inputs are those of its commitment.
    5. The closing is signed by the opening's run key, names that opening, and fits the arguments.

    Raises `VerificationError`; for a receipt of an enclave that is not in `known`, too.
    """
    signed = receipt.opening or receipt.refusal
    signer = next((enclave for enclave in known if signed and _is_signed_by(signed, enclave)), None)
    if signer is None:
        raise VerificationError("receipt: not signed by an enclave that was verified from this home")
    if receipt.refusal is not None:
        refusal = parse_refusal(receipt.refusal.payload)
        _check_names(refusal, signer)
        return RunRecord(enclave=signer, raw=receipt.to_bytes(), opening=None, closing=None, refusal=refusal)
    if receipt.opening is None:
        raise ValueError("a receipt has an opening or a refusal")
    opening = _verify_opening(receipt.opening, signer)
    closing = None if receipt.closing is None else _verify_closing(receipt.closing, receipt.opening, opening)
    return RunRecord(enclave=signer, raw=receipt.to_bytes(), opening=opening, closing=closing, refusal=None)


def check_consistent(held: Receipt, found: Receipt) -> None:
    """Compare two receipts of one enclave, each verified; raises `VerificationError` where they disagree.

    An enclave signs an opening or a refusal, and one of each. A program that took over its process has the
    run key, and can sign a second closing: the one that was seen first stays.
    """
    for name in ("opening", "closing", "refusal"):
        before, now = getattr(held, name), getattr(found, name)
        if before is not None and now is not None and before.payload != now.payload:
            raise VerificationError(f"receipt: the {name} is another one than was archived before")
    if (held.refusal is None) is not (found.refusal is None):
        raise VerificationError("receipt: one enclave signed an opening and a refusal")


def _is_signed_by(envelope: Envelope, enclave: KnownEnclave) -> bool:
    try:
        verify_envelope(envelope, public_key=enclave.identity_pk)
    except VerificationError:
        return False
    return True


def _verify_opening(envelope: Envelope, enclave: KnownEnclave) -> Opening:
    opening = parse_opening(envelope.payload)
    arguments = parse_arguments(opening.arguments)
    check_same("agreement", arguments.agreement, enclave.agreement)
    check_contract(opening, arguments)
    check_enclave(opening, enclave)
    check_slots(opening, arguments)
    check_statements(opening, arguments, enclave)
    check_signatures(opening)
    check_inputs(opening, arguments)
    return opening


def _verify_closing(closed: Envelope, opened: Envelope, opening: Opening) -> Closing:
    closing = parse_closing(verify_envelope(closed, public_key=opening.run_key))
    check_belongs(closing, opening=opening, opening_payload=opened.payload)
    check_outputs(closing, parse_arguments(opening.arguments))
    return closing


def _check_names(refusal: Refusal, enclave: KnownEnclave) -> None:
    found = (refusal.agreement, refusal.mrenclave, refusal.identity_pk)
    if found != (enclave.agreement, enclave.mrenclave, enclave.identity_pk):
        raise VerificationError("receipt: names another enclave than the one that signed it")
