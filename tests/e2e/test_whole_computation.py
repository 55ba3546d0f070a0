"""A whole computation over real processes: what the four parties do, and what each of them gets."""

import json

import pytest
from platform_processes import wait_until
from platform_world import SUM, World, deliver

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
    wait_until(lambda: not scene.processes.all(), "the enclave and its supervisor ended by themselves")


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
