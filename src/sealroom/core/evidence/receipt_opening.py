"""The checks of a receipt's opening and of the participants in it.

Spec: docs/spec/receipt.md, "Verifying", a run, 2 and 3.
"""

from sealroom.core.errors import VerificationError
from sealroom.core.evidence.receipt_rules import ContractSigner, ReceiptSigner, check_same
from sealroom.core.evidence.record import Record
from sealroom.core.sealing.commitment import verify_commitment
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.delivery import NO_COMMITMENT, verify_statement_signature
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.dsse_verification import verify_envelope
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Opening
from sealroom.core.wire.receipt_parsing import parse_opening
from sealroom.core.wire.terms import DeliveryForm


def appraise_opening(record: Record, envelope: Envelope, *, enclave: ContractSigner) -> Opening | None:
    """Record the checks 2.1 to 3.4; return the opening once it was signed by `enclave` and has its form.

    2: signature before form, then contract and enclave. 3: one delivery a slot, then each statement, each
    signature, each commitment.
    """
    payload = record.check(
        "opening.signature",
        lambda: verify_envelope(envelope, public_key=enclave.identity_pk),
        "made by the enclave's identity key",
    )
    if payload is None:
        return None
    opening = record.check("opening.form", lambda: parse_opening(payload), "an opening")
    if opening is None:
        return None
    arguments = enclave.arguments
    record.rule("opening.contract", lambda: check_contract(opening, arguments), arguments.agreement.hex())
    record.rule("opening.enclave", lambda: check_enclave(opening, enclave), enclave.mrenclave.hex())
    count = f"{len(arguments.participants)} of {len(arguments.participants)}"
    record.rule("participants.slots", lambda: check_slots(opening, arguments), count)
    # The others pair records with slots: without the same slots there is nothing to pair.
    if record.passed("participants.slots") and arguments.terms.delivery is DeliveryForm.LEGACY:
        appraise_legacy_participants(record, opening, enclave=enclave)
    elif record.passed("participants.slots"):
        record.rule("participants.statements", lambda: check_statements(opening, arguments, enclave), count)
        record.rule("participants.signatures", lambda: check_signatures(opening), count)
        inputs = f"{len(opening.inputs)} files"
        record.rule("participants.inputs", lambda: check_inputs(opening, arguments), inputs)
    return opening


def check_contract(opening: Opening, arguments: Arguments) -> None:
    """Refuse an opening that names another contract than `arguments`, in any of its members."""
    check_same("agreement", opening.agreement, arguments.agreement)
    if opening.arguments != arguments.to_bytes():
        raise VerificationError("arguments: not those of the evidence")
    check_same("computation", opening.computation.bytes, arguments.computation.bytes)
    if opening.tee is not arguments.terms.tee:
        raise VerificationError(f"tee: got {opening.tee.value}, expected {arguments.terms.tee.value}")
    if opening.delivery is not arguments.terms.delivery:
        expected = arguments.terms.delivery.value
        raise VerificationError(f"delivery: got {opening.delivery.value}, expected {expected}")
    check_same("code", opening.code, arguments.code_digest)
    check_same("packages", opening.packages, arguments.packages_digest)


def check_enclave(opening: Opening, enclave: ReceiptSigner) -> None:
    """Refuse an opening that names another enclave than the one that signed it."""
    check_same("mrenclave", opening.mrenclave, enclave.mrenclave)
    check_same("identity_pk", opening.identity_pk, enclave.identity_pk)
    check_same("box_pk", opening.box_pk, enclave.box_pk)


def check_slots(opening: Opening, arguments: Arguments) -> None:
    """Refuse anything but one delivery for each slot, in their order."""
    said = [(record.role, record.index) for record in opening.participants]
    listed = [(participant.role, participant.index) for participant in arguments.participants]
    if said != listed:
        raise VerificationError(
            f"participants: {len(said)} deliveries, not one for each of {len(listed)} slots"
        )


