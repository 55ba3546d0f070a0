"""The stage of a rehearsal: what a killed one left is removed, and another's is not."""

import fcntl
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.rehearsal.stage import RehearsalError, open_stage
from sealroom.server.launchers.base import LaunchPlan
from sealroom.server.launchers.published import PublicCode

CODE = PublicCode(
    entry_point=b"pass",
    requirements=None,
    listed=CodeList.from_files((CodeFile(path="run.py", size=4, sha256=bytes(32)),)),
    signature=bytes(64),
)


def plan() -> LaunchPlan:
    return LaunchPlan(
        computation=uuid4(),
        epoch=1,
        deadline=datetime.now(UTC),
        arguments=b"",
        code=(),
        packages=(),
        code_list=b"",
        code_signature=b"",
    )


def leave(root: Path) -> tuple[Path, Path]:
    """Leave what a rehearsal has while it runs: a launch and a lock."""
    computation = uuid4()
    folder = root / "launches" / str(computation) / "1"
    (folder / "spool").mkdir(parents=True)
    (folder.parent / "epoch").write_text("1")
    (root / f"{computation}.lock").touch()
    return folder, root / f"{computation}.lock"


def test_what_a_killed_rehearsal_left_is_removed_by_the_next(tmp_path: Path) -> None:
    folder, lock = leave(tmp_path)
    with open_stage(tmp_path, plan(), CODE):
        assert not folder.parent.exists()
        assert not lock.exists()


def test_another_rehearsal_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    folder, lock = leave(tmp_path)
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with open_stage(tmp_path, plan(), CODE):
            assert folder.is_dir()
    assert lock.exists()


def test_a_file_that_is_no_lock_of_a_rehearsal_stays(tmp_path: Path) -> None:
    (tmp_path / "..lock").touch()
    (tmp_path / "other.lock").touch()
    with open_stage(tmp_path, plan(), CODE):
        pass
    assert {path.name for path in tmp_path.glob("*.lock")} == {"..lock", "other.lock"}


def test_its_own_launch_and_lock_are_gone_whatever_ended_it(tmp_path: Path) -> None:
    own = plan()
    with pytest.raises(ZeroDivisionError), open_stage(tmp_path, own, CODE):
        (tmp_path / "launches" / str(own.computation) / "1" / "spool").mkdir(parents=True)
        raise ZeroDivisionError
    assert list(tmp_path.glob("*.lock")) == []
    assert list((tmp_path / "launches").iterdir()) == []


def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "launches").write_bytes(b"a file")
    with pytest.raises(RehearsalError, match="launches"), open_stage(tmp_path, plan(), CODE):
        pass
