"""What a verdict says, beyond which check refuses what."""

from dataclasses import replace
from datetime import timedelta

import evidence_world as w
from evidence_changes import (
    OTHER,
    flipped,
    with_manifest,
    with_quote,
    with_requirements,
    with_terms,
    with_wish,
)

from sealroom.core.attestation.roots import INTEL_QE_VENDOR_ID
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.evidence.catalogue import GROUPS
from sealroom.core.evidence.expectations import Contact, OwnRole
from sealroom.core.evidence.verdict import Blame, Decision, Outcome
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import Tee

ALL = {check.name for group in GROUPS for check in group.checks}
NEVER_PASSED_SIMULATED = {"quote.root", "measurement.runtime"}


def test_honest_evidence_passes_everything_and_is_simulated() -> None:
    verdict = w.appraised(w.world())
    assert verdict.decision is Decision.SIMULATED
    assert verdict.passed_but_simulated
    assert not verdict.accepted
    outcomes = {check.name: check.outcome for check in verdict.checks}
    assert {
        name for name, outcome in outcomes.items() if outcome is Outcome.SIMULATED
    } == NEVER_PASSED_SIMULATED
    assert set(outcomes.values()) == {Outcome.PASSED, Outcome.SIMULATED}
    assert set(outcomes) >= ALL


def test_runtime_line_says_not_compared() -> None:
    (line,) = [check for check in w.appraised(w.world()).checks if check.name == "measurement.runtime"]
    assert line.observed == "not compared: simulated"


def test_another_runtime_under_its_folder_is_taken() -> None:
    runtime = (MeasuredFile(path="runtime/bin/python3", sha256=bytes([9]) * 32),)
    assert w.appraised(w.world(runtime=runtime)).passed_but_simulated


def test_vendor_of_intel_under_another_root_is_refused() -> None:
    # The header is signed, so only the vendor check stands between this quote and a simulated one.
    verdict = with_quote(lambda quote: quote[:12] + INTEL_QE_VENDOR_ID + quote[28:])
    assert [check.name for check in verdict.failures] == ["quote.vendor", "quote.signature"]


def test_enclave_that_calls_itself_real_under_another_root_is_refused() -> None:
    verdict = with_terms(tee=Tee.SGX)
    assert [check.name for check in verdict.failures] == ["measurement.manifest", "contract.tee"]


def test_requirements_that_are_there_and_empty_pass() -> None:
    assert with_requirements(b"").passed_but_simulated


def test_without_an_invitation_nothing_is_deliverable() -> None:
    verdict = w.appraise(
        w.world().bundle.to_bytes(),
        policy=w.policy(),
        expected=None,
        release=w.RELEASE,
        wheels={},
        roots=w.ROOTS,
        now=w.NOW,
    )
    assert not verdict.failures
    assert not verdict.passed_but_simulated
    unreached = {check.name for check in verdict.checks if check.outcome is Outcome.NOT_REACHED}
    assert unreached == {
        "contract.computation",
        "contract.terms",
        "contract.own-roles",
        "contract.participants",
        "code.expected",
    }


def test_forged_quote_reaches_nothing_and_says_why() -> None:
    verdict = with_quote(lambda quote: flipped(quote, 432 + 4 + 5))
    later = [check for group in verdict.groups[1:] for check in group.parts]
    assert {check.outcome for check in later} == {Outcome.NOT_REACHED}
    assert {check.because for check in later} == {"quote.signature failed"}
    assert verdict.status is None


def test_status_and_advisories_are_known_in_a_refusal_too() -> None:
    verdict = with_wish(status=TcbStatus.OUT_OF_DATE)
    assert (verdict.status, verdict.advisories) == ("OutOfDate", ("SIMULATION-SA-00001",))


def test_stale_documents_are_the_collaterals_fault() -> None:
    verdict = w.appraised(w.world(), now=w.NOW + timedelta(days=40))
    assert {check.blame for check in verdict.failures} == {Blame.COLLATERAL}


