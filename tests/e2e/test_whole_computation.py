"""A whole computation over real processes: what the four parties do, and what each of them gets."""

import base64
import hashlib
import json

import pytest
from platform_processes import wait_until
from platform_world import SUM, World, deliver

import second_opinion
from sealroom.client import State
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt_closing import Outcome

pytestmark = pytest.mark.e2e


def test_two_data_providers_one_program_one_result(world: World) -> None:
    scene = world.scene(data_providers=2).prepare()
    identity = scene.owner.status(with_evidence=True).enclave.identity
    assert identity is not None
    for holder in scene.holders:
        assert deliver(holder).admitted is not False
    done = scene.wait_for(State.SUCCEEDED)
    assert done.run is not None
    assert (done.run.outcome, done.run.exit_code) == (Outcome.SUCCEEDED.value, 0)

    (result,) = scene.readers[0].results()
    assert (result.name, result.path.read_bytes()) == ("sum.txt", b"data 0+data 1")
    for holder in scene.holders:
        record = holder.receipt()
        assert record.closing is not None
        assert record.closing.outcome is Outcome.SUCCEEDED
        assert record.enclave.mrenclave == identity.measurement
        assert holder.logs().text == b"2 files\n"
    check_by_another_implementation(scene.data[0].receipt().raw, scene.owner.fetch_evidence())
    wait_until(lambda: not scene.processes.all(), "the enclave and its supervisor ended by themselves")


def check_by_another_implementation(receipt: bytes, bundle: bytes) -> None:
    """in-toto's own library verifies what a real enclave signed, with the key from its evidence."""
    identity_pk = bytes.fromhex(json.loads(bundle)["identity_pk"])
    signed = second_opinion.envelopes(receipt)
    opening = second_opinion.statement(signed["opening"], identity_pk)
    assert opening is not None
    assert {"agreement", "inputs/0/part-0.bin", "inputs/1/part-1.bin"} == set(
        second_opinion.subjects(opening)
    )
    run_key = bytes.fromhex(opening["predicate"]["run_key"])
    closing = second_opinion.statement(signed["closing"], run_key)
    assert closing is not None
    assert list(second_opinion.subjects(closing)) == ["agreement", "results/0/sum.txt", "log"]
    payload = base64.b64decode(signed["opening"]["payload"])
    assert closing["predicate"]["opening_sha256"] == hashlib.sha256(payload).hexdigest()
    # Each key signed its own statement alone.
    assert second_opinion.statement(signed["closing"], identity_pk) is None
    assert second_opinion.statement(signed["opening"], run_key) is None


@pytest.mark.slow
def test_one_person_in_two_roles_and_an_empty_file(world: World) -> None:
    both, code = world.person("both"), world.person("code")
    scene = world.propose(owner=both, code=code, data=[both], readers=[both])
    scene.prepare(files={"empty.csv": b"", "full.csv": b"full"})
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    (result,) = scene.readers[0].results()
    assert result.path.read_bytes() == b"+full"
    assert scene.data[0].receipt().closing is not None


@pytest.mark.slow
def test_a_data_provider_without_a_file_and_a_program_that_fails(world: World) -> None:
    program = {"run.py": "import secret\n", "secret.py": "raise ValueError('the patient is called Smith')\n"}
    scene = world.scene().prepare(program, files={})
    scene.deliver_all()
    scene.wait_for(State.FAILED)
    record = scene.readers[0].receipt()
    assert record.closing is not None
    assert record.closing.failure is not None
    assert record.closing.failure.type == "ValueError"
    shown = json.dumps([event.text("kind") for event in scene.owner.events()])
    assert "Smith" not in shown


@pytest.mark.slow
def test_new_code_ends_the_waiting_enclave_with_a_signed_refusal(world: World) -> None:
    scene = world.scene().prepare()
    deliver(scene.data[0])
    scene.send_code(SUM | {"more.py": "x = 1\n"})
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    # The first enclave's refusal frees its delivery: nobody needs to be asked.
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    assert [refusal.reason for refusal in scene.data[0].collect_refusals()] == ["cancelled"]
    roles = {delivery.key.role for delivery in scene.data[0].client.deliveries.deliveries(scene.uuid)}
    assert roles == {Role.DATA_PROVIDER}
