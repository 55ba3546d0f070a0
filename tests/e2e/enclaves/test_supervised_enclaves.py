"""An enclave and its supervisor from start to end: whatever is killed, nothing is left running."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import find_processes, wait_until
from sealroom.server.launchers.base import LaunchError, LaunchState
from sealroom.server.launchers.host_files import EPOCH, HOST_FOLDER, EndReason, SupervisorRecord

pytestmark = pytest.mark.e2e

WAITS_FOR_EVER = "attest()\nwhile True: time.sleep(60)\n"
# As the real enclave does: it answers `end` with a refusal, unless it has begun to run.
REFUSES = """
attest()
while not (spool / "end").exists():
    time.sleep(0.05)
publish("refusal", (spool / "end").read_bytes())
sys.exit(1)
"""
# The size of a file is bounded, too; many small ones are not.
FILLS_ITS_SPOOL = """
attest()
for number in range(100):
    (spool / f"{number}").write_bytes(bytes(1 << 16))
while True:
    time.sleep(60)
"""
RUNS_FOR_EVER = "attest()\npublish('opening', b'{}')\nwhile True: time.sleep(60)\n"


@pytest.fixture(params=["with bubblewrap", pytest.param("without bubblewrap", marks=pytest.mark.slow)])
def any_sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Run the test in each of the two sandboxes."""
    if request.param == "with bubblewrap" and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    if request.param == "without bubblewrap":
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return str(request.param)


def _supervisor(launch: object) -> SupervisorRecord:
    return SupervisorRecord.from_json((launch.folder / HOST_FOLDER / "supervisor.json").read_bytes())


def _process(launch: object, word: str) -> int:
    """The process of this launch whose command line begins so."""
    (pid, *_) = [pid for pid, command in launch.processes().items() if word in command]
    return pid


def _nothing_is_left(launch: object) -> None:
    wait_until(lambda: not launch.processes())


def test_killing_the_supervisor_leaves_no_process(make_launch: Callable, any_sandbox: str) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    launch.start()
    launch.wait_for("quote")
    assert len(launch.processes()) >= 3
    os.kill(_supervisor(launch).pid, signal.SIGKILL)
    _nothing_is_left(launch)
    assert launch.status().state is LaunchState.LOST


@pytest.mark.slow
def test_killing_the_supervisor_while_the_tee_begins_leaves_no_process(make_launch: Callable) -> None:
    for _ in range(3):
        launch = make_launch(WAITS_FOR_EVER)
        launch.start()
        os.kill(_supervisor(launch).pid, signal.SIGKILL)
        _nothing_is_left(launch)


def test_killing_the_tee_ends_the_enclave_and_is_written_down(
    make_launch: Callable, any_sandbox: str
) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    launch.start()
    launch.wait_for("quote")
    os.kill(_process(launch, "sealroom.insecure.tee"), signal.SIGKILL)
    ended = launch.wait_until_ended()
    assert (ended.state, ended.exit.reason) == (LaunchState.ENDED, EndReason.EXITED)
    assert ended.exit.exit_code == 128 + signal.SIGKILL
    _nothing_is_left(launch)


@pytest.mark.slow
def test_killing_the_enclave_is_written_down(make_launch: Callable, any_sandbox: str) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    launch.start()
    launch.wait_for("quote")
    for pid, command in launch.processes().items():
        if "start.py" in command and "bwrap" not in command:
            os.kill(pid, signal.SIGKILL)
    ended = launch.wait_until_ended()
    assert (ended.exit.reason, ended.exit.exit_code) == (EndReason.EXITED, 128 + signal.SIGKILL)
    _nothing_is_left(launch)


