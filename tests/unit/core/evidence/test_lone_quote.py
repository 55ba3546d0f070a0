"""A quote alone: every check has a case that only it refuses, and every named choice does what it says."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import evidence_world as w
import pytest
from evidence_changes import flipped

from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.collateral import parse_collateral, verify_collateral
from sealroom.core.attestation.quote import TeeType
from sealroom.core.attestation.quote_checks import AttributeRule
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.evidence.policy import SignerRule, Word
from sealroom.core.evidence.quote_catalogue import QUOTE_GROUPS
from sealroom.core.evidence.verdict import Blame, Decision, Outcome
from sealroom.core.wire.bundle import RawCollateral
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pck_extension import PlatformTcb
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QE_BODY, QuotingEnclave, ReportBody

PAGE = Path(__file__).parents[4] / "docs" / "spec" / "quote-appraisal.md"
PKI = w.pki()
BODY = ReportBody(mrenclave=bytes(range(32)), report_data=bytes(64))
QUOTE = QuotingEnclave(PKI).quote(BODY)
MEMBERS = make_collateral(PKI, now=w.NOW)
OPEN = load_policy("insecure-any-status")
NARROW = replace(
    load_policy("up-to-date"), measurement=frozenset({BODY.mrenclave}), accept_host_chosen_fields=False
)


def collateral(**changed) -> bytes:
    return json.dumps(MEMBERS | changed).encode()


def judged(quote=QUOTE, given=None, *, by=NARROW, roots=w.ROOTS, now=w.NOW, pck_chain=None):
    shown = collateral() if given is None else given
    return appraise_quote(quote, shown, policy=by, roots=roots, now=now, pck_chain=pck_chain)


def quoted(**fields) -> bytes:
    return QuotingEnclave(PKI).quote(replace(BODY, **fields))


def wishing(**wanted) -> bytes:
    return json.dumps(make_collateral(PKI, now=w.NOW, wish=Wish(**wanted))).encode()


def another_issuers(**members) -> bytes:
    other = make_collateral(SimulationPki.generate(now=w.NOW), now=w.NOW)
    return collateral(**{name: other[name] for name in members})


def by(**changes):
    return judged(by=replace(NARROW, **changes))


def of_another_kind_of_platform():
    other = replace(PKI, tcb=replace(PKI.tcb, fmspc=bytes(6)))
    return judged(given=json.dumps(make_collateral(other, now=w.NOW)).encode())


def of_another_qe():
    enclave = QuotingEnclave(PKI, qe_body=replace(QE_BODY, mrsigner=bytes(32)))
    return judged(enclave.quote(BODY))


def of_an_old_platform():
    low = SimulationPki.generate(now=w.NOW, tcb=PlatformTcb(pce_svn=0, components=bytes(16)))
    members = make_collateral(replace(low, tcb=PlatformTcb()), now=w.NOW, wish=Wish())
    raised = members["tcb_info"].replace('"pcesvn":0', '"pcesvn":1')
    members |= {"tcb_info": raised, "tcb_info_signature": low.tcb_signing.sign_raw(raised.encode()).hex()}
    return judged(QuotingEnclave(low).quote(BODY), json.dumps(members).encode())


AVX = AttributeRule(flags=0, flags_mask=0, xfrm=0x7, xfrm_mask=0x7, miscselect=0, miscselect_mask=0)
SECTION = 48 + 384 + 4
CASES = [
    ("quote.form", Blame.MALFORMED, lambda: judged(QUOTE[:-1])),
    ("quote.form", Blame.MALFORMED, lambda: judged(b"")),
    ("quote.trailing", Blame.EVIDENCE, lambda: judged(QUOTE + b"\0")),
    (
        "quote.trailing",
        Blame.EVIDENCE,
        lambda: judged(QUOTE + b"\1", by=replace(NARROW, accept_zero_padding=True)),
    ),
    ("quote.chain", Blame.EVIDENCE, lambda: judged(now=w.NOW + timedelta(days=9 * 365))),
    ("quote.root", Blame.EVIDENCE, lambda: judged(roots=(*w.ROOTS, b"\x04" + bytes(64)))),
    ("quote.qe-signature", Blame.EVIDENCE, lambda: judged(flipped(QUOTE, SECTION + 512 + 5))),
    ("quote.attestation-key", Blame.EVIDENCE, lambda: judged(flipped(QUOTE, SECTION + 578 + 5))),
    ("quote.signature", Blame.EVIDENCE, lambda: judged(flipped(QUOTE, SECTION + 5))),
    ("platform.collateral", Blame.MALFORMED, lambda: judged(given=b"{}")),
    ("platform.root-crl", Blame.EVIDENCE, lambda: judged(given=another_issuers(root_ca_crl=0))),
    ("platform.pck-crl", Blame.EVIDENCE, lambda: judged(given=another_issuers(pck_crl=0))),
    ("platform.tcb-info", Blame.EVIDENCE, lambda: judged(given=another_issuers(tcb_info_signature=0))),
    ("platform.qe-identity", Blame.EVIDENCE, lambda: judged(given=another_issuers(qe_identity_signature=0))),
    ("platform.revocation", Blame.EVIDENCE, lambda: judged(given=wishing(revoked=(PKI.pck.certificate,)))),
    ("platform.match", Blame.EVIDENCE, of_another_kind_of_platform),
    ("platform.quoting-enclave", Blame.EVIDENCE, of_another_qe),
    ("platform.tcb", Blame.EVIDENCE, of_an_old_platform),
    ("platform.status", Blame.POLICY, lambda: judged(given=wishing(status=TcbStatus.OUT_OF_DATE))),
    ("platform.status", Blame.EVIDENCE, lambda: judged(given=wishing(status=TcbStatus.REVOKED), by=OPEN)),
    (
        "platform.advisories",
        Blame.POLICY,
        lambda: judged(
            given=wishing(status=TcbStatus.SW_HARDENING_NEEDED), by=replace(NARROW, advisories=Word.NONE)
        ),
    ),
    ("platform.evaluation-number", Blame.POLICY, lambda: by(min_evaluation_number=2)),
    (
        "platform.collateral-age",
        Blame.POLICY,
        lambda: judged(
            by=replace(NARROW, max_collateral_age=timedelta(days=7)), now=w.NOW + timedelta(days=8)
        ),
    ),
    ("platform.known", Blame.POLICY, lambda: by(platforms=frozenset({bytes(16)}))),
    ("enclave.tee", Blame.POLICY, lambda: by(tee=frozenset({TeeType.TDX}))),
    ("enclave.debug", Blame.EVIDENCE, lambda: judged(quoted(flags=0x7), by=OPEN)),
    ("enclave.attributes", Blame.POLICY, lambda: by(attributes=AVX)),
    ("enclave.config", Blame.POLICY, lambda: judged(quoted(config_svn=1))),
    ("measurement.policy", Blame.POLICY, lambda: by(measurement=frozenset({bytes(32)}))),
    ("measurement.policy", Blame.POLICY, lambda: by(measurement=Word.RECOMPUTED)),
    (
        "measurement.policy",
        Blame.POLICY,
        lambda: by(measurement=SignerRule(mrsigner=b"\xaa" * 32, product=0, min_svn=0)),
    ),
    (
        "measurement.policy",
        Blame.POLICY,
        lambda: by(measurement=SignerRule(mrsigner=BODY.mrsigner, product=BODY.isv_prod_id + 1, min_svn=0)),
    ),
    (
        "measurement.policy",
        Blame.POLICY,
        lambda: by(
            measurement=SignerRule(mrsigner=BODY.mrsigner, product=BODY.isv_prod_id, min_svn=BODY.isv_svn + 1)
        ),
    ),
]


@pytest.mark.parametrize(("name", "blame", "case"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_refused_by_this_check_alone(name, blame, case):
    verdict = case()
    assert [check.name for check in verdict.failures] == [name]
    assert verdict.failures[0].blame is blame
    assert not verdict.accepted
    assert not verdict.passed_but_simulated


def test_every_check_has_a_case():
    # A vendor's id that is signed, and a TD, take genuine quotes: test_lone_genuine_quotes.
    every = {check.name for group in QUOTE_GROUPS for check in group.checks}
    assert every - {name for name, _, _ in CASES} == {"quote.vendor", "enclave.sept-ve"}


def test_every_check_stands_on_the_page_under_its_number():
    page = PAGE.read_text()
    for chapter, group in enumerate(QUOTE_GROUPS, 1):
        assert f"## {chapter}. {group.title}\n" in page
        for section, check in enumerate(group.checks, 1):
            assert f"| {chapter}.{section} | {check.title} (`{check.name}`) | {check.required} |" in page


def test_a_quote_under_another_root_is_simulated_whatever_roots_are_given():
    for roots in (w.ROOTS, (*w.ROOTS, PKI.root.point), (PKI.root.point,)):
        verdict = judged(roots=roots)
        assert verdict.decision is Decision.SIMULATED
        assert verdict.passed_but_simulated
        assert not verdict.accepted
        assert verdict.status == "UpToDate"


def test_status_and_advisories_stand_in_a_refusal_too():
    verdict = judged(quoted(flags=0x7) + b"\0", wishing(status=TcbStatus.OUT_OF_DATE))
    assert {check.name for check in verdict.failures} >= {
        "quote.trailing",
        "platform.status",
        "enclave.debug",
    }
    assert verdict.status == "OutOfDate"
    assert verdict.advisories


def test_zeros_after_a_quote_are_accepted_where_the_policy_says_so():
    assert judged(QUOTE + bytes(100), by=replace(NARROW, accept_zero_padding=True)).passed_but_simulated


def test_host_chosen_fields_are_accepted_where_the_policy_says_so():
    chosen = quoted(config_svn=1)
    assert judged(chosen, by=replace(NARROW, accept_host_chosen_fields=True)).passed_but_simulated


def test_a_signers_rule_takes_its_product_from_its_version_on():
    rule = SignerRule(mrsigner=BODY.mrsigner, product=BODY.isv_prod_id, min_svn=BODY.isv_svn)
    assert by(measurement=rule).passed_but_simulated


def test_without_collateral_the_platform_is_not_reached():
    verdict = appraise_quote(QUOTE, None, policy=OPEN, roots=w.ROOTS, now=w.NOW)
    assert [(check.name, check.blame) for check in verdict.failures] == [
        ("platform.collateral", Blame.COLLATERAL)
    ]
    assert verdict.status is None


def believed(members=MEMBERS, *, pki=PKI, now=w.NOW):
    parsed = parse_collateral(RawCollateral(**members))
    return verify_collateral(parsed, root_key=pki.root.point, now=now)


def test_documents_that_were_verified_before_are_reused():
    again = judged(given=believed())
    assert again.passed_but_simulated
    assert (again.status, again.advisories) == (judged().status, judged().advisories)


@pytest.mark.parametrize("bit", range(0, len(QUOTE) * 8, 1009))
def test_with_reused_documents_a_changed_quote_is_refused_all_the_same(bit):
    changed = bytearray(QUOTE)
    changed[bit // 8] ^= 1 << bit % 8
    assert not judged(bytes(changed), believed()).passed_but_simulated


def test_reused_documents_are_good_for_their_own_time_and_root_only():
    late = judged(given=believed(), now=w.NOW + timedelta(days=31))
    assert [(check.name, check.blame) for check in late.failures] == [
        ("platform.collateral", Blame.COLLATERAL)
    ]
    other = SimulationPki.generate(now=w.NOW)
    foreign = judged(given=believed(make_collateral(other, now=w.NOW), pki=other))
    assert [check.name for check in foreign.failures] == ["platform.collateral"]


def test_reused_documents_do_not_vouch_for_another_platforms_authority():
    other = SimulationPki.generate(now=w.NOW)
    assert not judged(QuotingEnclave(other).quote(BODY), believed()).passed_but_simulated


def test_the_certificates_of_a_quote_that_carries_none_are_given_beside_it():
    start, section = 48 + 384, QUOTE.index(b"-----BEGIN") - 6
    signature = (
        QUOTE[start + 4 : section] + (1).to_bytes(2, "little") + (36).to_bytes(4, "little") + bytes(36)
    )
    bare = QUOTE[:start] + len(signature).to_bytes(4, "little") + signature
    assert [check.blame for check in judged(bare).failures] == [Blame.COLLATERAL]
    assert judged(bare, pck_chain=PKI.pck_chain_pem).passed_but_simulated
    other = SimulationPki.generate(now=w.NOW).pck_chain_pem
    assert "quote.qe-signature" in {check.name for check in judged(bare, pck_chain=other).failures}
    assert judged(pck_chain=other).passed_but_simulated  # the quote's own certificates go first


def test_a_moment_without_its_time_zone_is_our_own_mistake():
    with pytest.raises(ValueError, match="time zone"):
        judged(now=datetime(2026, 3, 1))  # noqa: DTZ001


def test_every_group_of_an_accepted_simulation_passed_but_the_first():
    assert [group.outcome for group in judged().groups] == [Outcome.SIMULATED, *[Outcome.PASSED] * 3]
