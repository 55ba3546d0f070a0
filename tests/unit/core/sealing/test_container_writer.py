"""A container written in pieces: the same as one sealed from a stream, and nothing until it is finished."""

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealing_cases import COMPUTATION

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container_streams import open_bytes, sealed_size
from sealroom.core.sealing.container_writer import ContainerWriter
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey

LOG2 = 12
CHUNK = 1 << LOG2
KEY = DataKey.from_bytes(b"\x42" * 32)
CONTEXT = Context.input(computation=COMPUTATION, owner_pk=b"\x21" * 32, name="table.csv")


def writer(sink: io.BytesIO) -> ContainerWriter:
    return ContainerWriter(sink, key=KEY, context=CONTEXT, chunk_log2=LOG2)


@given(st.lists(st.binary(max_size=200).map(lambda piece: piece * 50), max_size=8))
def test_pieces_of_any_size_give_one_container(pieces: list[bytes]) -> None:
    sink = io.BytesIO()
    made = writer(sink)
    for piece in pieces:
        made.write(piece)
    made.finish()
    plaintext = b"".join(pieces)
    assert len(sink.getvalue()) == sealed_size(len(plaintext), chunk_log2=LOG2)
    assert open_bytes(sink.getvalue(), key=KEY, context=CONTEXT) == plaintext


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 100])
@pytest.mark.parametrize("halves", [1, 2])
def test_the_last_chunk_is_full_or_the_rest_and_never_an_empty_one_more(size: int, halves: int) -> None:
    sink, plaintext = io.BytesIO(), bytes(range(256)) * (size // 256 + 1)
    made = writer(sink)
    cut = size // halves
    made.write(plaintext[:cut])
    made.write(plaintext[cut:size])
    made.finish()
    assert open_bytes(sink.getvalue(), key=KEY, context=CONTEXT) == plaintext[:size]


@pytest.mark.parametrize("size", [0, CHUNK, 3 * CHUNK + 1])
def test_no_reader_takes_what_was_never_finished(size: int) -> None:
    sink = io.BytesIO()
    made = writer(sink)
    made.write(bytes(size))
    made.abandon()
    with pytest.raises((MalformedError, VerificationError)):
        open_bytes(sink.getvalue(), key=KEY, context=CONTEXT)
    with pytest.raises(RuntimeError, match="already"):
        made.finish()


def test_nothing_is_sealed_behind_a_finished_container() -> None:
    made = writer(io.BytesIO())
    made.finish()
    with pytest.raises(RuntimeError, match="already"):
        made.write(b"one more")


def test_a_failed_write_can_have_no_continuation() -> None:
    class FullDisk(io.BytesIO):
        room = 2 * CHUNK

        def write(self, buffer: memoryview) -> int:
            if self.tell() + len(buffer) > self.room:
                raise OSError("no space left")
            return super().write(buffer)

    sink = FullDisk()
    made = writer(sink)
    with pytest.raises(OSError, match="no space"):
        made.write(bytes(3 * CHUNK))
    sink.room = 1 << 20
    with pytest.raises(RuntimeError, match="already"):
        made.finish()


def test_memory_is_constant_whatever_the_length() -> None:
    class Nowhere:
        def write(self, buffer: memoryview) -> int:
            return len(buffer)

    piece = bytes(100_000)
    tracemalloc.start()
    made = ContainerWriter(Nowhere(), key=KEY, context=CONTEXT)
    for _ in range(300):
        made.write(piece)
    made.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20
