"""The host's side of the spool, where code that nobody could read may have left traps."""

import os
import socket
from pathlib import Path

import pytest

from sealroom.core.errors import MalformedError
from sealroom.core.wire.spool import ANSWERS, END, INBOX, INPUTS, RESULTS
from sealroom.server.launchers import spool_files
from sealroom.server.launchers.spool_files import Spool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Spool(tmp_path / "spool").create(providers=2, consumers=1)
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> Spool:
    return Spool(folder)


def test_a_new_spool_has_its_empty_folders(folder: Path) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert found == {INBOX, ANSWERS, INPUTS, f"{INPUTS}/0", f"{INPUTS}/1", RESULTS, f"{RESULTS}/0"}
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))} == {0o700}


def test_what_is_written_can_be_read(spool: Spool) -> None:
    spool.write("inbox/0", b"delivery")
    assert spool.has("inbox/0")
    assert spool.read("inbox/0", max_bytes=8) == b"delivery"


def test_writing_leaves_no_temporary_file(spool: Spool, folder: Path) -> None:
    spool.write("inbox/0", b"delivery")
    spool.write("inbox/0", b"again")
    assert [path.name for path in (folder / "inbox").iterdir()] == ["0"]


def test_a_missing_file_is_none(spool: Spool, tmp_path: Path) -> None:
    assert spool.read("quote", max_bytes=1) is None
    assert spool.read("answers/0", max_bytes=1) is None
    assert spool.read("nowhere/0", max_bytes=1) is None
    assert not spool.has("nowhere/0")
    assert Spool(tmp_path / "gone").read("quote", max_bytes=1) is None


def test_more_than_the_bound_is_refused(spool: Spool) -> None:
    spool.write("quote", b"12345")
    with pytest.raises(MalformedError, match="larger than 4"):
        spool.read("quote", max_bytes=4)


def test_a_link_is_not_followed(spool: Spool, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the server")
    (folder / "quote").symlink_to(tmp_path / "secret")
    with pytest.raises(MalformedError, match="quote: not a regular file"):
        spool.read("quote", max_bytes=100)


def test_a_link_in_place_of_a_folder_is_not_followed(spool: Spool, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "0").write_text("of the server")
    (folder / ANSWERS).rmdir()
    (folder / ANSWERS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError, match="answers is not a folder"):
        spool.read("answers/0", max_bytes=100)
    with pytest.raises(MalformedError, match="answers is not a folder"):
        spool.write("answers/1", b"x")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["0"]


def test_a_pipe_does_not_block_the_host(spool: Spool, folder: Path) -> None:
    os.mkfifo(folder / "quote")
    with pytest.raises(MalformedError, match="not a regular file"):
        spool.read("quote", max_bytes=1)


def test_a_socket_and_a_folder_are_refused(
    spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("quote")
        with pytest.raises(MalformedError, match="not a regular file"):
            spool.read("quote", max_bytes=1)
    (folder / "opening").mkdir()
    with pytest.raises(MalformedError, match="not a regular file"):
        spool.read("opening", max_bytes=1)


def test_writing_replaces_a_link_and_not_its_target(spool: Spool, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("untouched")
    (folder / "inbox" / "0").symlink_to(tmp_path / "target")
    spool.write("inbox/0", b"delivery")
    assert (tmp_path / "target").read_text() == "untouched"
    assert spool.read("inbox/0", max_bytes=8) == b"delivery"


def test_the_first_word_about_the_end_counts(spool: Spool) -> None:
    spool.ask_to_end(b"expired")
    spool.ask_to_end(b"cancelled")
    assert spool.read(END, max_bytes=16) == b"expired"


def test_a_spool_that_was_removed_is_not_there(spool: Spool, folder: Path, tmp_path: Path) -> None:
    assert spool.is_there()
    folder.rename(tmp_path / "moved")
    assert not spool.is_there()
    folder.symlink_to(tmp_path / "moved")
    assert not spool.is_there()


def test_a_large_file_is_written_and_read_as_a_stream(spool: Spool) -> None:
    spool.write_from("inputs/0/0", lambda file: [file.write(bytes(1 << 20)) for _ in range(3)])
    source = spool.open("inputs/0/0")
    assert source is not None
    with source:
        assert len(source.read()) == 3 << 20


def test_what_the_enclave_wrote_is_counted_and_what_the_host_wrote_is_not(spool: Spool, folder: Path) -> None:
    assert spool.written_bytes() == 0
    spool.write("inbox/0", b"delivery")
    (folder / "inputs" / "0" / "0").write_bytes(bytes(1000))
    assert spool.written_bytes() == 0
    (folder / "opening").write_bytes(bytes(10))
    (folder / "results" / "0" / "0").write_bytes(bytes(200))
    (folder / "results" / "0" / "unasked").write_bytes(bytes(3000))
    assert spool.written_bytes() == 3210


def test_a_sparse_file_counts_in_full_and_a_link_for_itself(spool: Spool, folder: Path) -> None:
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert spool.written_bytes() == 1 << 30
    (folder / "sparse").unlink()
    (folder / "link").symlink_to("/etc/passwd")
    assert spool.written_bytes() == len("/etc/passwd")


def test_folders_nested_deeper_than_a_spools_are_too_much(spool: Spool, folder: Path) -> None:
    (folder / "a" / "b" / "c" / "d").mkdir(parents=True)
    assert spool.written_bytes() == 0
    (folder / "a" / "b" / "c" / "d" / "e").mkdir()
    assert spool.written_bytes() is None


def test_more_names_than_a_spool_has_are_too_much(
    spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_files, "_MAX_NAMES", 20)
    for number in range(30):
        (folder / f"{number}").touch()
    assert spool.written_bytes() is None


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is unreadable to root")
def test_a_folder_that_is_closed_is_too_much(spool: Spool, folder: Path) -> None:
    (folder / "closed").mkdir(mode=0)
    assert spool.written_bytes() is None
