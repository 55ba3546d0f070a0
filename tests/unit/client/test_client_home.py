import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sealroom.client.home import HOME_VARIABLE, Home, HomeError, default_home


def test_a_new_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "deep" / "home")
    assert home.root.stat().st_mode & 0o777 == 0o700


def test_a_home_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(HomeError, match="0750"):
        Home.open(folder)


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError):
        Home.open(tmp_path / "home")


def test_the_environment_names_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "named"))
    assert Home.open().root == tmp_path / "named"


def test_without_a_name_the_home_is_in_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".local" / "share" / "sealroom"
    assert Home.open().root == default_home()


def test_the_lock_keeps_a_second_holder_out(home: Home) -> None:
    with home.lock(), pytest.raises(HomeError, match="in use"), home.lock(timeout_seconds=0.1):
        pass
    with home.lock(timeout_seconds=0.1):
        pass


def test_a_killed_process_leaves_no_lock_behind(home: Home) -> None:
    program = (
        "import sys, time; from sealroom.client.home import Home\n"
        "with Home.open(sys.argv[1]).lock():\n    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(home.root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeError), home.lock(timeout_seconds=0.1):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    started = time.monotonic()
    with home.lock(timeout_seconds=5):
        assert time.monotonic() - started < 5
