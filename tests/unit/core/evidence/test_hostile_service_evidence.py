"""Any bytes for evidence of a service: refused by a verdict or as malformed, and by nothing else."""

import json

import evidence_world as w
import pytest
import service_evidence_world as s
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.evidence.service import appraise_service_evidence
from sealroom.core.evidence.verdict import Verdict

RAW = s.ServiceWorld().evidence.to_bytes()
PARTS = json.loads(RAW)


def judged(raw: bytes) -> Verdict | None:
    try:
        return appraise_service_evidence(
            raw,
            collateral=None,
            policy=w.policy(),
            expected=s.expectations(),
            release=w.RELEASE,
            wheels={},
            roots=w.ROOTS,
            now=w.NOW,
        ).verdict
    except MalformedError:
        return None


def refused(raw: bytes) -> bool:
    verdict = judged(raw)
    return verdict is None or not (verdict.accepted or verdict.passed_but_simulated)


def test_what_is_changed_below_is_accepted_unchanged() -> None:
    assert not refused(RAW)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    assert refused(raw)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, change: int) -> None:
    raw = bytearray(RAW)
    raw[place] ^= change
    # Hexadecimal of Intel's documents may be in either case: the same value, and what is signed is the value.
    assume(bytes(raw).lower() != RAW.lower())
    assert refused(bytes(raw))


@pytest.mark.parametrize("name", ["manifest", "arguments", "certificate", "code_list", "pal"])
def test_parts_of_another_service_are_refused(name: str) -> None:
    other = json.loads(s.spawned(spawn=b"another spawn 16").evidence.to_bytes())
    if other[name] == PARTS[name]:
        return
    raw = json.dumps({**PARTS, name: other[name]}, separators=(",", ":")).encode()
    assert refused(raw)
