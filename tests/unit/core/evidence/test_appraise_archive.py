"""A receipt and its evidence, judged from the two files alone."""

from datetime import timedelta

import evidence_world as w
import pytest
from archive_world import IDENTITY, Archive, archive

from sealroom.core.errors import MalformedError
from sealroom.core.evidence.archive import ArchivedRun, appraise_archive
from sealroom.core.evidence.catalogue import GROUPS
from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.receipt_catalogue import REFUSAL_GROUPS, RUN_GROUPS, UNFINISHED_GROUPS
from sealroom.core.evidence.verdict import Blame, Decision, Outcome
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Role

NEED_AN_INVITATION = {
    "contract.computation",
    "contract.terms",
    "contract.own-roles",
    "contract.participants",
    "code.expected",
}


def appraised(
    made: Archive,
    *,
    receipt: bytes | None = None,
    bundle: bytes | None = None,
    expected: Expectations | None = None,
    by: Policy | None = None,
    now: object = w.NOW,
) -> ArchivedRun:
    return appraise_archive(
        made.run() if receipt is None else receipt,
        made.bundle if bundle is None else bundle,
        policy=w.policy() if by is None else by,
        expected=expected,
        release=w.RELEASE,
        wheels={},
        roots=w.ROOTS,
        now=now,
    )


def observed(found: ArchivedRun, name: str) -> str:
    (check,) = (check for check in found.verdict.checks if check.name == name)
    return check.observed


def failed(found: ArchivedRun) -> list[str]:
    return [check.name for check in found.verdict.failures]


def test_one_verdict_has_every_check_of_the_evidence_and_then_of_the_receipt():
    made = archive()
    found = appraised(made, expected=w.expectations())
    assert [group.name for group in found.verdict.groups] == [group.name for group in (*GROUPS, *RUN_GROUPS)]
    assert found.verdict.passed_but_simulated
    assert (found.opening, found.closing, found.refusal) == (made.opening, made.closing, None)
    assert observed(found, "receipt.people") == "those of the invitation"


def test_somebody_who_was_never_invited_can_check_it_and_is_told_what_nobody_compared():
    found = appraised(archive())
    assert found.verdict.passed_but_simulated
    names = {check.name for check in found.verdict.checks}
    assert not names & NEED_AN_INVITATION
    assert "no invitation was given" in observed(found, "receipt.people")
    assert observed(found, "contract.logs").startswith("all participants can read")


def test_without_an_invitation_a_policy_that_asks_for_pinned_keys_is_not_met():
    found = appraised(archive(), by=w.policy(require_pinned=frozenset({Role.CODE_PROVIDER})))
    assert not found.verdict.passed_but_simulated
    assert found.anchor is None


def test_of_a_receipt_whose_evidence_is_not_believed_nothing_is_looked_at():
    made = archive(release=w.RELEASE, shown={"entry_point": b"print('another')\n"})
    found = appraised(made, receipt=made.run(key=w.CODE))
    assert failed(found) == ["code.entry-point"]
    assert found.anchor is found.opening is found.closing is None
    receipt = [
        c for g in found.verdict.groups if g.name in ("receipt", "opening", "closing") for c in g.parts
    ]
    assert {check.outcome for check in receipt} == {Outcome.NOT_REACHED}
    assert receipt[0].because == "the evidence is not accepted"


def test_a_receipt_of_another_launch_is_refused():
    made, other = archive(), archive(terms=w.TERMS, runtime=w.RUNTIME[:1])
    assert failed(appraised(made, receipt=other.run()))[0] == "opening.enclave"


def test_a_receipt_by_another_key_is_refused():
    made = archive()
    found = appraised(made, receipt=made.run(key=w.CODE))
    assert failed(found) == ["opening.signature"]
    assert found.verdict.decision is Decision.SIMULATED
    assert not found.verdict.passed_but_simulated


def test_without_a_closing_the_verdict_says_whose_word_the_ending_is():
    found = appraised(archive(), receipt=archive().run(closed=False))
    assert found.verdict.passed_but_simulated
    assert [g.name for g in found.verdict.groups[len(GROUPS) :]] == [g.name for g in UNFINISHED_GROUPS]
    assert "the server's claim alone" in observed(found, "receipt.kind")
    assert found.closing is None


def test_a_refusal_is_judged_in_the_same_way():
    found = appraised(archive(), receipt=archive().refusal())
    assert [g.name for g in found.verdict.groups[len(GROUPS) :]] == [g.name for g in REFUSAL_GROUPS]
    assert found.refusal is not None
    assert found.refusal.reason.value == "words-differ"
    assert "never ran" in observed(found, "receipt.kind")


def test_years_later_it_is_judged_as_of_a_moment_by_the_documents_in_the_bundle():
    """The same two files: stale today, sound as of the day of the run."""
    made = archive()
    much_later = w.NOW + timedelta(days=3 * 365)
    today = appraised(made, now=much_later)
    assert today.anchor is None
    assert Blame.COLLATERAL in {check.blame for check in today.verdict.failures}
    then = appraised(made, now=w.NOW)
    assert then.verdict.passed_but_simulated
    assert then.verdict.at == w.NOW
    assert w.NOW.isoformat() in observed(then, "receipt.enclave")


def test_what_comes_out_is_nothing_that_a_key_could_be_delivered_to():
    anchor = appraised(archive()).anchor
    assert anchor is not None
    assert anchor.is_simulated
    assert not isinstance(anchor, VerifiedEnclave | SimulatedEnclave)
    assert anchor.identity_pk == bytes(IDENTITY.verify_key)


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"opening":null,"closing":null}'])
def test_what_is_no_receipt_is_malformed_whatever_the_evidence(raw):
    with pytest.raises(MalformedError):
        appraised(archive(), receipt=raw)
    with pytest.raises(MalformedError):
        appraised(archive(), bundle=raw)
