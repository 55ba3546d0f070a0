"""Every part of a receipt forged, each found by the check that is there for it and by no other."""

from dataclasses import replace
from uuid import UUID

import pytest
import receipt_world as world
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.evidence.receipt import (
    SimulatedReceipt,
    VerifiedReceipt,
    appraise_receipt,
    insecure_verify_simulated_receipt,
    verify_receipt,
)
from sealroom.core.evidence.receipt_catalogue import REFUSAL_GROUPS, RUN_GROUPS
from sealroom.core.evidence.verdict import Blame, Decision, Outcome, RefusedEvidenceError
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing, InputRecord, Opening, OutputRecord
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.terms import DeliveryForm, LogRelease, Tee

RUN = world.Run()
REFUSED = Receipt(refusal=world.seal(world.REFUSAL.to_statement(), world.IDENTITY)).to_bytes()
SLOTS = world.ARGUMENTS.participants


def opening(**changes: object) -> world.Run:
    return world.Run(opening=replace(world.OPENING, **changes))


def closing(**changes: object) -> world.Run:
    return world.Run(closing=replace(world.CLOSING, **changes))


def records(*positions: int) -> tuple[object, ...]:
    return tuple(world.OPENING.participants[position] for position in positions)


def resigned_box(position: int) -> world.Run:
    """The host exchanges a box and keeps the signature over the other one."""
    changed = list(world.OPENING.participants)
    changed[position] = replace(changed[position], box_sha256=bytes(32))
    return opening(participants=tuple(changed))


def inputs(*records: InputRecord) -> world.Run:
    return opening(inputs=records)


OUTPUT = world.CLOSING.outputs[0]
FORGERIES = [
    ("opening.signature", world.Run(opening_key=world.OTHER)),
    ("opening.signature", world.Run(opening_key=world.RUN)),
    ("opening.contract", opening(agreement=bytes(32))),
    ("opening.contract", opening(arguments=world.arguments_of(world.TERMS, bytes(16)).to_bytes())),
    ("opening.contract", opening(computation=UUID("6f1c8a34-6f0b-4f0e-9d2c-1d6b1f8e7a55"))),
    ("opening.contract", opening(tee=Tee.SGX)),
    ("opening.contract", opening(delivery=DeliveryForm.LEGACY)),
    ("opening.contract", opening(code=bytes(32))),
    ("opening.contract", opening(packages=b"\1" * 32)),
    ("opening.enclave", opening(mrenclave=bytes(32))),
    ("opening.enclave", opening(identity_pk=world.public(world.OTHER))),
    ("opening.enclave", opening(box_pk=bytes(32))),
    ("participants.slots", opening(participants=records(0, 1, 3))),
    ("participants.slots", opening(participants=records(0, 2, 1, 3))),
    ("participants.slots", opening(participants=records(0, 1, 2, 3, 3))),
    ("participants.slots", opening(participants=())),
    ("participants.statements", world.Run(opening=world.with_statement(0, agreement=bytes(32)))),
    ("participants.statements", world.Run(opening=world.with_statement(1, mrenclave=bytes(32)))),
    ("participants.statements", world.Run(opening=world.with_statement(2, identity_pk=bytes(32)))),
    ("participants.statements", world.Run(opening=world.with_statement(3, box_pk=bytes(32)))),
    ("participants.statements", world.Run(opening=world.with_statement(3, role=Role.DATA_PROVIDER))),
    ("participants.signatures", resigned_box(2)),
    ("participants.inputs", world.Run(opening=world.with_statement(1, commitment=bytes(32)))),
    ("participants.inputs", world.Run(opening=world.with_statement(0, commitment=b"\1" * 32))),
    ("participants.inputs", world.Run(opening=world.with_statement(3, commitment=b"\1" * 32))),
    ("participants.inputs", inputs(*world.INPUTS[1:])),
    ("participants.inputs", inputs(*world.INPUTS[:2])),
    ("participants.inputs", inputs(world.INPUTS[1], world.INPUTS[0], world.INPUTS[2])),
    ("participants.inputs", inputs(replace(world.INPUTS[0], name="c.csv"), *world.INPUTS[1:])),
    ("participants.inputs", inputs(replace(world.INPUTS[0], size=1), *world.INPUTS[1:])),
    ("participants.inputs", inputs(replace(world.INPUTS[0], sha256=bytes(32)), *world.INPUTS[1:])),
    ("participants.inputs", inputs(*world.INPUTS, replace(world.INPUTS[0], provider=2))),
    ("participants.inputs", inputs(*world.INPUTS, replace(world.INPUTS[2], name="more.csv"))),
    ("closing.signature", world.Run(closing_key=world.IDENTITY)),
    ("closing.signature", world.Run(closing_key=world.OTHER)),
    ("closing.signature", opening(run_key=world.public(world.OTHER))),
    ("closing.opening", closing(opening_sha256=bytes(32))),
    ("closing.opening", closing(agreement=bytes(32))),
    ("closing.outputs", closing(outputs=(replace(OUTPUT, consumer=1),))),
    ("closing.outputs", closing(bytes_out=1001)),
    ("closing.outputs", closing(bytes_log=8193)),
    ("closing.outputs", closing(log_sha256=None)),
]