def check_statements(opening: Opening, arguments: Arguments, enclave: ReceiptSigner) -> None:
    """Refuse a statement about another contract or enclave, in another role, or by another key.

    The slots were checked before.
    """
    for participant, delivered in zip(arguments.participants, opening.participants, strict=True):
        statement, who = delivered.statement, f"{participant.role.value} {participant.index}"
        check_same(f"{who}: agreement", statement.agreement, arguments.agreement)
        check_same(f"{who}: mrenclave", statement.mrenclave, enclave.mrenclave)
        check_same(f"{who}: identity_pk", statement.identity_pk, enclave.identity_pk)
        check_same(f"{who}: box_pk", statement.box_pk, enclave.box_pk)
        if statement.role is not participant.role:
            raise VerificationError(f"{who}: the statement is of a {statement.role.value}")
        check_same(f"{who}: sender_pk", statement.sender_pk, participant.public_key)


def check_signatures(opening: Opening) -> None:
    """Refuse a statement that its sender did not sign together with the box."""
    for delivered in opening.participants:
        try:
            verify_statement_signature(
                statement=delivered.statement,
                box_sha256=delivered.box_sha256,
                signature=delivered.signature,
            )
        except VerificationError as exc:
            raise VerificationError(f"{delivered.role.value} {delivered.index}: {exc}") from exc


def appraise_legacy_participants(record: Record, opening: Opening, *, enclave: ContractSigner) -> None:
    """Record what the published client's form leaves to check, and say what it does not have.

    The enclave wrote the statements itself: its word is worth what its measured code is, and is nobody
    else's.
    """
    arguments = enclave.arguments
    record.rule(
        "participants.statements",
        lambda: check_statements(opening, arguments, enclave),
        "written by the enclave: no participant made one",
        required="the enclave's own word",
    )
    record.rule(
        "participants.signatures",
        lambda: None,
        "verified by the enclave alone: they are over the sealed boxes, which no receipt carries",
        required="the enclave's own word",
    )
    record.rule(
        "participants.inputs",
        lambda: check_uncommitted_inputs(opening, arguments),
        f"{len(opening.inputs)} files, which nobody committed to",
        required="files of listed Data Providers, and no commitment, which this form has not",
    )


def check_uncommitted_inputs(opening: Opening, arguments: Arguments) -> None:
    """Refuse a commitment in the published client's form: it would pass for one that somebody made."""
    check_listed_providers(opening, arguments)
    for delivered in opening.participants:
        check_same(
            f"{delivered.role.value} {delivered.index}: commitment",
            delivered.statement.commitment,
            NO_COMMITMENT,
        )


def check_listed_providers(opening: Opening, arguments: Arguments) -> None:
    """Refuse an input of a Data Provider whom the arguments do not list."""
    providers = len(arguments.in_role(Role.DATA_PROVIDER))
    strangers = [file.provider for file in opening.inputs if file.provider >= providers]
    if strangers:
        raise VerificationError(f"inputs: a file of data-provider {strangers[0]}, who is not listed")


def check_inputs(opening: Opening, arguments: Arguments) -> None:
    """Refuse inputs that are not those of the commitments, and a commitment of who brings none."""
    check_listed_providers(opening, arguments)
    for delivered in opening.participants:
        statement, who = delivered.statement, f"{delivered.role.value} {delivered.index}"
        if delivered.role is not Role.DATA_PROVIDER:
            check_same(f"{who}: commitment", statement.commitment, NO_COMMITMENT)
            continue
        try:
            verify_commitment(
                statement.commitment,
                _inputs_of(opening, delivered.index),
                computation=arguments.computation,
                sender_pk=statement.sender_pk,
            )
        except VerificationError as exc:
            raise VerificationError(f"{who}: {exc}") from exc


def _inputs_of(opening: Opening, provider: int) -> InputList:
    return InputList(
        files=tuple(
            InputFile(name=file.name, size=file.size, sha256=file.sha256)
            for file in opening.inputs
            if file.provider == provider
        )
    )
