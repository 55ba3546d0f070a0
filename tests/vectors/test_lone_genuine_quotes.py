"""Genuine quotes with Intel's collateral: verdict, status and advisories, by function and command line."""

import json
import random
from dataclasses import replace

import genuine_quotes as g
import pytest

from sealroom.adapters.policies import load_policy
from sealroom.cli.main import run
from sealroom.core.attestation.collateral import parse_collateral, verify_collateral
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import TdFlags
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.evidence.policy import SignerRule
from sealroom.core.evidence.verdict import Blame, Decision
from sealroom.core.wire.bundle import RawCollateral

pytestmark = pytest.mark.skipif(not g.PRESENT, reason=g.ABSENT)
OPEN = load_policy("insecure-any-status")
ROOTS = (INTEL_SGX_ROOT_KEY,)


def judged(entry, wanted, *, by=OPEN):
    raw, collateral = g.quote_bytes(entry["file"]), g.collateral_bytes(wanted["bundle"])
    return appraise_quote(raw, collateral, policy=by, roots=ROOTS, now=g.moment(wanted))


def agrees(entry, wanted, verdict) -> bool:
    failed = [check.name for check in verdict.failures]
    unreached = g.WITHOUT_STATUS.get(wanted["expected"])
    if unreached is not None:
        return verdict.status is None and unreached in failed and not verdict.accepted
    expected_failures = ["enclave.debug"] if entry["debug"] else []
    return (
        verdict.status == wanted["expected"]
        and list(verdict.advisories) == sorted(wanted["advisories"])
        and failed == expected_failures
        and verdict.accepted is not entry["debug"]
    )


def test_verdict_status_and_advisories_agree_with_the_index_everywhere(capsys):
    wrong = [
        (entry["file"], wanted["bundle"])
        for entry, wanted in g.TRIPLES
        if not agrees(entry, wanted, judged(entry, wanted))
    ]
    with capsys.disabled():
        print(f"\n{len(g.TRIPLES)} combinations of genuine quote, collateral and time appraised")
    assert len(g.TRIPLES) > 0
    assert wrong == []


@pytest.mark.slow
def test_reused_documents_give_the_same_verdict_everywhere():
    for entry, wanted in g.TRIPLES[::5]:
        parsed = parse_collateral(RawCollateral.from_json(g.collateral_bytes(wanted["bundle"])))
        now = g.moment(wanted)
        believed = verify_collateral(parsed, root_key=INTEL_SGX_ROOT_KEY, now=now)
        raw = g.quote_bytes(entry["file"])
        again = appraise_quote(raw, believed, policy=OPEN, roots=ROOTS, now=now)
        fresh = judged(entry, wanted)
        assert (again.status, again.advisories, again.accepted) == (
            fresh.status,
            fresh.advisories,
            fresh.accepted,
        )


def test_a_sample_of_the_index_through_the_command_line(capsys):
    for entry, wanted in random.Random(1).sample(g.TRIPLES, 40):
        words = ["evidence", "verify", "--quote", str(g.FOLDER / entry["file"])]
        words += ["--collateral", str(g.collateral_file(wanted["bundle"]))]
        words += ["--policy", "insecure-any-status", "--at", wanted["at"], "--json"]
        code = run(words)
        said = json.loads(capsys.readouterr().out)
        verdict = judged(entry, wanted)
        assert agrees(entry, wanted, verdict)
        assert (said["status"], said["advisories"]) == (verdict.status, list(verdict.advisories))
        assert (said["accepted"], said["verdict"]) == (verdict.accepted, verdict.decision.value)
        assert [group["name"] for group in said["checks"]] == [group.name for group in verdict.groups]
        assert said["issuer"].startswith(
            "Intel" if wanted["expected"] != "PCKCertNotInValidity" else "nobody"
        )
        assert code == (0 if verdict.accepted else 1)


@pytest.mark.parametrize(
    "entry", [e for e in g.ENTRIES if e["kind"] == "negative-quote"], ids=lambda e: e["file"]
)
def test_a_published_negative_quote_is_refused(entry):
    wanted = next(iter(entry.get("expected", ())), g.TRIPLES[0][1] if g.TRIPLES else {})
    verdict = judged(entry, wanted)
    assert verdict.decision is Decision.REFUSED


def test_a_genuine_chain_in_another_order_is_read_and_its_debug_enclave_refused():
    entry, wanted = next((e, w) for e, w in g.TRIPLES if e["kind"] == "negative-quote")
    verdict = judged(entry, wanted)
    assert verdict.status == wanted["expected"]
    assert [check.name for check in verdict.failures] == ["enclave.debug"]