def test_a_true_receipt_passes_every_check():
    receipt = verify_receipt(RUN.to_bytes(), enclave=world.verified())
    assert isinstance(receipt, VerifiedReceipt)
    assert receipt.opening == world.OPENING
    assert receipt.closing == world.CLOSING
    assert receipt.refusal is None
    assert receipt.verdict.decision is Decision.ACCEPTED
    assert [check.name for check in receipt.verdict.checks] == [
        check.name for group in RUN_GROUPS for check in group.checks
    ]


@pytest.mark.parametrize(("name", "run"), FORGERIES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(FORGERIES)])
def test_a_forged_part_is_found_by_its_own_check_alone(name: str, run: world.Run):
    verdict = appraise_receipt(run.to_bytes(), enclave=world.verified())
    assert [check.name for check in verdict.failures] == [name]
    assert verdict.failures[0].blame is Blame.EVIDENCE
    assert verdict.decision is Decision.REFUSED
    with pytest.raises(RefusedEvidenceError) as caught:
        verify_receipt(run.to_bytes(), enclave=world.verified())
    assert caught.value.verdict == verdict
    with pytest.raises(RefusedEvidenceError):
        insecure_verify_simulated_receipt(run.to_bytes(), enclave=world.simulated())


def test_every_check_of_a_run_is_needed_by_some_forgery():
    # The form is covered below, and the first group says what is there and forges nothing.
    named = {check.name for group in RUN_GROUPS[1:] for check in group.checks}
    assert {name for name, _ in FORGERIES} == named - {"opening.form", "closing.form"}


@pytest.mark.parametrize(
    ("enclave", "name"),
    [
        (world.verified(mrenclave=bytes(32)), "opening.enclave"),
        (world.verified(box_pk=bytes(32)), "opening.enclave"),
        (world.verified(identity_pk=world.public(world.OTHER)), "opening.signature"),
        (world.verified(world.arguments_of(world.TERMS, bytes(16))), "opening.contract"),
    ],
)
def test_a_true_receipt_of_another_enclave_is_refused(enclave, name):
    verdict = appraise_receipt(RUN.to_bytes(), enclave=enclave)
    assert verdict.failures[0].name == name
    assert verdict.decision is Decision.REFUSED


def test_a_participant_who_signed_in_another_ones_name_is_found():
    slot = SLOTS[2]
    changed = list(world.OPENING.participants)
    changed[2] = world.signed(world.statement_of(slot), slot, world.KEYS["north@x.example"])
    verdict = appraise_receipt(opening(participants=tuple(changed)).to_bytes(), enclave=world.verified())
    assert [check.name for check in verdict.failures] == ["participants.signatures"]
    assert "data-provider 1" in verdict.failures[0].observed


