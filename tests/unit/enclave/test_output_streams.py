"""Results written in pieces: sealed while written, one budget, nothing readable before the run succeeded."""

import csv
import gc
import io
import os
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container_streams import open_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.header import HEADER_SIZE
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.sealing.output_key import OutputKey
from sealroom.core.wire import spool as names
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.participants import Participant, Role
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.opening import Consumer
from sealroom.enclave.output_stream import OutputStream
from sealroom.enclave.outputs import OutputLimitError, Outputs
from sealroom.enclave.result_files import ResultFile, SealedResult

COMPUTATION = uuid4()
BOX_PK = b"\x05" * 32
KEY = b"\x77" * 32
CHUNK = 1 << 18


class Shelves:
    """The results of one run with two consumers, and the folder that the host sees."""

    def __init__(self, folder: Path, *, max_bytes: int = 10 << 20) -> None:
        self.folder = folder
        self.people = [
            Participant(
                role=Role.RESULT_CONSUMER,
                index=index,
                email=f"reader-{index}@example.org",
                public_key=SigningKey.generate().public_key,
            )
            for index in range(2)
        ]
        self.spool = HostFolder(folder)
        self.outputs = Outputs(
            tuple(Consumer(participant=person, key=OutputKey.from_bytes(KEY)) for person in self.people),
            make=self.make,
            max_bytes=max_bytes,
        )

    def make(self, consumer: Consumer, *, place: str, name: str) -> ResultFile:
        context = self.context(consumer.participant.index, name)
        return SealedResult(self.spool, place, key=consumer.key, context=context)

    def context(self, consumer: int, name: str) -> Context:
        return Context.result(
            computation=COMPUTATION, owner_pk=self.people[consumer].public_key, box_pk=BOX_PK, name=name
        )

    def stream(self, name: str | None = "result", *, to: tuple[int, ...] = (0,)) -> OutputStream:
        return OutputStream(self.outputs, self.outputs.open(name, consumers=to))

    def files(self) -> dict[str, bytes]:
        found = sorted(place for place in self.folder.rglob("*") if place.is_file())
        return {str(place.relative_to(self.folder)): place.read_bytes() for place in found}

    def open(self, consumer: int, number: int, name: str) -> bytes:
        context = self.context(consumer, name)
        raw = self.files()[f"results/{consumer}/{number}"]
        return open_bytes(raw, key=OutputKey.from_bytes(KEY), context=context)


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path)


