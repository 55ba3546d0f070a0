"""The files by which server and supervisor know of each other."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.server.launchers.host_files import (
    LOG,
    EndReason,
    ExitRecord,
    LaunchOrder,
    SupervisorRecord,
    heartbeat_age,
    read_highest_epoch,
    read_refused,
    read_small,
    write_whole,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORDER = LaunchOrder(
    launcher="simulated",
    state="/state",
    epoch=3,
    deadline=NOW,
    max_seconds=60,
    grace_seconds=10,
    start_seconds=20,
    max_spool_bytes=1000,
)


def test_an_order_reads_as_it_was_written() -> None:
    assert LaunchOrder.from_json(ORDER.to_json()) == ORDER


@pytest.mark.parametrize("code", [None, 0, 137])
def test_an_exit_reads_as_it_was_written(code: int | None) -> None:
    record = ExitRecord(exit_code=code, ended_at=NOW, reason=EndReason.CANCELLED)
    assert ExitRecord.from_json(record.to_json()) == record


def test_a_supervisor_reads_as_it_was_written() -> None:
    record = SupervisorRecord.of_this_process(epoch=1)
    assert SupervisorRecord.from_json(record.to_json()) == record
    assert (record.pid, record.session) == (os.getpid(), os.getsid(0))


@given(st.binary(max_size=200) | st.just(b'{"deadline": "2026-01-01T00:00:00"}') | st.just(b"[" * 100_000))
def test_anything_else_is_malformed(raw: bytes) -> None:
    for reader in (LaunchOrder.from_json, SupervisorRecord.from_json, ExitRecord.from_json):
        with pytest.raises(MalformedError):
            reader(raw)


def test_a_time_without_its_zone_is_malformed() -> None:
    with pytest.raises(MalformedError, match="without its zone"):
        LaunchOrder.from_json(ORDER.to_json().replace(b"+00:00", b""))


def test_only_the_very_same_process_is_alive() -> None:
    own = SupervisorRecord.of_this_process(epoch=1)
    assert own.is_alive()
    assert not replace(own, start_time=own.start_time + 1).is_alive()
    assert not replace(own, boot="another").is_alive()
    assert not replace(own, pid=2**22 + 1).is_alive()


def test_a_process_that_nobody_waited_for_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = Path(f"/proc/{child.pid}/stat")
    start_time = int(stat.read_text().rpartition(")")[2].split()[19])
    own = SupervisorRecord.of_this_process(epoch=1)
    record = replace(own, pid=child.pid, start_time=start_time)
    assert record.is_alive()
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert stat.read_text().rpartition(")")[2].split()[0] == "Z"
    assert not record.is_alive()
    child.wait()


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert read_small(tmp_path / "exit.json") is None
    assert read_highest_epoch(tmp_path) is None
    assert heartbeat_age(tmp_path) is None


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("1")
    (tmp_path / "epoch").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        read_highest_epoch(tmp_path)


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(64 * 1024 + 1))
    with pytest.raises(MalformedError, match="larger than"):
        read_small(tmp_path / "large")


@pytest.mark.parametrize("content", [b"", b"-1", b"one", b"1\n"])
def test_an_epoch_is_a_number(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "epoch").write_bytes(content)
    with pytest.raises(MalformedError, match="epoch"):
        read_highest_epoch(tmp_path)


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "epoch", b"1")
    write_whole(tmp_path / "epoch", b"22")
    assert read_highest_epoch(tmp_path) == 22
    assert [path.name for path in tmp_path.iterdir()] == ["epoch"]
    assert (tmp_path / "epoch").stat().st_mode & 0o777 == 0o600


def test_lines_about_refused_files_are_taken_from_the_log_few_short_and_visible(tmp_path: Path) -> None:
    assert read_refused(tmp_path) == ()
    lines = ["gramine-direct: x", *(f"refused: {n}" for n in range(50)), " refused: not ours"]
    (tmp_path / LOG).write_text("refused: \x1b[2J\u202e" + "x" * 1000 + "\n" + "\n".join(lines))
    first, *others = read_refused(tmp_path)
    assert first.startswith("refused: <U+001B>[2J<U+202E>xxx")
    assert len(first) == 500
    assert others == [f"refused: {n}" for n in range(19)]
    (tmp_path / LOG).unlink()
    (tmp_path / LOG).symlink_to("/etc/passwd")
    assert read_refused(tmp_path) == ()