def test_a_delivery_by_a_key_that_is_not_listed_is_found():
    statement = replace(world.statement_of(SLOTS[2]), sender_pk=world.public(world.OTHER))
    changed = list(world.OPENING.participants)
    changed[2] = world.signed(statement, SLOTS[2], world.OTHER)
    verdict = appraise_receipt(opening(participants=tuple(changed)).to_bytes(), enclave=world.verified())
    # The commitment is bound to the key too.
    assert [c.name for c in verdict.failures] == ["participants.statements", "participants.inputs"]


def test_without_a_closing_it_says_that_the_ending_is_the_servers_claim():
    run = world.Run(closing=None)
    receipt = verify_receipt(run.to_bytes(), enclave=world.verified())
    assert receipt.opening == world.OPENING
    assert receipt.closing is None
    kind = receipt.verdict.checks[0]
    assert kind.name == "receipt.kind"
    assert "server's claim" in kind.observed
    assert not any(check.name.startswith("closing.") for check in receipt.verdict.checks)


@pytest.mark.parametrize(
    "payload", [world.CLOSING.to_statement(), world.REFUSAL.to_statement(), b"", b"{}", b"\xff"]
)
def test_what_the_enclave_signed_as_something_else_is_no_opening_and_no_closing(payload):
    sealed = world.seal(payload, world.IDENTITY)
    raw = Receipt(opening=sealed, closing=world.seal(payload, world.RUN)).to_bytes()
    verdict = appraise_receipt(raw, enclave=world.verified())
    assert [check.name for check in verdict.failures] == ["opening.form"]
    assert verdict.failures[0].blame is Blame.MALFORMED
    closed = world.seal(payload.replace(b"closing/v1", b"opening/v1"), world.RUN)
    raw = Receipt(opening=world.seal(world.OPENING.to_statement(), world.IDENTITY), closing=closed).to_bytes()
    verdict = appraise_receipt(raw, enclave=world.verified())
    assert [check.name for check in verdict.failures] == ["closing.form"]


def test_nothing_is_parsed_before_its_signature_holds():
    raw = Receipt(opening=world.seal(b"not even JSON", world.OTHER)).to_bytes()
    verdict = appraise_receipt(raw, enclave=world.verified())
    assert [check.name for check in verdict.failures] == ["opening.signature"]
    form = next(check for check in verdict.checks if check.name == "opening.form")
    assert form.outcome is Outcome.NOT_REACHED
    assert form.because == "opening.signature failed"


def test_the_closing_of_another_run_of_the_same_enclave_is_refused():
    other = replace(world.OPENING, inputs=())
    sealed = world.seal(other.to_statement(), world.IDENTITY)
    foreign = world.seal(world.CLOSING.to_statement(), world.RUN)
    verdict = appraise_receipt(Receipt(opening=sealed, closing=foreign).to_bytes(), enclave=world.verified())
    assert "closing.opening" in [check.name for check in verdict.failures]


def test_a_log_is_there_exactly_when_the_contract_releases_one():
    terms = replace(world.TERMS, logs=LogRelease.NONE)
    silent = world.arguments_of(terms)
    for changes, failed in (
        ({}, True),
        ({"log_sha256": None}, True),
        ({"log_sha256": None, "bytes_log": 0}, False),
    ):
        # Everything else is of the other contract here; only this check is looked at.
        verdict = appraise_receipt(closing(**changes).to_bytes(), enclave=world.verified(silent))
        outputs = next(check for check in verdict.checks if check.name == "closing.outputs")
        assert (outputs.outcome is Outcome.FAILED) is failed