def test_the_supervisor_outlives_the_process_that_started_it(make_launch: Callable) -> None:
    launch = make_launch(REFUSES)
    code = (
        "import sys; from pathlib import Path; from uuid import UUID\n"
        "from sealroom.server.launchers.simulated import SimulatedLauncher\n"
        "SimulatedLauncher(Path(sys.argv[1])).start(UUID(sys.argv[2]), 1)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = launch.folder.parents[2]
    server = subprocess.run([sys.executable, "-c", code, str(root), str(launch.computation)], check=False)
    assert server.returncode == -signal.SIGKILL
    launch.wait_for("quote")
    record = _supervisor(launch)
    assert record.session == record.pid != os.getsid(0)
    assert launch.status().state is LaunchState.ALIVE
    assert launch.status().heartbeat_seconds < 10
    launch.launcher.stop(launch.computation, 1)
    assert launch.wait_until_ended().exit.exit_code == 1


def test_a_waiting_enclave_answers_a_cancel_with_a_refusal(make_launch: Callable, any_sandbox: str) -> None:
    launch = make_launch(REFUSES)
    launch.start()
    launch.wait_for("quote")
    launch.launcher.stop(launch.computation, 1)
    ended = launch.wait_until_ended()
    assert (ended.exit.reason, ended.exit.exit_code) == (EndReason.EXITED, 1)
    assert (launch.spool / "refusal").read_bytes() == b"cancelled"
    _nothing_is_left(launch)


@pytest.mark.slow
def test_an_enclave_that_ignores_a_cancel_is_killed(make_launch: Callable) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    launch.start()
    launch.wait_for("quote")
    launch.launcher.stop(launch.computation, 1)
    ended = launch.wait_until_ended()
    assert (ended.exit.reason, ended.exit.exit_code) == (EndReason.CANCELLED, None)
    _nothing_is_left(launch)


@pytest.mark.slow
def test_a_cancel_that_the_server_takes_back_is_forgotten(make_launch: Callable) -> None:
    launch = make_launch(RUNS_FOR_EVER)
    launch.start()
    launch.wait_for("opening")
    launch.launcher.stop(launch.computation, 1)
    time.sleep(0.6)
    (launch.spool / "end").unlink()
    time.sleep(2)
    assert launch.status().state is LaunchState.ALIVE


def test_the_deadline_asks_first(make_launch: Callable) -> None:
    launch = make_launch(REFUSES, deadline=timedelta(seconds=2))
    launch.start()
    ended = launch.wait_until_ended()
    assert ended.exit.reason is EndReason.EXITED
    assert (launch.spool / "refusal").read_bytes() == b"expired"


@pytest.mark.slow
def test_the_deadline_kills_an_enclave_that_does_not_answer(make_launch: Callable) -> None:
    launch = make_launch(WAITS_FOR_EVER, deadline=timedelta(seconds=2))
    launch.start()
    assert launch.wait_until_ended().exit.reason is EndReason.EXPIRED
    assert (launch.spool / "end").read_bytes() == b"expired"
    _nothing_is_left(launch)


@pytest.mark.slow
def test_a_running_enclave_outlives_the_deadline_up_to_its_time_limit(make_launch: Callable) -> None:
    launch = make_launch(RUNS_FOR_EVER, deadline=timedelta(seconds=4), max_seconds=6)
    launch.start()
    assert launch.wait_until_ended().exit.reason is EndReason.TIME_LIMIT
    _nothing_is_left(launch)


@pytest.mark.slow
def test_an_enclave_without_a_quote_is_killed(make_launch: Callable) -> None:
    launch = make_launch("time.sleep(60)\n", start_seconds=2)
    launch.start()
    assert launch.wait_until_ended().exit.reason is EndReason.NOT_ATTESTED
    _nothing_is_left(launch)


@pytest.mark.slow
def test_an_enclave_that_fills_its_spool_is_killed(make_launch: Callable) -> None:
    launch = make_launch(FILLS_ITS_SPOOL, max_spool_bytes=1 << 20)
    launch.start()
    assert launch.wait_until_ended().exit.reason is EndReason.SPOOL_FULL
    _nothing_is_left(launch)


def test_removing_the_spool_ends_the_enclave(make_launch: Callable, any_sandbox: str) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    launch.start()
    launch.wait_for("quote")
    shutil.rmtree(launch.spool)
    assert launch.wait_until_ended().exit.reason is EndReason.SPOOL_GONE
    _nothing_is_left(launch)


@pytest.mark.slow
def test_discarding_a_launch_ends_the_enclave(make_launch: Callable) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    launch.start()
    launch.wait_for("quote")
    launch.launcher.discard(launch.computation, 1)
    _nothing_is_left(launch)
    assert launch.status().state is LaunchState.ABSENT
    launch.launcher.discard(launch.computation, 1)


def test_only_the_highest_epoch_lives(make_launch: Callable) -> None:
    first = make_launch(WAITS_FOR_EVER)
    first.start()
    first.wait_for("quote")
    second = make_launch(REFUSES, computation=first.computation, epoch=2)
    second.start()
    assert first.wait_until_ended().exit.reason is EndReason.SUPERSEDED
    assert (first.spool / "end").read_bytes() == b"cancelled"
    second.wait_for("quote")
    assert second.status().state is LaunchState.ALIVE
    assert not find_processes(str(first.folder))


def test_an_older_epoch_does_not_start(make_launch: Callable) -> None:
    launch = make_launch(WAITS_FOR_EVER)
    (launch.folder.parent / EPOCH).write_text("2")
    with pytest.raises(LaunchError, match="epoch 1 is not the highest"):
        launch.start()
    assert launch.status().state is LaunchState.PREPARED


@pytest.mark.slow
def test_a_launch_has_one_supervisor_ever(make_launch: Callable) -> None:
    launch = make_launch(REFUSES)
    launch.start()
    launch.wait_for("quote")
    command = [sys.executable, "-m", "sealroom.server.supervisor", str(launch.folder)]
    while_it_runs = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (while_it_runs.returncode, while_it_runs.stderr) == (
        1,
        "supervisor: this launch has its supervisor\n",
    )
    launch.start()
    launch.launcher.stop(launch.computation, 1)
    launch.wait_until_ended()
    afterwards = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (afterwards.returncode, afterwards.stderr) == (1, "supervisor: this launch had its supervisor\n")


@pytest.mark.slow
def test_a_term_signal_to_the_supervisor_cancels(make_launch: Callable) -> None:
    launch = make_launch(REFUSES)
    launch.start()
    launch.wait_for("quote")
    os.kill(_supervisor(launch).pid, signal.SIGTERM)
    assert launch.wait_until_ended().exit.exit_code == 1
    assert (launch.spool / "refusal").read_bytes() == b"cancelled"


@pytest.mark.slow
def test_a_program_that_puts_traps_into_the_spool_is_ended(make_launch: Callable) -> None:
    # Landlock lets it make no link; a folder is in the way as well.
    launch = make_launch(
        "attest()\n"
        "try:\n    os.symlink('/etc/passwd', spool / 'end')\n"
        "except OSError:\n    os.mkdir(spool / 'end')\n"
        "while True: time.sleep(60)\n"
    )
    launch.start()
    assert launch.wait_until_ended().exit.reason is EndReason.CANCELLED
    _nothing_is_left(launch)
