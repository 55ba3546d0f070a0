"""An input as its program reads it: at any place, only what is touched, and nothing of a changed file."""

import csv
import gc
import io
import os
import pickle
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from input_files import CHUNK, container_of, make_input

from sealroom.core.sealing.header import HEADER_SIZE, Subkey
from sealroom.enclave.inputs import Input, InputError
from sealroom.enclave.threaded_reader import ThreadedReader

PLAIN = os.urandom(10 * CHUNK + 100)


@pytest.fixture
def table(tmp_path: Path) -> Input:
    return make_input(tmp_path, PLAIN)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(places=st.lists(st.tuples(st.integers(0, len(PLAIN) + 50), st.integers(-1, 3 * CHUNK)), max_size=8))
def test_reads_at_any_place_what_was_sealed(table: Input, places: list[tuple[int, int]]) -> None:
    with table.open() as reader, ThreadedReader(table) as threaded:
        for place, count in places:
            expected = PLAIN[place:] if count < 0 else PLAIN[place : place + count]
            for each in (reader, threaded):
                assert each.seek(place) == place
                assert each.read(count) == expected
                assert each.tell() == place + len(expected)


def test_only_the_chunks_that_are_touched_are_decrypted(table: Input) -> None:
    with table.open() as reader:
        # The last chunk, whose presence proves that nothing was cut off.
        assert reader.chunks_read == 1
        reader.seek(3 * CHUNK - 10)
        assert reader.read(20) == PLAIN[3 * CHUNK - 10 : 3 * CHUNK + 10]
        assert reader.chunks_read == 3
        reader.seek(-50, io.SEEK_END)
        reader.read()
        assert reader.chunks_read == 4
    with table.open():
        assert table.chunks_read == 5


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1])
def test_reads_whole_files_of_every_size(tmp_path: Path, size: int) -> None:
    table = make_input(tmp_path, PLAIN[:size])
    assert table.size == size
    assert table.read() == PLAIN[:size]
    assert table.open().read() == PLAIN[:size]
    in_memory = table.read_to_memory()
    assert (in_memory.tell(), in_memory.read()) == (0, PLAIN[:size])


def test_the_rest_is_read_from_the_place_on(table: Input) -> None:
    with table.open() as reader:
        reader.seek(CHUNK + 1)
        assert reader.read() == PLAIN[CHUNK + 1 :]
        assert reader.read() == b""
        reader.seek(len(PLAIN) + 5)
        assert reader.read() == b""