def test_a_simulated_enclaves_receipt_is_only_ever_simulated():
    enclave = world.simulated()
    verdict = appraise_receipt(RUN.to_bytes(), enclave=enclave)
    assert verdict.decision is Decision.SIMULATED
    assert verdict.passed_but_simulated
    assert not verdict.accepted
    receipt = insecure_verify_simulated_receipt(RUN.to_bytes(), enclave=enclave)
    assert isinstance(receipt, SimulatedReceipt)
    assert receipt.closing == world.CLOSING
    with pytest.raises(RefusedEvidenceError):
        verify_receipt(RUN.to_bytes(), enclave=enclave)  # type: ignore[arg-type]
    with pytest.raises(RefusedEvidenceError):
        insecure_verify_simulated_receipt(RUN.to_bytes(), enclave=world.verified())  # type: ignore[arg-type]
    assert VerifiedReceipt.__bases__ == SimulatedReceipt.__bases__ == (object,)


def test_a_refusal_by_the_enclave_is_believed():
    receipt = verify_receipt(REFUSED, enclave=world.verified())
    assert receipt.refusal is not None
    assert receipt.refusal.reason is RefusalReason.WORDS_DIFFER
    assert receipt.opening is None
    names = [check.name for group in REFUSAL_GROUPS for check in group.checks]
    assert [check.name for check in receipt.verdict.checks] == names


@pytest.mark.parametrize(
    ("name", "envelope"),
    [
        ("refusal.signature", world.seal(world.REFUSAL.to_statement(), world.OTHER)),
        ("refusal.signature", world.seal(world.REFUSAL.to_statement(), world.RUN)),
        ("refusal.form", world.seal(world.OPENING.to_statement(), world.IDENTITY)),
        (
            "refusal.enclave",
            world.seal(replace(world.REFUSAL, agreement=bytes(32)).to_statement(), world.IDENTITY),
        ),
        (
            "refusal.enclave",
            world.seal(replace(world.REFUSAL, mrenclave=bytes(32)).to_statement(), world.IDENTITY),
        ),
        (
            "refusal.enclave",
            world.seal(replace(world.REFUSAL, identity_pk=bytes(32)).to_statement(), world.IDENTITY),
        ),
    ],
)
def test_a_forged_refusal_is_refused(name: str, envelope: Envelope):
    verdict = appraise_receipt(Receipt(refusal=envelope).to_bytes(), enclave=world.verified())
    assert [check.name for check in verdict.failures] == [name]
    with pytest.raises(RefusedEvidenceError):
        verify_receipt(Receipt(refusal=envelope).to_bytes(), enclave=world.verified())


def test_the_source_of_every_check_is_a_place_in_its_page():
    run = appraise_receipt(RUN.to_bytes(), enclave=world.verified())
    assert run.checks[3].source == "docs/spec/receipt.md, a run, 2.1"
    assert appraise_receipt(REFUSED, enclave=world.verified()).checks[-1].source.endswith("a refusal, 2.3")


@given(st.binary(max_size=100))
def test_what_is_no_receipt_is_malformed(raw):
    with pytest.raises(MalformedError):
        appraise_receipt(raw, enclave=world.verified())


@given(st.data())
def test_one_changed_byte_anywhere_is_malformed_or_refused(data):
    raw = bytearray(RUN.to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        verdict = appraise_receipt(bytes(raw), enclave=world.verified())
    except MalformedError:
        return
    changed = Receipt.from_bytes(bytes(raw))
    original = Receipt.from_bytes(RUN.to_bytes())
    assert changed.opening is not None
    assert original.opening is not None
    # keyid is the one thing that no signature covers, and it decides nothing.
    if (changed.opening.payload, changed.opening.signature) == (
        original.opening.payload,
        original.opening.signature,
    ) and changed.closing is not None:
        assert original.closing is not None
        same = (changed.closing.payload, changed.closing.signature) == (
            original.closing.payload,
            original.closing.signature,
        )
        assert verdict.accepted is same
    else:
        assert not verdict.accepted


def test_values_of_a_signed_payload_are_what_the_checks_saw():
    receipt = verify_receipt(RUN.to_bytes(), enclave=world.verified())
    assert isinstance(receipt.opening, Opening)
    assert isinstance(receipt.closing, Closing)
    assert receipt.closing.outputs == (OutputRecord(consumer=0, name="report.json", sha256=b"\xd1" * 32),)
