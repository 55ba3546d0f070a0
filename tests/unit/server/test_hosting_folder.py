"""What an operator is told of a service, from files that a hostile program may have written."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import service_samples
from sealroom.cli.main import run
from sealroom.core.wire.service_spool import FAILURE, STATE, PublicFailure
from sealroom.server.hosting.folder import DamagedService, HostedState, Hosting
from sealroom.server.launchers.host_files import EXIT, SUPERVISOR, EndReason, ExitRecord, SupervisorRecord

ARGUMENTS = replace(service_samples.ARGUMENTS, name="hello")


class Start:
    """The files of one start, without any process but this one."""

    def __init__(self, data: Path, number: int = 1) -> None:
        self.hosting = Hosting(data)
        own = data / "services/hello"
        self.folder = own / str(number)
        for name in ("host", "spool"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "args").write_bytes(ARGUMENTS.to_bytes())
        (own / "epoch").write_bytes(b"%d" % number)

    def supervised(self, *, alive: bool) -> None:
        record = SupervisorRecord.of_this_process(epoch=1)
        if not alive:
            record = replace(record, start_time=record.start_time + 1)
        (self.folder / "host" / SUPERVISOR).write_bytes(record.to_json())

    def ended(self, reason: EndReason, code: int | None) -> None:
        record = ExitRecord(exit_code=code, ended_at=datetime(2026, 1, 1, tzinfo=UTC), reason=reason)
        (self.folder / "host" / EXIT).write_bytes(record.to_json())

    def says(self, name: str, content: bytes) -> None:
        (self.folder / "spool" / name).write_bytes(content)

    @property
    def state(self) -> HostedState:
        return self.hosting.look("hello").state


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (None, HostedState.SPAWNED),
        (b"bootstrap", HostedState.WAITING),
        (b"application", HostedState.RUNNING),
        (b"anything", HostedState.SPAWNED),
        (b"\xff", HostedState.SPAWNED),
        (b"x" * 1000, HostedState.SPAWNED),
    ],
)
def test_a_live_service_is_what_it_says(start: Start, said: bytes | None, state: HostedState) -> None:
    start.supervised(alive=True)
    if said is not None:
        start.says(STATE, said)
    assert start.state is state


def test_a_service_without_its_process_failed_whatever_it_said(start: Start) -> None:
    start.supervised(alive=False)
    start.says(STATE, b"application")
    assert start.state is HostedState.FAILED


@pytest.mark.parametrize(
    ("reason", "code", "said", "state"),
    [
        (EndReason.EXITED, 0, b"ended", HostedState.STOPPED),
        (EndReason.EXITED, 1, b"ended", HostedState.STOPPED),
        (EndReason.EXITED, 139, b"application", HostedState.FAILED),
        (EndReason.EXITED, 125, None, HostedState.FAILED),
        (EndReason.NOT_ATTESTED, None, None, HostedState.FAILED),
        (EndReason.SPOOL_FULL, None, b"application", HostedState.FAILED),
        (EndReason.CANCELLED, None, b"application", HostedState.STOPPED),
        (EndReason.SUPERSEDED, None, b"application", HostedState.STOPPED),
    ],
)
def test_how_a_service_ended(
    start: Start, reason: EndReason, code: int | None, said: bytes | None, state: HostedState
) -> None:
    start.supervised(alive=False)
    start.ended(reason, code)
    if said is not None:
        start.says(STATE, said)
    assert start.state is state


def test_a_failure_is_told_by_its_place(start: Start) -> None:
    failure = PublicFailure(type="ValueError", file="app.py", line=3)
    start.supervised(alive=False)
    start.ended(EndReason.EXITED, 1)
    start.says(STATE, b"ended")
    start.says(FAILURE, failure.to_bytes())
    assert start.state is HostedState.FAILED
    assert start.hosting.look("hello").failure == failure


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"type":"x","file":null,"line":1}', b"x" * 100_000])
def test_a_failure_that_cannot_be_read_is_none(start: Start, raw: bytes) -> None:
    start.says(FAILURE, raw)
    assert start.hosting.look("hello").failure is None


def test_links_in_the_spool_lead_nowhere(start: Start, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"application")
    (start.folder / "spool" / STATE).symlink_to(tmp_path / "elsewhere")
    os.mkfifo(start.folder / "spool" / FAILURE)
    start.supervised(alive=True)
    assert start.state is HostedState.SPAWNED
    assert start.hosting.look("hello").failure is None


def test_only_the_highest_start_counts(tmp_path: Path) -> None:
    Start(tmp_path, 1)
    Start(tmp_path, 2)
    found = Hosting(tmp_path).look("hello")
    assert (found.start, found.folder.name) == (2, "2")
    assert [each.name for each in Hosting(tmp_path).list()] == ["hello"]


def test_a_service_that_is_not_here_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is none here"):
        Hosting(tmp_path).look("hello")
    assert list(tmp_path.iterdir()) == []
    assert Hosting(tmp_path).list() == ()
    (tmp_path / "services/half").mkdir(parents=True)
    assert Hosting(tmp_path).list() == ()


@pytest.mark.parametrize("name", ["../hello", "", "Hello", "a/b"])
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Exception, match="name"):
        Hosting(tmp_path).look(name)


@pytest.mark.parametrize(
    "damage",
    [
        lambda own: (own / "1/args").unlink(),
        lambda own: (own / "1/args").write_bytes(b"no arguments"),
        lambda own: (own / "epoch").write_bytes(b"garbage"),
    ],
)
def test_a_damaged_service_hides_no_other_and_can_be_removed(
    start: Start, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    other = tmp_path / "services/other"
    shutil.copytree(tmp_path / "services/hello", other)
    damage(other)
    hello, damaged = Hosting(tmp_path).list()
    assert hello.name == "hello"
    assert isinstance(damaged, DamagedService)
    assert (damaged.name, bool(damaged.reason)) == ("other", True)
    start.hosting.remove("other")
    assert [each.name for each in Hosting(tmp_path).list()] == ["hello"]
    with pytest.raises(FileNotFoundError, match="there is none here"):
        start.hosting.remove("other")


def test_the_commands_show_and_remove_a_damaged_service(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (start.folder / "args").unlink()
    data = ["--data", str(tmp_path), "--home", str(tmp_path / "home")]
    assert run(["service", "list", *data]) == 0
    assert "Damaged" in capsys.readouterr().out
    assert run(["service", "stop", "hello", *data]) != 0
    assert run(["service", "stop", "hello", "--remove", *data]) == 0
    assert not (tmp_path / "services/hello").exists()