def test_how_well_each_key_is_known_stands_in_the_verdict() -> None:
    contacts = {
        "carol@code.example": Contact(public_key=bytes(w.CODE.verify_key), pinned=True),
        "rita@registry.example": Contact(public_key=bytes(w.RESULT.verify_key), pinned=False),
    }
    verdict = w.appraised(w.world(), expected=w.expectations(contacts=contacts))
    parts = next(check for check in verdict.checks if check.name == "contract.participants").parts
    assert [part.observed for part in parts] == ["pinned", "your own", "seen before"]


def test_a_pinned_key_does_not_stand_in_for_another_address() -> None:
    contacts = {"eve@elsewhere.example": Contact(public_key=bytes(w.RESULT.verify_key), pinned=True)}
    verdict = w.appraised(w.world(), expected=w.expectations(contacts=contacts))
    (failed,) = verdict.failures
    assert failed.title.startswith("result-consumer")
    assert failed.observed == "the key that is pinned for eve@elsewhere.example"


def test_consumer_put_in_by_a_word_holder_is_refused_with_require_pinned_and_shown_without() -> None:
    people = tuple(
        replace(person, public_key=bytes(OTHER.verify_key)) if person.role is Role.RESULT_CONSUMER else person
        for person in w.participants()
    )
    made = w.world(people=people)
    shown = w.appraised(made)
    refused = w.appraised(made, by=w.policy(require_pinned=frozenset({Role.RESULT_CONSUMER})))
    assert shown.passed_but_simulated
    assert shown.checks[-1] is not None
    consumer = next(c for c in shown.checks if c.name == "contract.participants.result-consumer.0")
    assert consumer.observed == "vouched for by the words only"
    assert [check.name for check in refused.failures] == ["contract.participants.result-consumer.0"]


def test_own_address_in_a_role_that_was_never_registered_needs_the_own_key_too() -> None:
    terms = replace(w.TERMS, result_consumers=("dora@hospital.example",))
    people = (*w.participants()[:2], replace(w.participants()[2], email="dora@hospital.example"))
    verdict = w.appraised(
        w.world(terms=terms, people=people), expected=w.expectations(terms_prefix=terms.digest[:16])
    )
    assert [check.name for check in verdict.failures] == ["contract.own-roles"]


def test_one_person_in_two_roles_passes() -> None:
    terms = replace(w.TERMS, result_consumers=("dora@hospital.example",))
    own = bytes(w.DATA.verify_key)
    people = (
        *w.participants()[:2],
        replace(w.participants()[2], email="dora@hospital.example", public_key=own),
    )
    roles = tuple(
        OwnRole(role=role, email="dora@hospital.example", public_key=own)
        for role in (Role.DATA_PROVIDER, Role.RESULT_CONSUMER)
    )
    verdict = w.appraised(
        w.world(terms=terms, people=people),
        expected=w.expectations(terms_prefix=terms.digest[:16], own_roles=roles),
    )
    assert verdict.passed_but_simulated


def test_foreign_text_is_shown_and_not_obeyed() -> None:
    verdict = with_manifest(
        b"[[sgx.trusted_files]]",
        '[[sgx.trusted_files]]\nuri = "file:\u202egnp"\nsha256 = "'.encode()
        + b"0" * 64
        + b'"\n\n[[sgx.trusted_files]]',
    )
    assert "\u202e" not in verdict.failures[0].observed
    assert "<U+202E>" in verdict.failures[0].observed


def test_verdict_as_json_has_what_programs_read() -> None:
    value = w.appraised(w.world()).to_value()
    assert isinstance(value, dict)
    assert {"accepted", "verdict", "status", "advisories", "checks"} <= set(value)
    assert (value["accepted"], value["verdict"], value["status"]) == (False, "SIMULATED", "UpToDate")
