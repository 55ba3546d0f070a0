"""The inputs as a file system: exactly those, under provider and name, and only to be read."""

from pathlib import Path

import fsspec.spec
import pytest
from input_files import CHUNK, make_input

from sealroom.enclave.inputs_filesystem import InputsFileSystem


@pytest.fixture
def files(tmp_path: Path) -> InputsFileSystem:
    inputs = [
        make_input(tmp_path, b"0" * CHUNK, name="a.csv"),
        make_input(tmp_path, b"second", name="b.csv"),
        make_input(tmp_path, b"third", name="a.csv", provider=2),
    ]
    return InputsFileSystem(inputs, providers=3)


def test_lists_providers_and_their_files(files: InputsFileSystem) -> None:
    assert files.ls("", detail=False) == ["0", "1", "2"]
    assert files.ls("inputs://0", detail=False) == ["0/a.csv", "0/b.csv"]
    assert files.ls("1", detail=False) == []
    assert files.ls("/2/") == [{"name": "2/a.csv", "size": 5, "type": "file"}]
    assert files.ls("0/a.csv") == [{"name": "0/a.csv", "size": CHUNK, "type": "file"}]
    assert files.info("1") == {"name": "1", "size": 0, "type": "directory"}
    assert files.glob("inputs://*/a.csv") == ["0/a.csv", "2/a.csv"]
    assert files.find("") == ["0/a.csv", "0/b.csv", "2/a.csv"]


def test_reads_the_file_that_is_named(files: InputsFileSystem) -> None:
    with files.open("inputs://2/a.csv", "rb") as reader:
        assert reader.read() == b"third"
    assert files.cat_file("0/b.csv", start=1, end=3) == b"ec"
    assert files.size("0/a.csv") == CHUNK


@pytest.mark.parametrize("path", ["3", "0/c.csv", "0/a.csv/x", "../etc", "/etc/passwd", "2/b.csv"])
def test_there_is_nothing_else(files: InputsFileSystem, path: str) -> None:
    assert not files.exists(path)
    with pytest.raises(FileNotFoundError, match="no such input"):
        files.ls(path)
    with pytest.raises(FileNotFoundError, match="no such input"):
        files.open(path)


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb"])
def test_nothing_is_written(files: InputsFileSystem, mode: str) -> None:
    with pytest.raises(OSError, match="inputs can only be read"):
        files.open("0/new.csv", mode)


def test_two_runs_of_a_test_do_not_share_one(files: InputsFileSystem) -> None:
    """fsspec keeps file systems by their arguments unless told otherwise."""
    other = InputsFileSystem([], providers=0)
    assert other is not files
    assert other.ls("", detail=False) == []
    assert isinstance(other, fsspec.spec.AbstractFileSystem)
    assert files.modified("0/a.csv") == files.modified("2/a.csv")
