"""The background thread: launches go forward by themselves, and one that fails does not stop the rest."""

import time
from collections.abc import Callable, Iterator

import pytest
from server_world import Puppet, ServerWorld, Study

from sealroom.server import reconcile
from sealroom.server.reconcile import Reconciler


@pytest.fixture
def reconciler(world: ServerWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reconciler]:
    monkeypatch.setattr(reconcile, "_PAUSE_SECONDS", 0.01)
    running = Reconciler(world.platform, world.launcher)
    running.start()
    yield running
    running.stop()


def wait_until(happened: Callable[[], object]) -> None:
    for _ in range(400):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened within 20 seconds")


@pytest.mark.usefixtures("reconciler")
def test_a_computation_goes_its_way_while_the_reconciler_runs(study: Study, world: ServerWorld) -> None:
    study.register()
    study.send_code()
    wait_until(lambda: world.launcher.starts)
    puppet = Puppet(world, study.uuid, 1)
    puppet.attest()
    wait_until(lambda: study.state == "AwaitingKeys")
    puppet.open()
    wait_until(lambda: study.state == "Running")
    puppet.close(results={})
    wait_until(lambda: study.state == "Succeeded")


@pytest.mark.usefixtures("reconciler")
def test_a_launch_that_fails_again_and_again_is_given_up_and_may_be_repeated(
    study: Study, world: ServerWorld
) -> None:
    world.launcher.breaks = True
    study.register()
    study.send_code()
    wait_until(lambda: study.state == "Failed")
    event = study.owner.get(study.path("/events")).json()["events"][-1]
    assert event["kind"] == "launch-failed"
    assert "no enclave today" not in str(event), "what the machine said is for its operator"
    world.launcher.breaks = False
    study.owner.post(study.path("/relaunch"))
    wait_until(lambda: world.launcher.starts == [(study.uuid, 2)])


def test_a_stopped_reconciler_leaves_enclaves_alone(study: Study, world: ServerWorld) -> None:
    running = Reconciler(world.platform, world.launcher)
    running.start()
    study.register()
    study.send_code()
    wait_until(lambda: world.launcher.starts)
    running.stop()
    assert Puppet(world, study.uuid, 1).asked is None
