"""Quotes about one connection: each own check has a case that only it refuses."""

import json
from dataclasses import replace

import evidence_world as w
import pytest
import service_evidence_world as s

from sealroom.core.evidence.channel import (
    CHANNEL_GROUPS,
    Channel,
    appraise_channel,
    insecure_verify_simulated_channel,
    verify_channel,
)
from sealroom.core.evidence.verdict import Outcome, RefusedEvidenceError

WORLD = s.ServiceWorld()
BOUND = bytes(range(64))
CHANNEL = Channel(report_data=BOUND, mrenclave=WORLD.mrenclave)
ASKED = {
    "channel": CHANNEL,
    "policy": w.policy(measurement=frozenset({WORLD.mrenclave, bytes(32)})),
    "roots": w.ROOTS,
    "now": w.NOW,
}
COLLATERAL = json.dumps(s.collateral().to_value()).encode()


def test_a_quote_over_the_connection_by_the_same_enclave_passes_all_but_intels_root() -> None:
    verdict = appraise_channel(WORLD.quote(BOUND), COLLATERAL, **ASKED)
    assert verdict.passed_but_simulated
    assert [check.name for check in verdict.checks] == [c.name for g in CHANNEL_GROUPS for c in g.checks]
    assert insecure_verify_simulated_channel(WORLD.quote(BOUND), COLLATERAL, **ASKED).passed_but_simulated
    with pytest.raises(RefusedEvidenceError, match="simulated"):
        verify_channel(WORLD.quote(BOUND), COLLATERAL, **ASKED)


@pytest.mark.parametrize(
    ("name", "quote"),
    [
        ("channel.binding", WORLD.quote(bytes(64))),
        ("channel.enclave", WORLD.quote(BOUND, mrenclave=bytes(32))),
        ("quote.form", b"a signature"),
        ("enclave.debug", WORLD.quote(BOUND, flags=7)),
    ],
)
def test_one_wrong_thing_fails_its_own_check(name: str, quote: bytes) -> None:
    verdict = appraise_channel(quote, COLLATERAL, **ASKED)
    assert [check.name for check in verdict.failures][:1] == [name]
    with pytest.raises(RefusedEvidenceError):
        insecure_verify_simulated_channel(quote, COLLATERAL, **ASKED)


def test_what_is_not_genuine_is_not_compared() -> None:
    verdict = appraise_channel(b"", COLLATERAL, **ASKED)
    outcomes = {check.name: check.outcome for check in verdict.checks}
    assert outcomes["channel.binding"] is outcomes["channel.enclave"] is Outcome.NOT_REACHED


@pytest.mark.parametrize("verified", [None, bytes(31) + b"\x01"])
def test_where_another_or_no_enclave_was_verified_no_connection_is_proven(verified: bytes | None) -> None:
    other = replace(CHANNEL, mrenclave=verified)
    verdict = appraise_channel(WORLD.quote(BOUND), COLLATERAL, **{**ASKED, "channel": other})
    assert [check.name for check in verdict.failures] == ["channel.enclave"]
