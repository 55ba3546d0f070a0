"""The published client's form: refused unless a policy allows it, and named for what it lacks."""

from dataclasses import replace

import evidence_world as w
import pytest
import receipt_world as r

from sealroom.core.evidence.receipt import VerifiedReceipt, appraise_receipt, verify_receipt
from sealroom.core.evidence.verdict import Blame, Check, Decision, Outcome, Verdict
from sealroom.core.wire.delivery import NO_COMMITMENT
from sealroom.core.wire.receipt import InputRecord, Opening
from sealroom.core.wire.terms import DeliveryForm, LogRelease

LEGACY = replace(w.TERMS, delivery=DeliveryForm.LEGACY)


def appraised(*, allowed: bool = True, **shown: object) -> Verdict:
    made = w.world(terms=LEGACY, shown={"code_signature": None} | shown)
    by = w.policy(allow_legacy_delivery=allowed)
    return w.appraised(made, by=by, expected=w.expectations(terms_prefix=LEGACY.digest[:16]))


def check_of(verdict: Verdict, name: str) -> Check:
    return next(check for check in verdict.checks if check.name == name)


def test_is_refused_where_the_policy_does_not_allow_it() -> None:
    verdict = appraised(allowed=False)
    assert [check.name for check in verdict.failures] == ["contract.delivery"]
    assert verdict.failures[0].blame is Blame.POLICY


def test_is_named_for_what_it_lacks_where_the_policy_allows_it() -> None:
    verdict = appraised()
    assert verdict.passed_but_simulated
    observed = check_of(verdict, "contract.delivery").observed
    for missing in ("sender nor role", "committed to the inputs", "signed the code", "data key stays"):
        assert missing in observed
    assert check_of(verdict, "code.signature").observed.startswith("none in the form of delivery")
    assert check_of(verdict, "code.signature").required == check_of(verdict, "code.signature").observed


def test_a_code_signature_that_nobody_looks_at_is_refused() -> None:
    verdict = appraised(code_signature=bytes(64))
    assert [check.name for check in verdict.failures] == ["code.signature"]


def test_without_the_form_there_is_no_code_without_a_signature() -> None:
    verdict = w.appraised(w.world(shown={"code_signature": None}))
    assert [check.name for check in verdict.failures] == ["code.signature"]


# Receipts.

TERMS = replace(r.TERMS, delivery=DeliveryForm.LEGACY, logs=LogRelease.PUBLIC)
ARGUMENTS = r.arguments_of(TERMS)


def legacy_opening(
    *, commitment: bytes = NO_COMMITMENT, inputs: tuple[InputRecord, ...] = r.INPUTS
) -> Opening:
    records = tuple(
        replace(
            record,
            statement=replace(record.statement, agreement=ARGUMENTS.agreement, commitment=commitment),
            signature=bytes(64),
        )
        for record in r.OPENING.participants
    )
    return replace(
        r.OPENING,
        delivery=DeliveryForm.LEGACY,
        agreement=ARGUMENTS.agreement,
        arguments=ARGUMENTS.to_bytes(),
        participants=records,
        inputs=inputs,
    )


def receipt_of(opening: Opening) -> bytes:
    return r.Run(opening=opening).to_bytes()


def test_a_receipt_says_which_of_it_is_the_enclaves_word_alone() -> None:
    receipt = verify_receipt(receipt_of(legacy_opening()), enclave=r.verified(ARGUMENTS))
    assert isinstance(receipt, VerifiedReceipt)
    assert receipt.verdict.decision is Decision.ACCEPTED
    said = {check.name: check.observed for check in receipt.verdict.checks}
    assert said["participants.statements"] == "written by the enclave: no participant made one"
    assert said["participants.signatures"].startswith("verified by the enclave alone")
    assert said["participants.inputs"] == "3 files, which nobody committed to"


@pytest.mark.parametrize(
    ("name", "opening"),
    [
        ("participants.inputs", legacy_opening(commitment=b"\1" * 32)),
        ("participants.inputs", legacy_opening(inputs=(*r.INPUTS, replace(r.INPUTS[2], provider=2)))),
        ("participants.slots", replace(legacy_opening(), participants=legacy_opening().participants[1:])),
        ("opening.contract", replace(legacy_opening(), delivery=DeliveryForm.V1)),
    ],
)
def test_what_such_a_receipt_has_is_checked(name: str, opening: Opening) -> None:
    verdict = appraise_receipt(receipt_of(opening), enclave=r.verified(ARGUMENTS))
    assert [check.name for check in verdict.failures] == [name]
    assert check_of(verdict, name).outcome is Outcome.FAILED


def test_a_statement_about_another_enclave_is_refused_there_too() -> None:
    records = list(legacy_opening().participants)
    records[1] = replace(records[1], statement=replace(records[1].statement, mrenclave=bytes(32)))
    opening = replace(legacy_opening(), participants=tuple(records))
    verdict = appraise_receipt(receipt_of(opening), enclave=r.verified(ARGUMENTS))
    assert [check.name for check in verdict.failures] == ["participants.statements"]


def test_a_receipt_of_version_1_is_not_let_off_by_calling_itself_legacy() -> None:
    opening = replace(r.OPENING, delivery=DeliveryForm.LEGACY)
    verdict = appraise_receipt(receipt_of(opening), enclave=r.verified())
    assert [check.name for check in verdict.failures] == ["opening.contract"]
    unsigned = replace(legacy_opening(), agreement=r.ARGUMENTS.agreement, arguments=r.ARGUMENTS.to_bytes())
    assert (
        check_of(
            appraise_receipt(receipt_of(unsigned), enclave=r.verified()), "participants.signatures"
        ).outcome
        is Outcome.FAILED
    )