def test_what_is_written_in_pieces_is_one_result(shelves: Shelves) -> None:
    pieces = [b"a" * 10, bytearray(b"b" * CHUNK), memoryview(b"c" * (2 * CHUNK)), b""]
    with shelves.stream() as out:
        assert [out.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
        assert out.tell() == 10 + 3 * CHUNK
    (record,) = shelves.outputs.release()
    assert shelves.open(0, 0, "result") == b"".join(pieces)
    assert (record.consumer, record.name) == (0, "result")
    assert record.sha256 == sha256(shelves.files()["results/0/0"])
    assert shelves.outputs.bytes_out == len("result") + 10 + 3 * CHUNK


def test_it_is_sealed_while_it_is_written(shelves: Shelves) -> None:
    with shelves.stream() as out:
        out.write(b"secret" * CHUNK)
        (raw,) = shelves.files().values()
        assert len(raw) > 5 * CHUNK
        assert b"secret" not in raw


def test_one_stream_to_several_consumers_is_a_result_of_each(shelves: Shelves) -> None:
    with shelves.stream(to=(0, 1)) as out:
        out.write(b"for both")
    assert [(r.consumer, r.name) for r in shelves.outputs.release()] == [(0, "result"), (1, "result")]
    assert shelves.open(0, 0, "result") == shelves.open(1, 0, "result") == b"for both"
    assert shelves.outputs.bytes_out == 2 * (len("result") + len("for both"))


def test_several_results_are_open_at_once(shelves: Shelves) -> None:
    with shelves.stream("one") as one, shelves.stream("other") as other, shelves.stream("third", to=(1,)):
        for _ in range(10):
            one.write(b"1" * 50_000)
            other.write(b"2" * 50_000)
    shelves.outputs.release()
    assert shelves.open(0, 0, "one") == b"1" * 500_000
    assert shelves.open(0, 1, "other") == b"2" * 500_000
    assert shelves.open(1, 0, "third") == b""


@pytest.mark.parametrize("finished", [False, True])
def test_a_name_is_used_once_for_a_consumer(shelves: Shelves, finished: bool) -> None:
    out = shelves.stream("table")
    if finished:
        out.close()
    with pytest.raises(ValueError, match="used already"):
        shelves.stream("table")
    with pytest.raises(ValueError, match="used already"):
        shelves.stream("table", to=(1, 0))
    # The other consumer has no such result, and none was begun.
    shelves.stream("table", to=(1,)).close()


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\nb", "e\u0301"])
def test_a_name_that_is_no_file_name_is_refused(shelves: Shelves, name: str) -> None:
    with pytest.raises(ValueError, match="result name"):
        shelves.stream(name)
    assert shelves.files() == {}


def test_nothing_opens_before_the_run_succeeded(shelves: Shelves) -> None:
    """The host has all the chunks, the consumer the key: only the header is missing."""
    with shelves.stream() as out:
        out.write(b"early" * CHUNK)
    (raw,) = shelves.files().values()
    assert raw[:HEADER_SIZE] == bytes(HEADER_SIZE)
    shelves.outputs.release()
    released = shelves.files()["results/0/0"]
    assert released[HEADER_SIZE:] == raw[HEADER_SIZE:]
    # The salt of the header is in nothing that the host had before.
    assert released[12:44] not in raw
    assert shelves.open(0, 0, "result") == b"early" * CHUNK


def test_a_stream_that_ends_in_an_exception_leaves_nothing(shelves: Shelves) -> None:
    with pytest.raises(KeyError), shelves.stream("table") as out:
        out.write(b"x" * CHUNK * 3)
        raise KeyError
    assert shelves.files() == {}
    with shelves.stream("table") as out:
        out.write(b"again")
    shelves.outputs.release()
    assert shelves.open(0, 0, "table") == b"again"
    # What did not leave is in no number of the closing, and still spent.
    assert shelves.outputs.bytes_out == len("table") + len("again")
    with pytest.raises(OutputLimitError):
        shelves.outputs.spend((10 << 20) - 3 * CHUNK)


def test_a_stream_that_nobody_closed_is_discarded(shelves: Shelves) -> None:
    kept = shelves.stream("kept open")
    kept.write(b"unfinished" * CHUNK)
    with shelves.stream("done") as out:
        out.write(b"done")
    assert shelves.outputs.unfinished == ["kept open"]
    assert [record.name for record in shelves.outputs.release()] == ["done"]
    assert list(shelves.files()) == ["results/0/0"]
    assert shelves.open(0, 0, "done") == b"done"
    with pytest.raises(RuntimeError, match="already"):
        kept.close()


def test_a_stream_that_is_dropped_is_discarded_and_not_finished(shelves: Shelves) -> None:
    out = shelves.stream()
    out.write(b"half of it")
    del out
    gc.collect()
    assert shelves.files() == {}
    assert shelves.outputs.unfinished == ["result"]
    assert shelves.outputs.release() == ()


def test_a_block_that_ends_in_an_exception_leaves_nothing_even_if_a_text_stream_closed_it(
    shelves: Shelves,
) -> None:
    with pytest.raises(KeyError), shelves.stream("table") as out, io.TextIOWrapper(out) as text:
        text.write("half of it")
        raise KeyError
    assert out.closed
    assert shelves.files() == {}
    assert shelves.outputs.release() == ()
    assert shelves.outputs.bytes_out == 0


def test_a_helper_that_drops_its_text_stream_finishes_the_result_as_with_any_file(shelves: Shelves) -> None:
    def write_rows(out: OutputStream) -> None:
        csv.writer(io.TextIOWrapper(out, newline="")).writerow([1, 2])

    with shelves.stream("table.csv") as out:
        write_rows(out)
    shelves.outputs.release()
    assert shelves.open(0, 0, "table.csv") == b"1,2\r\n"


def test_places_have_no_gaps_where_something_was_discarded(shelves: Shelves) -> None:
    for number in range(4):
        out = shelves.stream(f"result {number}")
        if number % 2:
            out.discard()
        else:
            out.write(b"%d" % number)
            out.close()
    assert [record.name for record in shelves.outputs.release()] == ["result 0", "result 2"]
    assert sorted(shelves.files()) == ["results/0/0", "results/0/1"]
    assert shelves.open(0, 1, "result 2") == b"2"


def test_a_run_that_did_not_succeed_removes_everything(shelves: Shelves) -> None:
    with shelves.stream("finished") as out:
        out.write(b"x")
    unfinished = shelves.stream("unfinished")
    shelves.outputs.discard()
    assert shelves.files() == {}
    with pytest.raises(RuntimeError):
        unfinished.close()


def test_more_than_the_budget_is_refused_whole_and_ends_the_result(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path, max_bytes=1000)
    out = shelves.stream("r", to=(0, 1))
    out.write(b"x" * 499)
    with pytest.raises(OSError, match="output budget: 1000 bytes are used up"):
        out.write(b"y")
    assert out.closed
    assert shelves.outputs.exceeded
    assert shelves.files() == {}


def test_a_name_costs_its_length(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path, max_bytes=10)
    with pytest.raises(OutputLimitError):
        shelves.stream("eleven char")
    shelves.stream("ten chars.").close()


def test_too_many_results_are_as_too_many_bytes(shelves: Shelves, monkeypatch) -> None:
    monkeypatch.setattr(names, "MAX_RESULT_FILES", 2)
    shelves.stream("1").discard()
    shelves.stream("2").close()
    with pytest.raises(OutputLimitError, match="too many files"):
        shelves.stream("3")
    assert shelves.outputs.exceeded


def test_a_descriptor_that_the_program_closed_does_not_keep_the_end_of_the_run_back(shelves: Shelves) -> None:
    with shelves.stream("done") as out:
        out.write(b"done")
    left = shelves.stream("left")
    (file,) = left._files
    os.close(file._sink._file._descriptor)
    assert [record.name for record in shelves.outputs.release()] == ["done"]
    assert list(shelves.files()) == ["results/0/0"]


def test_nothing_is_written_to_a_finished_result(shelves: Shelves) -> None:
    out = shelves.stream()
    out.close()
    out.close()
    with pytest.raises(ValueError, match="closed"):
        out.write(b"more")
    out.discard()
    assert [record.name for record in shelves.outputs.release()] == ["result"]


def test_a_disk_that_is_full_fails_the_write_and_leaves_nothing(shelves: Shelves, monkeypatch) -> None:
    out = shelves.stream()
    (file,) = out._files
    monkeypatch.setattr(file._sink, "_file", FullDisk(file._sink._file))
    with pytest.raises(OSError, match="no space"):
        out.write(b"x" * 2 * CHUNK)
    assert out.closed
    assert shelves.files() == {}
    assert shelves.outputs.release() == ()


def test_a_disk_that_is_full_at_the_end_fails_the_close(shelves: Shelves, monkeypatch) -> None:
    out = shelves.stream()
    out.write(b"kept back until the end")
    (file,) = out._files
    monkeypatch.setattr(file._sink, "_file", FullDisk(file._sink._file))
    with pytest.raises(OSError, match="no space"):
        out.close()
    assert out.closed
    assert shelves.outputs.release() == ()


class FullDisk:
    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, buffer: memoryview) -> int:
        raise OSError("no space left on device")

    def close(self) -> None:
        self._file.close()