@pytest.mark.parametrize(
    "entry", [e for e in g.ENTRIES if e["kind"] == "padded-quote"], ids=lambda e: e["file"]
)
def test_padding_is_refused_unless_named_and_hides_no_status(entry):
    wanted = next(
        w for e, w in g.TRIPLES if e["file"] == entry["quote_file"] and w["expected"] not in g.WITHOUT_STATUS
    )
    refused = judged(entry, wanted)
    assert [check.name for check in refused.failures] == ["quote.trailing"]
    assert refused.status == wanted["expected"]
    assert judged(entry, wanted, by=replace(OPEN, accept_zero_padding=True)).accepted


def test_a_td_without_sept_ve_disable_is_refused_unless_named():
    found = 0
    for entry, wanted in g.TRIPLES:
        if (
            entry["kind"].startswith("tdx")
            and not entry["debug"]
            and wanted["expected"] not in g.WITHOUT_STATUS
        ):
            body = parse_quote(g.quote_bytes(entry["file"])).body
            if body.td_attributes & TdFlags.SEPT_VE_DISABLE:
                continue
            found += 1
            strictly = replace(OPEN, accept_td_without_sept_ve_disable=False)
            verdict = judged(entry, wanted, by=strictly)
            assert [(c.name, c.blame) for c in verdict.failures] == [("enclave.sept-ve", Blame.POLICY)]
            assert judged(entry, wanted).accepted
    assert found > 0


@pytest.mark.parametrize("kind", ["sgx-quote-v3", "tdx-quote-v4"])
def test_a_list_of_measurements_takes_these_and_no_others(kind):
    entry, wanted = g.first(kind)
    own = bytes.fromhex(entry.get("mrenclave") or entry["mrtd"])
    assert judged(entry, wanted, by=replace(OPEN, measurement=frozenset({own}))).accepted
    other = judged(entry, wanted, by=replace(OPEN, measurement=frozenset({bytes(len(own))})))
    assert [(check.name, check.blame) for check in other.failures] == [("measurement.policy", Blame.POLICY)]


def test_a_signers_rule_takes_no_td():
    entry, wanted = g.first("tdx-quote-v4")
    rule = SignerRule(mrsigner=bytes(32), product=0, min_svn=0)
    verdict = judged(entry, wanted, by=replace(OPEN, measurement=rule))
    assert [(check.name, check.blame) for check in verdict.failures] == [("measurement.policy", Blame.POLICY)]


def test_intels_quote_is_refused_where_another_root_alone_is_accepted():
    entry, wanted = g.first("sgx-quote-v3")
    raw, collateral = g.quote_bytes(entry["file"]), g.collateral_bytes(wanted["bundle"])
    verdict = appraise_quote(raw, collateral, policy=OPEN, roots=(b"\x04" + bytes(64),), now=g.moment(wanted))
    assert [check.name for check in verdict.failures] == ["quote.root"]
    assert verdict.decision is Decision.REFUSED


@pytest.mark.slow
def test_status_and_advisories_agree_with_dcap_qvl_wherever_it_gives_them(capsys):
    dcap_qvl = pytest.importorskip("dcap_qvl", reason="no dcap-qvl: it has no wheel for this machine")
    compared, wrong, silent = 0, [], 0
    # What it refuses is refused here too, or is a policy's to say here, or is TCB info of version 2.
    explained = ("Debug mode", "SEPT_VE_DISABLE", "MR service TD", "missing field `sgxtcbcomponents`")
    for entry, wanted in g.TRIPLES:
        members = dcap_qvl.QuoteCollateralV3.from_json(g.collateral_bytes(wanted["bundle"]).decode())
        try:
            theirs = dcap_qvl.verify(g.quote_bytes(entry["file"]), members, int(g.moment(wanted).timestamp()))
        except ValueError as exc:
            unreached = wanted["expected"] in g.WITHOUT_STATUS
            if not unreached and not any(reason in str(exc) for reason in explained):
                wrong.append((entry["file"], wanted["bundle"], str(exc)))
            silent += 1
            continue
        verdict = judged(entry, wanted)
        compared += 1
        if (verdict.status, sorted(verdict.advisories)) != (theirs.status, sorted(theirs.advisory_ids)):
            wrong.append((entry["file"], wanted["bundle"], verdict.status, theirs.status))
    with capsys.disabled():
        print(f"\ncompared with dcap-qvl on {compared} combinations, {silent} that it refuses")
    assert compared > 0
    assert wrong == []
