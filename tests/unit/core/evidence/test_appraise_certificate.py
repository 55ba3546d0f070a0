"""Certificates with quotes through the whole appraisal; every own check has a case that only it refuses."""

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sealroom.adapters.policies import load_policy
from sealroom.core.attestation.certificate_walk import walk_certificate
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.evidence.certificate import (
    appraise_certificate,
    insecure_verify_simulated_certificate,
    verify_certificate,
)
from sealroom.core.evidence.certificate_catalogue import CERTIFICATE, CERTIFICATE_GROUPS, KEY
from sealroom.core.evidence.policy import SignerRule, Word
from sealroom.core.evidence.verdict import Decision, Outcome, RefusedEvidenceError, UnusableCollateralError
from sealroom.core.wire.ra_tls import EvidenceForm, KeyBinding
from sealroom.core.wire.ra_tls_certificate import p256_key
from sealroom.insecure.collateral import Wish, make_collateral

sys.path.append(str(Path(__file__).parents[1] / "attestation"))
import ratls_world as w

PAGE = Path(__file__).parents[4] / "docs" / "spec" / "ra-tls.md"
POLICY = replace(load_policy("up-to-date"), measurement=frozenset({w.MRENCLAVE}), min_evaluation_number=0)
COLLATERAL = json.dumps(make_collateral(w.PKI, now=w.NOW)).encode()
ROOTS = (INTEL_SGX_ROOT_KEY,)
NAMES = [check.name for group in CERTIFICATE_GROUPS for check in group.checks]


def judged(raw, *, function=appraise_certificate, collateral=COLLATERAL, **changes):
    asked = {
        "binding": KeyBinding.UNCOMPRESSED_POINT,
        "policy": POLICY,
        "roots": ROOTS,
        "now": w.NOW,
        **changes,
    }
    return function(raw, collateral, **asked)


def failed(verdict):
    return [check.name for check in verdict.failures]


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
def test_a_simulated_enclaves_certificate_passes_everything_but_intels_root(binding, form):
    verdict = judged(w.made(binding=binding, form=form), binding=binding)
    assert verdict.passed_but_simulated
    assert verdict.decision is Decision.SIMULATED
    assert [check.name for check in verdict.checks] == NAMES
    assert [c.name for c in verdict.checks if c.outcome is not Outcome.PASSED] == ["quote.root"]
    assert (verdict.status, verdict.mrenclave) == ("UpToDate", w.MRENCLAVE)


def test_is_never_verified_and_returns_its_key_only_where_a_simulation_is_asked_for():
    key = w.TlsKey.generate()
    raw = w.made(key, caller_data=b"c" * 32)
    with pytest.raises(RefusedEvidenceError, match="simulated"):
        judged(raw, function=verify_certificate)
    found = judged(raw, function=insecure_verify_simulated_certificate)
    assert (found.key, found.certificate, found.caller_data) == (p256_key(key.point), raw, b"c" * 32)


def other_key_signed():
    key, other = w.TlsKey.generate(), w.TlsKey.generate()
    return w.made(w.TlsKey(_Signer(key.private, other.private)))


class _Signer:
    """A key that shows one public key and signs with another."""

    def __init__(self, shown, signing):
        self.public_key, self.sign = shown.public_key, signing.sign


CASES = {
    "certificate.form": (b"not a certificate", {}),
    "certificate.signature": (other_key_signed(), {}),
    "certificate.dates": (
        w.made(fields=replace(w.FIELDS, not_after=w.NOW - timedelta(seconds=1))),
        {},
    ),
    "measurement.policy": (
        w.made(),
        {"policy": replace(POLICY, measurement=frozenset({b"\x01" * 32}))},
    ),
    "platform.status": (
        w.made(),
        {
            "collateral": json.dumps(
                make_collateral(w.PKI, now=w.NOW, wish=Wish(status=TcbStatus.OUT_OF_DATE))
            ).encode(),
            "policy": replace(POLICY, advisories=Word.ANY),
        },
    ),
    "key.binding": (w.made(quoted=w.TlsKey.generate()), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_one_wrong_thing_fails_exactly_its_own_check(name):
    raw, changes = CASES[name]
    verdict = judged(raw, **changes)
    assert failed(verdict) == [name]
    assert not verdict.passed_but_simulated
    with pytest.raises(RefusedEvidenceError):
        judged(raw, function=insecure_verify_simulated_certificate, **changes)


@pytest.mark.parametrize(("binding", "form"), w.PAIRS)
@pytest.mark.parametrize("named", list(KeyBinding))
def test_another_binding_than_the_one_named_is_not_tried(binding, form, named):
    verdict = judged(w.made(binding=binding, form=form), binding=named)
    assert failed(verdict) == ([] if named is binding else ["key.binding"])


def test_the_key_is_not_looked_at_in_a_quote_that_nobody_signed():
    raw = w.made()
    quote = walk_certificate(raw).extensions[EvidenceForm.SGX_QUOTE.identifier]
    # A byte of MRENCLAVE: the report data, and so the binding, would still hold.
    spoiled = bytearray(quote)
    spoiled[48 + 64] ^= 1
    verdict = judged(raw.replace(quote, bytes(spoiled)))
    assert failed(verdict) == ["certificate.signature", "quote.signature"]
    binding = next(check for check in verdict.checks if check.name == "key.binding")
    assert binding.outcome is Outcome.NOT_REACHED
    assert verdict.mrenclave is None


def test_missing_collateral_is_the_collaterals_fault():
    assert failed(judged(w.made(), collateral=None)) == ["platform.collateral"]
    with pytest.raises(UnusableCollateralError):
        judged(w.made(), collateral=None, function=verify_certificate)


def test_a_recomputed_measurement_cannot_be_had_from_a_certificate():
    assert failed(judged(w.made(), policy=replace(POLICY, measurement=Word.RECOMPUTED))) == [
        "measurement.policy"
    ]


def test_a_signers_rule_is_for_services():
    report = parse_quote(w.quote_for(bytes(64))).body
    rule = SignerRule(mrsigner=report.mrsigner, product=report.isv_prod_id, min_svn=report.isv_svn)
    assert judged(w.made(), policy=replace(POLICY, measurement=rule)).passed_but_simulated
    newer = replace(rule, min_svn=report.isv_svn + 1)
    assert failed(judged(w.made(), policy=replace(POLICY, measurement=newer))) == ["measurement.policy"]


def test_a_moment_has_its_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        judged(w.made(), now=w.NOW.replace(tzinfo=None))


def test_any_bytes_give_a_verdict():
    raw = w.made()
    for junk in (b"", raw[:-1], raw + b"\0", bytes(100_000), b"\x30\x83\xff\xff\xff" + raw):
        assert failed(judged(junk)) == ["certificate.form"]


def test_own_checks_stand_on_the_page_under_their_numbers():
    page = PAGE.read_text()
    for chapter, group in enumerate(CERTIFICATE_GROUPS, 1):
        assert f"### {chapter}. {group.title}\n" in page
        if group in (CERTIFICATE, KEY):
            for section, check in enumerate(group.checks, 1):
                assert f"| {chapter}.{section} | {check.title} (`{check.name}`) | {check.required} |" in page
