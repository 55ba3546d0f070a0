"""What a real enclave process signs, verified by an implementation that is not ours; changed, by neither."""

import base64
import json

import pytest
from enclave_world import World

from sealroom.core.errors import SealroomError
from sealroom.core.wire.dsse_verification import parse_envelope, verify_envelope
from second_opinion import statement, subjects

# A process of its own in every test.
pytestmark = pytest.mark.e2e


def refused_by_both(raw: bytes, public_key: bytes) -> None:
    """Change one bit of the payload: neither believes it."""
    envelope = json.loads(raw)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[-3] ^= 1
    envelope["payload"] = base64.b64encode(bytes(payload)).decode()
    assert statement(envelope, public_key) is None
    with pytest.raises(SealroomError):
        verify_envelope(
            parse_envelope(json.dumps(envelope, separators=(",", ":")).encode()), public_key=public_key
        )


def test_opening_and_closing_of_a_run(world: World) -> None:
    world.add_input(0, "a.csv", b"1,2,3")
    assert world.run() == 0
    identity_pk = world.public.identity_pk
    raw = (world.spool / "opening").read_bytes()
    opening = statement(json.loads(raw), identity_pk)
    assert opening is not None
    assert list(subjects(opening)) == ["agreement", "inputs/0/a.csv"]
    assert opening["predicate"]["mrenclave"] == world.opening().mrenclave.hex()
    refused_by_both(raw, identity_pk)
    run_key = bytes.fromhex(opening["predicate"]["run_key"])
    raw = (world.spool / "closing").read_bytes()
    closing = statement(json.loads(raw), run_key)
    assert closing is not None
    assert closing["predicate"]["outcome"] == "succeeded"
    assert statement(json.loads(raw), identity_pk) is None
    refused_by_both(raw, run_key)


def test_the_refusal_of_an_enclave(world: World) -> None:
    world.launch()
    world.wait_for("public")
    identity_pk = world.public.identity_pk
    world.put("end", b"cancelled")
    raw = world.wait_for("refusal")
    refusal = statement(json.loads(raw), identity_pk)
    assert refusal is not None
    assert refusal["predicate"]["reason"] == "cancelled"
    assert list(subjects(refusal)) == ["agreement"]
    refused_by_both(raw, identity_pk)
