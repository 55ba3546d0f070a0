"""Hostile quotes and collateral: whatever is changed is refused, by a verdict and by no other exception.

Everything starts from genuine quotes where they are at hand, and from the simulated platform's in any case.
"""

import json
import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import genuine_quotes as g
import pytest

from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.chain import parse_chain
from sealroom.core.attestation.pck import parse_pck_certificates
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.evidence.verdict import Blame, Decision
from sealroom.core.wire.bundle import COLLATERAL_MEMBERS
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

# Many thousand verifications.
pytestmark = pytest.mark.slow

POLICY = load_policy("insecure-any-status")
ROOTS = (INTEL_SGX_ROOT_KEY,)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PKI = SimulationPki.generate(now=NOW)
BODY = ReportBody(mrenclave=bytes(range(32)), report_data=bytes(64))
SLOWEST_SECONDS = 2.0


@dataclass(frozen=True)
class Evidence:
    quote: bytes
    collateral: bytes
    now: datetime

    def verdict(self, **changed):
        shown = replace(self, **changed)
        started = time.perf_counter()
        made = appraise_quote(shown.quote, shown.collateral, policy=POLICY, roots=ROOTS, now=shown.now)
        assert time.perf_counter() - started < SLOWEST_SECONDS
        return made

    def passes(self, **changed) -> bool:
        verdict = self.verdict(**changed)
        return verdict.accepted or verdict.passed_but_simulated

    def with_members(self, **members) -> bytes:
        return json.dumps(json.loads(self.collateral) | members).encode()


def simulated(pki=PKI, *, now=NOW, wish=None) -> Evidence:
    return Evidence(
        quote=QuotingEnclave(pki).quote(BODY),
        collateral=json.dumps(make_collateral(pki, now=now, wish=wish)).encode(),
        now=now,
    )


SIMULATED = simulated()
KINDS = ["simulated", "sgx-quote-v3", "tdx-quote-v4", "tdx-quote-v5"]


def evidence_of(kind: str) -> Evidence:
    if kind == "simulated":
        return SIMULATED
    if not g.PRESENT:
        pytest.skip(g.ABSENT)
    entry, wanted = g.first(kind)
    return Evidence(
        quote=g.quote_bytes(entry["file"]),
        collateral=g.collateral_bytes(wanted["bundle"]),
        now=g.moment(wanted),
    )


@pytest.fixture(params=KINDS)
def evidence(request) -> Evidence:
    made = evidence_of(request.param)
    assert made.passes()
    return made


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_truncation_of_a_quote_is_malformed(evidence):
    for size in range(len(evidence.quote)):
        verdict = evidence.verdict(quote=evidence.quote[:size])
        assert [(check.name, check.blame) for check in verdict.failures] == [("quote.form", Blame.MALFORMED)]


def test_truncated_collateral_is_malformed(evidence):
    for size in range(0, len(evidence.collateral.rstrip()), 97):
        verdict = evidence.verdict(collateral=evidence.collateral[:size])
        assert [check.blame for check in verdict.failures] == [Blame.MALFORMED]


def test_flipping_a_sampled_bit_of_a_quote_is_refused(evidence):
    bits = random.Random(1).sample(range(len(evidence.quote) * 8), 700)
    assert [bit for bit in bits if evidence.passes(quote=flipped(evidence.quote, bit))] == []


@pytest.mark.slow
def test_flipping_any_bit_of_a_quote_is_refused(evidence, capsys):
    bits = range(len(evidence.quote) * 8)
    passed = [bit for bit in bits if evidence.passes(quote=flipped(evidence.quote, bit))]
    with capsys.disabled():
        print(f"\n{len(bits)} bits flipped, none in padding: the quote ends where it says")
    assert passed == []


def test_flipping_a_sampled_bit_of_collateral_changes_no_finding(evidence):
    honest = evidence.verdict()
    bits = random.Random(2).sample(range(len(evidence.collateral) * 8), 300)
    for bit in bits:
        verdict = evidence.verdict(collateral=flipped(evidence.collateral, bit))
        if verdict.accepted or verdict.passed_but_simulated:
            # Hexadecimal has two cases, and JSON white space: another text of the same documents.
            assert (verdict.status, verdict.advisories) == (honest.status, honest.advisories)


