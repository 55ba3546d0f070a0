"""kill -9 of server, enclave and supervisor in every state: nothing is lost, and nothing runs twice.

The server keeps nothing in memory that matters: killed in any state and started again it goes on, with the
enclave that lived on. An enclave's keys are in its own process alone: killed before a run it is launched
again and everybody verifies and delivers again; killed in a run it leaves a receipt without a closing.
"""

import dataclasses
from collections.abc import Callable

import pytest
from platform_processes import kill_process, wait_until
from platform_world import SLEEP, Scene, World, deliver

from sealroom.client import Computation, Consent, DeliveryBlockedError, State

pytestmark = pytest.mark.e2e


def restart(scene: Scene) -> None:
    """Kill the server, find every row as it was, and start it again."""
    server = scene.world.platform.server
    server.kill()
    server.start()


def register_all(scene: Scene) -> None:
    scene.register()


def send_everything(scene: Scene) -> None:
    for index, provider in enumerate(scene.data):
        scene.send_data(index, {f"part-{index}.bin": f"data {index}".encode()})
        provider.done()
    scene.send_code(SLEEP)


def await_keys(scene: Scene) -> None:
    scene.wait_for(State.AWAITING_KEYS)


def deliver_some(scene: Scene) -> None:
    for holder in scene.holders[:-1]:
        deliver(holder)


def deliver_last(scene: Scene) -> None:
    deliver(scene.holders[-1])


def await_run(scene: Scene) -> None:
    scene.wait_for(State.RUNNING, State.SUCCEEDED)


def await_success(scene: Scene) -> None:
    scene.wait_for(State.SUCCEEDED)


def nothing(scene: Scene) -> None:
    """The state is there as soon as the steps before it were done."""


# The steps of a computation, and in front of which of them the server is killed.
STEPS: dict[str, Callable[[Scene], None]] = {
    "Created": register_all,
    "Registering": send_everything,
    "Launching": await_keys,
    "AwaitingKeys": deliver_some,
    "AwaitingKeys, some delivered": deliver_last,
    "Running": await_run,
    "at the end of the run": await_success,
    "Succeeded": nothing,
}


def known(now: Computation) -> dict[str, object]:
    """What must never be lost: everything but where the computation stands."""
    whole = dataclasses.asdict(now)
    kept = ("computation", "name", "owner", "created_at", "participants", "code", "logs", "limits")
    return {name: whole[name] for name in kept}


def one_enclave_ran_to_the_end(scene: Scene) -> None:
    done = scene.wait_for(State.SUCCEEDED)
    assert (done.epoch, len(done.launches), len(done.runs)) == (1, 1, 1)
    (result,) = scene.readers[0].results()
    assert result.path.read_bytes() == b"data 0"
    assert scene.data[0].receipt().closing is not None
    kinds = scene.events()
    assert kinds.count("run-started") == kinds.count("run-succeeded") == 1


@pytest.mark.slow
@pytest.mark.parametrize("state", list(STEPS))
def test_a_server_killed_in_a_state_goes_on_with_the_same_enclave(own_world: World, state: str) -> None:
    scene = own_world.scene()
    for name, step in STEPS.items():
        if name == state:
            restart(scene)
        step(scene)
    one_enclave_ran_to_the_end(scene)


@pytest.mark.slow
def test_a_server_killed_again_and_again_while_an_enclave_lives_loses_nothing(own_world: World) -> None:
    scene = own_world.scene()
    for name, step in STEPS.items():
        if name in ("AwaitingKeys, some delivered", "Running"):
            restart(scene)
        step(scene)
    one_enclave_ran_to_the_end(scene)


@pytest.mark.slow
def test_a_server_killed_before_every_step_loses_nothing(own_world: World) -> None:
    scene = own_world.scene()
    for step in STEPS.values():
        before = known(scene.owner.status())
        enclave = [launch.mrenclave for launch in scene.owner.status().launches]
        restart(scene)
        after = scene.owner.status()
        assert known(after) == before
        assert [launch.mrenclave for launch in after.launches if enclave and enclave[0]] in ([], enclave)
        step(scene)
    one_enclave_ran_to_the_end(scene)


