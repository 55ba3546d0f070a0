"""Which way is taken between two file objects, and that each gives the same."""

import hashlib
import io
import os
from pathlib import Path
from typing import IO

import pytest
from container_cases import CHUNK, CONTEXT, KEY

from sealroom.client import file_sealing
from sealroom.client.file_sealing import open_between, seal_between
from sealroom.core.errors import VerificationError
from sealroom.core.sealing.container_streams import open_bytes, seal_bytes

PLAIN = os.urandom(5 * CHUNK + 7)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(PLAIN)
    return path


def sealed_into(source: IO[bytes], sink: IO[bytes]) -> None:
    done = seal_between(source, sink, key=KEY, context=CONTEXT, hashed=True)
    assert done.plain_size == len(PLAIN)
    assert done.plain_sha256 == hashlib.sha256(PLAIN).digest()


def test_between_files_both_digests_are_known(source: Path, tmp_path: Path) -> None:
    with source.open("rb") as reading, (tmp_path / "sealed").open("wb") as writing:
        done = seal_between(reading, writing, key=KEY, context=CONTEXT, hashed=True)
        assert writing.tell() == (tmp_path / "sealed").stat().st_size
    assert done.sealed_sha256 == hashlib.sha256((tmp_path / "sealed").read_bytes()).digest()


def test_in_memory_both_digests_are_known() -> None:
    sink = io.BytesIO()
    done = seal_between(io.BytesIO(PLAIN), sink, key=KEY, context=CONTEXT, hashed=True)
    assert done.plain_sha256 == hashlib.sha256(PLAIN).digest()
    assert done.sealed_sha256 == hashlib.sha256(sink.getvalue()).digest()
    back = io.BytesIO()
    opened = open_between(io.BytesIO(sink.getvalue()), back, key=KEY, context=CONTEXT, hashed=True)
    assert (opened.size, opened.sha256) == (len(PLAIN), done.plain_sha256)


def test_a_file_that_is_appended_to_is_written_in_order(source: Path, tmp_path: Path) -> None:
    """The system puts whatever is written to such a file at its end, wherever it was meant to go."""
    with source.open("rb") as reading, (tmp_path / "sealed").open("ab") as writing:
        sealed_into(reading, writing)
    assert open_bytes((tmp_path / "sealed").read_bytes(), key=KEY, context=CONTEXT) == PLAIN


def test_what_stands_in_a_file_already_stays_in_front(source: Path, tmp_path: Path) -> None:
    with source.open("rb") as reading, (tmp_path / "sealed").open("wb") as writing:
        writing.write(b"in front")
        writing.flush()
        sealed_into(reading, writing)
    content = (tmp_path / "sealed").read_bytes()
    assert content.startswith(b"in front")
    assert open_bytes(content[8:], key=KEY, context=CONTEXT) == PLAIN


def test_a_file_is_taken_from_its_position_on(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"before" + PLAIN)
    with path.open("rb") as reading, (tmp_path / "sealed").open("wb") as writing:
        reading.read(6)
        sealed_into(reading, writing)
    assert open_bytes((tmp_path / "sealed").read_bytes(), key=KEY, context=CONTEXT) == PLAIN


def test_where_the_system_has_no_places_files_go_as_streams(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_sealing, "SUPPORTED", False)
    with source.open("rb") as reading, (tmp_path / "sealed").open("wb") as writing:
        sealed_into(reading, writing)
    with (tmp_path / "sealed").open("rb") as reading, (tmp_path / "back").open("wb") as writing:
        assert open_between(reading, writing, key=KEY, context=CONTEXT).size == len(PLAIN)
    assert (tmp_path / "back").read_bytes() == PLAIN


def test_a_cut_file_writes_nothing_to_a_stream(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(seal_bytes(PLAIN, key=KEY, context=CONTEXT)[:-1])
    sink = io.BytesIO()
    with (tmp_path / "cut").open("rb") as reading, pytest.raises(VerificationError, match="last chunk"):
        open_between(reading, sink, key=KEY, context=CONTEXT)
    assert sink.getvalue() == b""


def test_progress_knows_the_whole_where_there_is_one(source: Path) -> None:
    told: list[tuple[int, int]] = []
    with source.open("rb") as reading:
        seal_between(
            reading,
            io.BytesIO(),
            key=KEY,
            context=CONTEXT,
            tell=lambda done, total: told.append((done, total)),
        )
    assert told[-1] == (len(PLAIN), len(PLAIN))
    assert {total for _, total in told} == {len(PLAIN)}