def test_a_folder_that_the_host_replaced_by_a_link_gets_no_result(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shelves = Shelves(tmp_path / "spool")
    shelves.folder.mkdir()
    with shelves.stream() as out:
        out.write(b"x")
    (shelves.folder / "results").rename(tmp_path / "moved")
    (shelves.folder / "results").symlink_to(elsewhere)
    with pytest.raises((MalformedError, VerificationError, OSError)):
        shelves.outputs.release()
    assert list(elsewhere.iterdir()) == []


def test_a_temporary_file_that_the_host_replaced_by_a_link_is_not_written_through(
    tmp_path: Path,
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched" * 20)
    shelves = Shelves(tmp_path / "spool")
    shelves.folder.mkdir()
    with shelves.stream() as out:
        out.write(b"x")
    temporary = shelves.folder / "results/0/0.tmp"
    temporary.unlink()
    temporary.symlink_to(victim)
    with pytest.raises(OSError):
        shelves.outputs.release()
    assert victim.read_bytes() == b"untouched" * 20


def test_several_threads_write_one_result(shelves: Shelves) -> None:
    with shelves.stream() as out:
        threads = [
            threading.Thread(target=lambda digit=digit: [out.write(digit * 100) for _ in range(50)])
            for digit in (b"1", b"2", b"3")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    shelves.outputs.release()
    written = shelves.open(0, 0, "result")
    assert sorted(written[place : place + 100] for place in range(0, len(written), 100)) == sorted(
        [b"1" * 100] * 50 + [b"2" * 100] * 50 + [b"3" * 100] * 50
    )


def test_plain_csv_writes_to_it(shelves: Shelves) -> None:
    with (
        shelves.stream("table.csv") as out,
        io.TextIOWrapper(out, encoding="utf-8", newline="") as lines,
    ):
        csv.writer(lines).writerows([[1, "ä"], [2, "b"]])
    shelves.outputs.release()
    assert shelves.open(0, 0, "table.csv").decode() == "1,ä\r\n2,b\r\n"


def test_it_is_a_binary_file_that_cannot_seek(shelves: Shelves) -> None:
    with shelves.stream() as out:
        assert (out.writable(), out.readable(), out.seekable()) == (True, False, False)
        with pytest.raises(TypeError):
            out.write("text")
        with pytest.raises(OSError, match="seek"):
            out.seek(0)
        out.write(b"goes on")
    shelves.outputs.release()
    assert shelves.open(0, 0, "result") == b"goes on"


def test_a_finalizer_writes_to_a_result_while_another_is_begun(tmp_path: Path) -> None:
    shelves, opened = Shelves(tmp_path), []

    def begin_both() -> None:
        with OutputStream(shelves.outputs, shelves.outputs.open("notes", consumers=(0,))) as notes:
            # The collector may find something of the program's wherever something is made.
            shelves.outputs._make = lambda *places, **words: (
                notes.write(b"gone"),
                shelves.make(*places, **words),
            )[1]
            opened.extend(shelves.outputs.open("table", consumers=(0,)))

    thread = threading.Thread(target=begin_both, daemon=True)
    thread.start()
    thread.join(10)
    assert [file.name for file in opened] == ["table"]
