"""Removing a launch folder whose program does not want it removed."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from sealroom.server.launchers.simulated import SimulatedLauncher

UUID4 = uuid4()


@pytest.fixture
def launcher(tmp_path: Path) -> SimulatedLauncher:
    made = SimulatedLauncher(tmp_path)
    folder = made.folder(UUID4, 1)
    (folder / "host").mkdir(parents=True)
    made.spool(UUID4, 1).create(providers=1, consumers=1)
    return made


def test_a_spool_that_a_program_keeps_filling_is_gone_for_its_supervisor_at_once(
    launcher: SimulatedLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where a file is added for each one that is removed.
    monkeypatch.setattr("sealroom.server.launchers.folders.remove_folder", lambda _: None)
    launcher.discard(UUID4, 1)
    assert not launcher.spool(UUID4, 1).is_there()


def test_folders_nested_deeper_than_a_recursion_are_removed(launcher: SimulatedLauncher) -> None:
    here = os.open(launcher.folder(UUID4, 1) / "spool", os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    launcher.discard(UUID4, 1)
    assert not launcher.folder(UUID4, 1).exists()


def test_folders_that_were_closed_to_everybody_are_removed(launcher: SimulatedLauncher) -> None:
    spool = launcher.folder(UUID4, 1) / "spool"
    (spool / "results" / "0" / "0").write_bytes(b"sealed")
    for closed in ("results/0", "results", "."):
        (spool / closed).chmod(0)
    launcher.discard(UUID4, 1)
    assert not launcher.folder(UUID4, 1).exists()


def test_what_a_link_leads_to_stays(launcher: SimulatedLauncher, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    (tmp_path / "mine" / "file").write_bytes(b"kept")
    spool = launcher.folder(UUID4, 1) / "spool"
    (spool / "link").symlink_to(tmp_path / "mine")
    (spool / "results" / "0" / "link").symlink_to(tmp_path / "mine")
    launcher.discard(UUID4, 1)
    assert not launcher.folder(UUID4, 1).exists()
    assert (tmp_path / "mine" / "file").read_bytes() == b"kept"
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755


def test_removing_what_is_not_there_does_nothing(launcher: SimulatedLauncher) -> None:
    launcher.discard(UUID4, 1)
    launcher.discard(UUID4, 1)
    assert not launcher.folder(UUID4, 1).exists()