@pytest.mark.slow
@pytest.mark.parametrize(
    "state", [State.REFUSED, State.FAILED, State.CANCELLED, State.WITHDRAWN, State.ARCHIVED]
)
def test_a_server_killed_in_an_end_state_finds_it_again(own_world: World, state: State) -> None:
    scene = own_world.scene().prepare({"run.py": "raise ValueError\n"})
    match state:
        case State.REFUSED:
            scene.data[0].refuse("not what I was told")
        case State.CANCELLED:
            scene.owner.cancel("no more")
        case State.WITHDRAWN:
            scene.data[0].withdraw("no more")
        case _:
            scene.deliver_all()
            scene.wait_for(State.FAILED)
            if state is State.ARCHIVED:
                scene.owner.archive()
    before = scene.wait_for(state)
    restart(scene)
    after = scene.owner.status()
    assert (after.state, known(after)) == (before.state, known(before))
    assert after.refusal == before.refusal
    wait_until(lambda: not scene.processes.all(), "no enclave is left")


# Enclave and supervisor


def kill_enclave(scene: Scene) -> None:
    kill_process(scene.processes.enclave)


def kill_supervisor(scene: Scene) -> None:
    kill_process(scene.processes.supervisor)


KILLS = {"enclave": kill_enclave, "supervisor": kill_supervisor}


def killable(scene: Scene, victim: str) -> bool:
    """Whether the process is there yet, in an enclave that still starts."""
    processes = scene.processes
    if victim == "supervisor":
        return (processes.folder / "host" / "supervisor.json").exists()
    return any("start.py" in command for command in processes.all().values())


def everybody_delivers_again(scene: Scene) -> None:
    for holder in scene.holders:
        if holder.client.deliveries.open_enclaves(scene.uuid):
            with pytest.raises(DeliveryBlockedError) as stopped:
                deliver(holder)
            assert stopped.value.enclaves == 2
        deliver(holder, consent=Consent(max_deliveries=2, attended=True))


def nobody_is_left(scene: Scene, folder_word: str) -> None:
    wait_until(
        lambda: not any(folder_word in command for command in scene.processes.all().values()),
        "every process of the killed launch is gone",
    )


BEFORE_A_RUN = [
    pytest.param("enclave", State.LAUNCHING, marks=pytest.mark.slow),
    pytest.param("supervisor", State.LAUNCHING, marks=pytest.mark.slow),
    pytest.param("enclave", State.AWAITING_KEYS, marks=pytest.mark.slow),
    pytest.param("supervisor", State.AWAITING_KEYS, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("victim", "state"), BEFORE_A_RUN)
def test_killed_before_a_run_it_is_launched_again_and_all_deliver_again(
    world: World, victim: str, state: State
) -> None:
    scene = world.scene()
    scene.register()
    send_everything(scene)
    if state is State.AWAITING_KEYS:
        await_keys(scene)
        deliver_some(scene)
    wait_until(lambda: killable(scene, victim), f"the {victim} is there")
    first = scene.owner.status()
    assert first.epoch == 1
    KILLS[victim](scene)
    nobody_is_left(scene, f"{scene.uuid}/1")
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    everybody_delivers_again(scene)
    done = scene.wait_for(State.SUCCEEDED)
    assert [run.epoch for run in done.runs] == [2]
    (result,) = scene.readers[0].results()
    assert result.path.read_bytes() == b"data 0"


@pytest.mark.parametrize("victim", ["supervisor", pytest.param("enclave", marks=pytest.mark.slow)])
def test_killed_in_a_run_it_has_failed_and_its_receipt_has_no_closing(world: World, victim: str) -> None:
    scene = world.scene()
    scene.register()
    send_everything(scene)
    await_keys(scene)
    scene.deliver_all()
    scene.wait_for(State.RUNNING)
    KILLS[victim](scene)
    done = scene.wait_for(State.FAILED)
    assert [(run.epoch, run.outcome) for run in done.runs] == [(1, "lost")]
    record = scene.data[0].receipt()
    assert record.opening is not None
    assert record.closing is None
    nobody_is_left(scene, str(scene.uuid))


@pytest.mark.slow
@pytest.mark.parametrize("victim", list(KILLS))
@pytest.mark.parametrize("state", [State.AWAITING_KEYS, State.RUNNING])
def test_killed_while_the_server_is_down_it_is_noticed_by_the_next(
    own_world: World, victim: str, state: State
) -> None:
    scene = own_world.scene()
    scene.register()
    send_everything(scene)
    await_keys(scene)
    if state is State.RUNNING:
        scene.deliver_all()
        scene.wait_for(State.RUNNING)
    processes = scene.processes
    pid = processes.enclave if victim == "enclave" else processes.supervisor
    own_world.platform.server.kill()
    kill_process(pid)
    wait_until(lambda: not processes.all(), "every process of the killed launch is gone")
    own_world.platform.server.start()
    if state is State.RUNNING:
        assert scene.wait_for(State.FAILED).run is not None
        return
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    everybody_delivers_again(scene)
    scene.wait_for(State.SUCCEEDED)