@pytest.mark.parametrize("member", COLLATERAL_MEMBERS)
def test_each_document_swapped_with_each_other_is_refused(evidence, member):
    members = json.loads(evidence.collateral)
    for other in COLLATERAL_MEMBERS:
        if members[other] != members[member]:
            swapped = evidence.with_members(**{member: members[other], other: members[member]})
            assert not evidence.passes(collateral=swapped)


@pytest.mark.parametrize("member", COLLATERAL_MEMBERS)
def test_each_document_of_another_platforms_root_is_refused(member):
    later = NOW + timedelta(minutes=5)
    other = json.loads(simulated(SimulationPki.generate(now=NOW), now=later).collateral)
    assert not SIMULATED.passes(collateral=SIMULATED.with_members(**{member: other[member]}))


@pytest.mark.parametrize("member", COLLATERAL_MEMBERS)
def test_each_document_missing_repeated_or_of_another_type_is_malformed(member):
    members = json.loads(SIMULATED.collateral)
    without = {name: text for name, text in members.items() if name != member}
    twice = SIMULATED.collateral[:-1] + f', "{member}": {json.dumps(members[member])}}}'.encode()
    for raw in (
        json.dumps(without).encode(),
        twice,
        *(SIMULATED.with_members(**{member: value}) for value in (None, 1, True, [], {}, "\u20ac")),
    ):
        verdict = SIMULATED.verdict(collateral=raw)
        assert [(c.name, c.blame) for c in verdict.failures] == [("platform.collateral", Blame.MALFORMED)]
    assert not SIMULATED.passes(collateral=SIMULATED.with_members(**{member: ""}))


def test_certificates_in_any_order_are_one_chain(evidence):
    parsed = parse_quote(evidence.quote)
    pem = parsed.certification.raw.removesuffix(b"\0")
    end = b"-----END CERTIFICATE-----\n"
    blocks = [block + end for block in (pem.rstrip(b"\n") + b"\n").split(end)[:-1]]
    for order in ((0, 2, 1), (2, 1, 0), (1, 0, 2)):
        shuffled = b"".join(blocks[place] for place in order)
        assert parse_chain(shuffled, length=3, name="chain") == parse_pck_certificates(parsed.certification)
        if len(shuffled) == len(pem):
            assert evidence.passes(quote=evidence.quote.replace(pem, shuffled))
    for wrong in (blocks[:2], blocks[1:], [*blocks, blocks[0]], [blocks[0], blocks[0], blocks[2]]):
        with pytest.raises(MalformedError):
            parse_chain(b"".join(wrong), length=3, name="chain")


def test_an_own_root_is_simulated_and_never_accepted():
    verdict = SIMULATED.verdict()
    assert verdict.decision is Decision.SIMULATED
    assert not verdict.accepted


def test_an_own_root_with_intels_collateral_is_refused():
    real = evidence_of("sgx-quote-v3")
    verdict = real.verdict(quote=SIMULATED.quote)
    assert not verdict.accepted
    assert not verdict.passed_but_simulated


def test_intels_quote_with_own_collateral_is_refused():
    real = evidence_of("sgx-quote-v3")
    own = simulated(now=real.now).collateral
    verdict = real.verdict(collateral=own)
    assert verdict.decision is Decision.REFUSED
    assert verdict.status is None


def test_an_own_pck_authority_is_refused():
    # Its certificates say all that a genuine chain says, and the root never signed them.
    own = SimulationPki.generate(now=NOW)
    forged = QuotingEnclave(replace(own, root=PKI.root)).quote(BODY)
    verdict = SIMULATED.verdict(quote=forged)
    assert [check.name for check in verdict.failures] == ["quote.chain"]


def test_intels_certificates_around_an_own_leaf_are_refused():
    real = evidence_of("sgx-quote-v3")
    pem = parse_quote(real.quote).certification.raw.removesuffix(b"\0")
    end = b"-----END CERTIFICATE-----\n"
    theirs = (pem.rstrip(b"\n") + b"\n").split(end)
    leaf = PKI.pck_chain_pem.split(end)[0]
    forged = QuotingEnclave(PKI).quote(BODY)
    own_pem = parse_quote(forged).certification.raw
    mixed = leaf + end + theirs[1] + end + theirs[2] + end
    start = forged.index(own_pem)
    section = forged[436 : start - 4] + len(mixed).to_bytes(4, "little") + mixed
    raw = forged[:432] + len(section).to_bytes(4, "little") + section
    assert not real.passes(quote=raw)
    assert real.verdict(quote=raw).decision is Decision.REFUSED