@pytest.mark.parametrize("read", [Input.read, Input.read_to_memory, lambda table: table.open().read()])
def test_a_whole_file_stands_in_memory_once(tmp_path: Path, read) -> None:
    table = make_input(tmp_path, bytes(8 << 20), chunk_log2=16)
    tracemalloc.start()
    read(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (8 << 20) + (1 << 20)


def test_plain_csv_reads_it_as_text(tmp_path: Path) -> None:
    rows = [[str(number), f"name {number}, äöü"] for number in range(2_000)]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    table = make_input(tmp_path, text.getvalue().encode())
    with io.TextIOWrapper(table.open(), encoding="utf-8", newline="") as lines:
        assert list(csv.reader(lines)) == rows


def test_each_reader_has_a_place_of_its_own(table: Input) -> None:
    with table.open() as one, table.open() as other:
        one.seek(CHUNK)
        assert other.read(5) == PLAIN[:5]
        assert one.read(5) == PLAIN[CHUNK : CHUNK + 5]


def test_threads_that_read_one_reader_get_each_piece_once(table: Input) -> None:
    pieces: list[bytes] = []
    with table.open() as reader:

        def take() -> None:
            while piece := reader.read(64):
                pieces.append(piece)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = [PLAIN[place : place + 64] for place in range(0, len(PLAIN), 64)]
    assert sorted(pieces) == sorted(expected)


def test_it_is_no_file_of_the_system(table: Input) -> None:
    with table.open() as reader:
        assert (reader.readable(), reader.seekable(), reader.writable()) == (True, True, False)
        with pytest.raises(OSError, match="fileno"):
            reader.fileno()


def test_nothing_of_it_is_pickled(table: Input) -> None:
    with table.open() as reader, pytest.raises(TypeError):
        pickle.dumps(reader)
    with pytest.raises(TypeError):
        pickle.dumps(table)


def test_a_closed_reader_reads_nothing_more(table: Input) -> None:
    reader, threaded = table.open(), ThreadedReader(table)
    for each in (reader, threaded):
        each.close()
        with pytest.raises(ValueError, match="closed"):
            each.read(1)


@pytest.mark.parametrize("end", ["close", "del"])
def test_a_readers_copy_of_the_key_is_wiped_with_it(table: Input, monkeypatch, end: str) -> None:
    wiped: list[Subkey] = []
    wipe = Subkey.wipe
    monkeypatch.setattr(Subkey, "wipe", lambda subkey: (wiped.append(subkey), wipe(subkey))[1])
    reader = table.open()
    reader.read(1)
    assert not wiped
    if end == "close":
        reader.close()
    else:
        del reader
        gc.collect()
    assert wiped
    # The input itself can be read again.
    assert table.read() == PLAIN


def test_a_chunk_that_the_host_changed_is_an_oserror_that_names_the_input(
    tmp_path: Path, table: Input
) -> None:
    with table.open() as reader:
        assert reader.read(5) == PLAIN[:5]
        place = container_of(tmp_path, table)
        raw = bytearray(place.read_bytes())
        raw[HEADER_SIZE + 2 * (CHUNK + 16)] ^= 1
        place.write_bytes(raw)
        reader.seek(2 * CHUNK)
        with pytest.raises(
            InputError, match="input 'table' of data provider 0: the host changed it"
        ) as caught:
            reader.read(5)
        assert isinstance(caught.value, OSError)
        reader.seek(CHUNK)
        assert reader.read(5) == PLAIN[CHUNK : CHUNK + 5]
    with pytest.raises(InputError):
        table.read()


@pytest.mark.parametrize("change", [Path.unlink, lambda place: place.write_bytes(place.read_bytes()[:-1])])
def test_a_file_that_is_gone_or_shorter_does_not_open(tmp_path: Path, table: Input, change) -> None:
    change(container_of(tmp_path, table))
    with pytest.raises(InputError, match="the host changed it"):
        table.open()


# Several threads, one reader: what DuckDB does.


def in_another_thread(call) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_a_thread_reads_where_it_moved_to_whatever_others_did_meanwhile(table: Input) -> None:
    found: list[bytes] = []
    moved, other_moved = threading.Event(), threading.Event()
    with ThreadedReader(table) as reader:

        def first() -> None:
            reader.seek(CHUNK)
            moved.set()
            other_moved.wait(10)
            found.append(reader.read(5))

        thread = threading.Thread(target=first)
        thread.start()
        moved.wait(10)
        reader.seek(5 * CHUNK)
        other_moved.set()
        thread.join()
        assert found == [PLAIN[CHUNK : CHUNK + 5]]
        assert reader.tell() == 5 * CHUNK
        assert reader.read(5) == PLAIN[5 * CHUNK : 5 * CHUNK + 5]


def test_a_reader_handed_from_thread_to_thread_goes_on_where_it_was(table: Input) -> None:
    found: list[bytes] = []
    with ThreadedReader(table) as reader:
        reader.seek(10)
        in_another_thread(lambda: found.append(reader.read(5)))
        assert found == [PLAIN[10:15]]
        assert reader.tell() == 15
        assert reader.read1(5) == PLAIN[15:20]
        in_another_thread(lambda: found.append(reader.read(5)))
        assert found[1] == PLAIN[20:25]
        in_another_thread(lambda: reader.seek(100))
        assert reader.read(5) == PLAIN[100:105]


def test_many_threads_read_one_reader_at_once(table: Input) -> None:
    wrong: list[int] = []
    with ThreadedReader(table) as reader:

        def work(seed: int) -> None:
            for step in range(200):
                place = (seed * 7919 + step * 104_729) % (len(PLAIN) - 200)
                reader.seek(place)
                if reader.read(200) != PLAIN[place : place + 200]:
                    wrong.append(place)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_places_before_the_start_are_refused(table: Input) -> None:
    with ThreadedReader(table) as reader:
        assert reader.seek(-5, io.SEEK_END) == len(PLAIN) - 5
        assert reader.seek(2, io.SEEK_CUR) == len(PLAIN) - 3
        for arguments in ((-1,), (0, 9)):
            with pytest.raises(ValueError, match="seek"):
                reader.seek(*arguments)
