"""A receipt, checked against an enclave that was verified before; opens nothing.

What the client needs for its own runs: the identity key in the journal is the anchor, so a receipt can be
checked after the release, the policy or the collateral changed. `core.evidence.receipt` judges one from its
evidence, for anybody. Must never: believe a part of a receipt whose signature was not verified first.
Spec: docs/spec/receipt.md, "Verifying".
"""

import hashlib
from dataclasses import dataclass

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.commitment import verify_commitment
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.delivery import Delivery, verify_statement_signature
from sealroom.core.wire.dsse import Envelope, verify_envelope
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.receipt import Closing, Opening, ParticipantRecord, Receipt, Refusal


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
    2. The arguments in an opening are the agreement's.
    3. Every slot has one statement, signed by the key in the arguments, about this enclave.
    4. Every Data Provider's inputs are those of its commitment.
    5. The closing is signed by the opening's run key and names that opening.

    Raises `VerificationError`; for a receipt of an enclave that is not in `known`, too.
    """
    signed = receipt.opening or receipt.refusal
    signer = next((enclave for enclave in known if signed and _is_signed_by(signed, enclave)), None)
    if signer is None:
        raise VerificationError("receipt: not signed by an enclave that was verified from this home")
    if receipt.refusal is not None:
        refusal = Refusal.from_payload(receipt.refusal.payload)
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
    opening = Opening.from_payload(envelope.payload)
    _check_names(opening, enclave)
    if opening.box_pk != enclave.box_pk:
        raise VerificationError("receipt: the opening names another box key")
    arguments = parse_arguments(opening.arguments)
    if arguments.agreement != enclave.agreement:
        raise VerificationError("receipt: the opening's arguments are not the agreement's")
    said = [(record.role, record.index) for record in opening.participants]
    if said != [(slot.role, slot.index) for slot in arguments.participants]:
        raise VerificationError("receipt: not one delivery for each participant")
    for record, slot in zip(opening.participants, arguments.participants, strict=True):
        _check_participant(record, slot, enclave)
        if slot.role is Role.DATA_PROVIDER:
            _check_inputs(opening, record, slot, arguments)
    return opening


def _check_participant(record: ParticipantRecord, slot: Participant, enclave: KnownEnclave) -> None:
    statement = record.statement
    found = (statement.agreement, statement.mrenclave, statement.identity_pk, statement.box_pk)
    if found != (enclave.agreement, enclave.mrenclave, enclave.identity_pk, enclave.box_pk):
        raise VerificationError(f"receipt: the delivery of {slot.email} was for another enclave")
    if (statement.role, statement.sender_pk) != (slot.role, slot.public_key):
        raise VerificationError(f"receipt: the delivery in the slot of {slot.email} is by another key")
    verify_statement_signature(statement=statement, box_sha256=record.box_sha256, signature=record.signature)


def _check_inputs(
    opening: Opening, record: ParticipantRecord, slot: Participant, arguments: Arguments
) -> None:
    files = tuple(
        InputFile(name=file.name, size=file.size, sha256=file.sha256)
        for file in opening.inputs
        if file.provider == slot.index
    )
    verify_commitment(
        record.statement.commitment,
        InputList(files=files),
        computation=arguments.computation,
        sender_pk=slot.public_key,
    )


def _verify_closing(closed: Envelope, opened: Envelope, opening: Opening) -> Closing:
    closing = Closing.from_payload(verify_envelope(closed, public_key=opening.run_key))
    if closing.opening_sha256 != hashlib.sha256(opened.payload).digest():
        raise VerificationError("receipt: the closing is of another opening")
    if closing.agreement != opening.agreement:
        raise VerificationError("receipt: the closing is of another agreement")
    return closing


def _check_names(signed: Opening | Refusal, enclave: KnownEnclave) -> None:
    found = (signed.agreement, signed.mrenclave, signed.identity_pk)
    if found != (enclave.agreement, enclave.mrenclave, enclave.identity_pk):
        raise VerificationError("receipt: names another enclave than the one that signed it")