@pytest.mark.parametrize("days", [-4000, -2, 31, 400, 4000])
def test_another_time_than_the_documents_is_refused(days):
    at = NOW + timedelta(days=days)
    verdict = SIMULATED.verdict(now=at)
    assert not SIMULATED.passes(now=at)
    assert verdict.status is None


def test_documents_of_the_future_are_refused():
    later = make_collateral(PKI, now=NOW + timedelta(days=2))
    verdict = SIMULATED.verdict(collateral=json.dumps(later).encode())
    assert {check.blame for check in verdict.failures} == {Blame.COLLATERAL}


@pytest.mark.parametrize(
    ("holder", "check"),
    [
        ("pck", "platform.revocation"),
        ("platform_ca", "platform.pck-crl"),
        ("tcb_signing", "platform.tcb-info"),
    ],
)
def test_a_revoked_certificate_is_refused_at_each_level(holder, check):
    revoked = (getattr(PKI, holder).certificate,)
    verdict = simulated(wish=Wish(revoked=revoked)).verdict()
    assert check in {failure.name for failure in verdict.failures}
    assert not verdict.passed_but_simulated


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 65_536,
        b"\xff" * 65_537,
        SIMULATED.quote + bytes(70_000),
        b"\x03\0\x02\0" + bytes(428) + b"\xff\xff\xff\xff" + bytes(10_000),
    ],
)
def test_a_huge_or_empty_quote_is_malformed_at_once(raw):
    assert [check.blame for check in SIMULATED.verdict(quote=raw).failures] == [Blame.MALFORMED]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[" * 4_000_000,
        b"{" * 4_000_000,
        b'{"a":' * 500_000,
        b'"' * 4_000_000,
        b'"\\' * 2_000_000,
        nested(100_000).encode(),
        b"9" * 4_000_000,
        b" " * 5_000_000,
        b"{}" * 1_000_000,
        b'{"pck_crl_issuer_chain":1e400}',
        b"\xff\xfe{}",
        SIMULATED.with_members(tcb_info="[" * 262_144),
        SIMULATED.with_members(pck_crl="00" * 131_072),
        SIMULATED.with_members(pck_crl="30" * 131_072),
        SIMULATED.with_members(pck_crl_issuer_chain="-----BEGIN CERTIFICATE-----\n" * 9_000),
        SIMULATED.with_members(tcb_info="x" * 262_145),
        SIMULATED.collateral + b" " * 4_194_304,
    ],
    ids=range(18),
)
def test_huge_and_deep_collateral_is_refused_in_bounded_time(raw):
    assert not SIMULATED.passes(collateral=raw)


def resigned(member: str, text: str) -> Evidence:
    """Documents that Intel would never sign, signed all the same: the reader stands alone."""
    signature = PKI.tcb_signing.sign_raw(text.encode()).hex()
    return replace(
        SIMULATED, collateral=SIMULATED.with_members(**{member: text, f"{member}_signature": signature})
    )


@pytest.mark.parametrize("member", ["tcb_info", "qe_identity"])
def test_signed_documents_of_another_form_are_refused_too(member):
    honest = json.loads(SIMULATED.collateral)[member]
    for text in (
        "",
        "null",
        "[]",
        "{}",
        nested(100_000),
        honest[:-1],
        honest + " ",
        honest.replace("{", '{"version":3,', 1),
        honest.replace("UpToDate", "Fine"),
        honest.replace("UpToDate", "TDRelaunchAdvised"),
        honest.replace('"nextUpdate":"', '"nextUpdate":"x'),
        honest.replace('"tcbEvaluationDataNumber":1', '"tcbEvaluationDataNumber":1.0'),
        honest.replace('"tcbEvaluationDataNumber":1', '"tcbEvaluationDataNumber":-1'),
        honest.replace('"tcbEvaluationDataNumber":1', '"tcbEvaluationDataNumber":true'),
        honest.replace('"tcbEvaluationDataNumber":1', f'"tcbEvaluationDataNumber":{"9" * 5000}'),
    ):
        case = resigned(member, text)
        # White space after a document is covered by its signature, and no harm.
        assert case.passes() is (text == honest + " ")
