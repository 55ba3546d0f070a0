"""What a participant asks of a token; each rule refuses alone."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sealroom.core.attestation.maa_keys import parse_key_set
from sealroom.core.errors import MalformedError, PolicyError, VerificationError
from sealroom.core.evidence.maa import MaaPolicy, verify_maa_evidence
from sealroom.core.evidence.policy import SignerRule, Word

sys.path.append(str(Path(__file__).parents[1] / "attestation"))
import maa_world as w

SERVICE = w.Service()
KEYS = parse_key_set(w.key_set(SERVICE.jwk()))
SIGNER = SignerRule(mrsigner=w.MRSIGNER, product=3, min_svn=4)
POLICY = MaaPolicy(
    issuer=w.ISSUER,
    measurement=frozenset({w.MRENCLAVE}),
    report_data=w.REPORT_DATA,
    policy_hashes=frozenset({w.POLICY_HASH}),
    leeway=timedelta(minutes=1),
)


def verified(claims=None, **changes):
    policy = replace(POLICY, **changes)
    return verify_maa_evidence(SERVICE.token(claims), policy=policy, keys=KEYS, now=w.NOW)


def test_accepts_what_the_policy_asks_for():
    assert verified().enclave.mrenclave == w.MRENCLAVE
    assert verified(measurement=SIGNER).enclave.mrsigner == w.MRSIGNER
    assert verified(measurement=replace(SIGNER, min_svn=0), report_data=Word.ANY, policy_hashes=Word.ANY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measurement": frozenset({b"\x33" * 32})}, "mrenclave"),
        ({"measurement": replace(SIGNER, mrsigner=b"\x33" * 32)}, "mrsigner"),
        ({"measurement": replace(SIGNER, product=2)}, "product"),
        ({"measurement": replace(SIGNER, min_svn=5)}, "svn"),
        ({"report_data": bytes(64)}, "report-data"),
        ({"policy_hashes": frozenset({bytes(32)})}, "policy-hash"),
    ],
)
def test_rejects_what_the_policy_does_not_ask_for(changes, message):
    with pytest.raises(PolicyError, match=message):
        verified(**changes)


def test_rejects_a_debuggable_enclave_whatever_the_policy_says():
    open_policy = {"report_data": Word.ANY, "policy_hashes": Word.ANY}
    with pytest.raises(VerificationError, match="debug"):
        verified({"x_ms_sgx_is_debuggable": True}, **open_policy)


def test_rejects_a_token_that_names_no_report_data_where_some_is_asked_for():
    nothing = {"x_ms_sgx_report_data": None, "x_ms_sgx_ehd": None}
    with pytest.raises(VerificationError, match="missing"):
        verified(nothing)
    assert verified(nothing, report_data=Word.ANY).report_data is None


def test_takes_issuer_and_leeway_from_the_policy():
    with pytest.raises(VerificationError, match="iss"):
        verified(issuer="https://other.test")
    early = {"nbf": int(w.NOW.timestamp()) + 30}
    assert verified(early)
    with pytest.raises(VerificationError, match="to come"):
        verified(early, leeway=timedelta(0))


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://instance.test"},
        {"issuer": w.ISSUER + "/"},
        {"measurement": frozenset()},
        {"measurement": frozenset({b"short"})},
        {"policy_hashes": frozenset()},
        {"policy_hashes": Word.NONE},
        {"report_data": bytes(63)},
        {"report_data": Word.RECOMPUTED},
        {"leeway": timedelta(minutes=6)},
        {"leeway": timedelta(seconds=-1)},
    ],
)
def test_a_policy_that_means_nothing_cannot_be_written(changes):
    with pytest.raises(MalformedError):
        replace(POLICY, **changes)


def test_no_member_of_a_policy_has_a_default():
    with pytest.raises(TypeError):
        MaaPolicy(issuer=w.ISSUER)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policy_hashes", {bytes(32)}),
        ("policy_hashes", None),
        ("report_data", None),
        ("report_data", bytes(64).hex()),
        ("measurement", Word.ANY),
        ("measurement", {w.MRENCLAVE}),
        ("leeway", 60),
        ("issuer", None),
    ],
)
def test_a_policy_leaves_no_rule_open_by_a_value_of_another_type(name, value):
    with pytest.raises(MalformedError, match=f"maa policy {name}: {type(value).__name__} is no type"):
        replace(POLICY, **{name: value})
