import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sealroom.client import private_files
from sealroom.client.private_files import placing, read_bounded, replacing, write_private
from sealroom.core.errors import MalformedError


@pytest.fixture(params=[True, False], ids=["unnamed", "named"])
def unnamed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways: with files that have no name yet, and as on systems that have none such."""
    if not request.param:
        monkeypatch.setattr(private_files, "_unnamed", lambda folder, mode: None)
    return bool(request.param)


def test_a_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", b"x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_told_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "no" / "file", tmp_path / "folder"):
        with pytest.raises(OSError) as failed:
            write_private(target, b"x")
        assert failed.value.filename == str(target)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"before")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "file") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_new_file_replaces_none_that_came_while_it_was_written(tmp_path: Path, unnamed: bool) -> None:
    with pytest.raises(FileExistsError), placing(tmp_path / "file") as file:
        file.write(b"ours")
        (tmp_path / "file").write_bytes(b"theirs")
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_new_file_is_for_its_owner_alone_and_whole(tmp_path: Path, unnamed: bool) -> None:
    with placing(tmp_path / "file") as file:
        file.write(b"whole")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_new_file_that_was_interrupted_leaves_nothing(tmp_path: Path, unnamed: bool) -> None:
    with pytest.raises(KeyboardInterrupt), placing(tmp_path / "file"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_told_by_its_name(tmp_path: Path, unnamed: bool) -> None:
    with pytest.raises(FileNotFoundError) as missing, placing(tmp_path / "no" / "file"):
        pass
    assert missing.value.filename == str(tmp_path / "no")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file has a name from its first byte")
@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_leaves_nothing_of_a_new_file(tmp_path: Path, death: signal.Signals) -> None:
    program = (
        "import pathlib, sys, time; from sealroom.client.private_files import placing\n"
        "with placing(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'plaintext'); file.flush(); print('begun', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "file")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(death)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError):
        read_bounded(tmp_path / "file", max_bytes=10, what="file")
    write_private(tmp_path / "file", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"x"


def test_a_file_beyond_its_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bounded(tmp_path / "file", max_bytes=5, what="file") == b"12345"
    with pytest.raises(MalformedError, match="larger than 4"):
        read_bounded(tmp_path / "file", max_bytes=4, what="file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        read_bounded(tmp_path, max_bytes=5, what="file")
