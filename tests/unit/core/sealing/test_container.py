"""The file container: what it holds it gives back, and every change to it is refused."""

import hashlib
import io
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealing_cases import COMPUTATION, OTHER_COMPUTATION

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.chunks import TAG_SIZE, ChunkCipher
from sealroom.core.sealing.container import ContainerReader
from sealroom.core.sealing.container_streams import (
    open_bytes,
    open_container,
    open_stream,
    read_header,
    seal_bytes,
    seal_bytes_reproducibly,
    seal_stream,
    sealed_size,
)
from sealroom.core.sealing.context import Context, Purpose
from sealroom.core.sealing.header import (
    DEFAULT_CHUNK_LOG2,
    HEADER_SIZE,
    Header,
    Subkey,
    accept_subkey,
    unlock,
)
from sealroom.core.sealing.keys import DataKey

LOG2 = 12
CHUNK = 1 << LOG2
SEALED_CHUNK = CHUNK + TAG_SIZE
OWNER = b"\x21" * 32
KEY = DataKey.from_bytes(b"\x42" * 32)
CONTEXT = Context.input(computation=COMPUTATION, owner_pk=OWNER, name="table.csv")
PLAIN = os.urandom(3 * CHUNK + 100)


def seal(plaintext: bytes = PLAIN, *, key: DataKey = KEY, context: Context = CONTEXT) -> bytes:
    return seal_bytes(plaintext, key=key, context=context, chunk_log2=LOG2)


def open_from_pipe(container: bytes, *, key: DataKey = KEY, context: Context = CONTEXT) -> bytes:
    sink = io.BytesIO()
    open_stream(io.BytesIO(container), sink, key=key, context=context)
    return sink.getvalue()


def open_at_once(container: bytes, *, key: DataKey = KEY, context: Context = CONTEXT) -> bytes:
    return open_bytes(container, key=key, context=context)


BOTH_WAYS = pytest.mark.parametrize("way", [open_at_once, open_from_pipe])
TypeOfWay = Callable[..., bytes]


class Pipe(io.RawIOBase):
    """A stream that gives a few octets at a time and cannot seek, like a slow pipe."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content, self._step, self._place = content, step, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        piece = self._content[self._place : self._place + min(self._step, len(buffer))]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


class ReluctantSink(io.BytesIO):
    """A sink that takes at most 1000 octets in one call."""

    def write(self, buffer: memoryview) -> int:
        return super().write(bytes(buffer[:1000]))


@BOTH_WAYS
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 100])
def test_gives_back_what_was_sealed(size: int, way: TypeOfWay) -> None:
    container = seal(PLAIN[:size])
    assert len(container) == sealed_size(size, chunk_log2=LOG2)
    assert way(container) == PLAIN[:size]


@given(plaintext=st.binary(max_size=3 * CHUNK), step=st.integers(1, 5000))
def test_streams_of_any_pace_give_the_same(plaintext: bytes, step: int) -> None:
    sealed, opened = ReluctantSink(), ReluctantSink()
    count = seal_stream(Pipe(plaintext, step), sealed, key=KEY, context=CONTEXT, chunk_log2=LOG2)
    assert count == len(plaintext)
    assert open_stream(Pipe(sealed.getvalue(), step), opened, key=KEY, context=CONTEXT) == count
    assert opened.getvalue() == plaintext


def test_the_default_chunk_is_256_kib() -> None:
    container = seal_bytes(b"x" * 300_000, key=KEY, context=CONTEXT)
    assert read_header(io.BytesIO(container)).chunk_log2 == DEFAULT_CHUNK_LOG2 == 18
    assert len(container) == HEADER_SIZE + 300_000 + 2 * TAG_SIZE == sealed_size(300_000)


def test_two_containers_of_one_plaintext_share_nothing() -> None:
    one, other = seal(), seal()
    assert one[12:44] != other[12:44]
    assert one[HEADER_SIZE:] != other[HEADER_SIZE:]


def test_memory_is_constant_whatever_the_length() -> None:
    class Zeros(io.RawIOBase):
        left = 64 << 20

        def readinto(self, buffer: memoryview) -> int:
            count = min(len(buffer), self.left)
            self.left -= count
            return count

    class Nowhere:
        def write(self, buffer: memoryview) -> int:
            return len(buffer)

    tracemalloc.start()
    seal_stream(Zeros(), Nowhere(), key=KEY, context=CONTEXT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


def test_reproducible_containers_depend_on_key_context_and_plaintext_alone() -> None:
    def made(plaintext: bytes = PLAIN, key: DataKey = KEY, context: Context = CONTEXT) -> bytes:
        return seal_bytes_reproducibly(plaintext, key=key, context=context, chunk_log2=LOG2)

    assert made() == made()
    assert open_at_once(made()) == PLAIN
    salts = {made()[12:44], made(PLAIN[:-1])[12:44], made(key=DataKey.generate())[12:44]}
    salts.add(made(context=replace(CONTEXT, name="other.csv"))[12:44])
    assert len(salts) == 4


@BOTH_WAYS
@pytest.mark.parametrize("chunks", [1, 2, 3])
@pytest.mark.parametrize("plain_size", [3 * CHUNK + 100, 4 * CHUNK])
def test_a_cut_at_every_chunk_boundary_is_refused(plain_size: int, chunks: int, way: TypeOfWay) -> None:
    container = seal(os.urandom(plain_size))
    with pytest.raises(VerificationError, match="cut off"):
        way(container[: HEADER_SIZE + chunks * SEALED_CHUNK])


@BOTH_WAYS
def test_a_cut_at_any_other_place_is_refused(way: TypeOfWay) -> None:
    container = seal()
    for length in (*range(HEADER_SIZE + 40), *range(HEADER_SIZE + CHUNK, len(container), 97)):
        with pytest.raises((MalformedError, VerificationError)):
            way(container[:length])


def test_a_cut_pipe_gives_only_what_was_authentic_and_then_fails() -> None:
    container = seal()
    sink = io.BytesIO()
    with pytest.raises(VerificationError):
        open_stream(io.BytesIO(container[: HEADER_SIZE + 2 * SEALED_CHUNK]), sink, key=KEY, context=CONTEXT)
    assert sink.getvalue() == PLAIN[:CHUNK]
    sink = io.BytesIO()
    with pytest.raises(MalformedError, match="cut off"):
        open_stream(
            io.BytesIO(container[: HEADER_SIZE + 2 * SEALED_CHUNK + 5]), sink, key=KEY, context=CONTEXT
        )
    assert sink.getvalue() == PLAIN[: 2 * CHUNK]


def test_a_cut_file_gives_nothing_at_all() -> None:
    container = seal()
    with pytest.raises(VerificationError, match="last chunk"):
        open_container(io.BytesIO(container[: HEADER_SIZE + 2 * SEALED_CHUNK]), key=KEY, context=CONTEXT)


def chunks_of(container: bytes) -> list[bytes]:
    body = container[HEADER_SIZE:]
    return [body[start : start + SEALED_CHUNK] for start in range(0, len(body), SEALED_CHUNK)]


@BOTH_WAYS
def test_reordered_chunks_are_refused(way: TypeOfWay) -> None:
    container = seal()
    first, second, *rest = chunks_of(container)
    with pytest.raises(VerificationError, match="chunk 0"):
        way(container[:HEADER_SIZE] + second + first + b"".join(rest))


@BOTH_WAYS
def test_a_repeated_or_dropped_chunk_is_refused(way: TypeOfWay) -> None:
    container = seal()
    first, second, *rest = chunks_of(container)
    for chunks in ((first, first, second, *rest), (first, *rest)):
        with pytest.raises(VerificationError):
            way(container[:HEADER_SIZE] + b"".join(chunks))


@BOTH_WAYS
def test_a_chunk_spliced_in_from_another_container_of_the_same_key_and_name_is_refused(
    way: TypeOfWay,
) -> None:
    one, other = seal(), seal()
    spliced = one[: HEADER_SIZE + SEALED_CHUNK] + other[HEADER_SIZE + SEALED_CHUNK :]
    with pytest.raises(VerificationError):
        way(spliced)


@BOTH_WAYS
def test_a_renamed_file_is_refused(way: TypeOfWay) -> None:
    with pytest.raises(VerificationError, match="another name"):
        way(seal(), context=replace(CONTEXT, name="other.csv"))


@BOTH_WAYS
@pytest.mark.parametrize(
    "extra", [b"\0", bytes(15), bytes(16), bytes(17), bytes(SEALED_CHUNK)], ids=lambda extra: str(len(extra))
)
@pytest.mark.parametrize("plain_size", [0, CHUNK, 2 * CHUNK, 2 * CHUNK + 5])
def test_trailing_bytes_are_refused(plain_size: int, extra: bytes, way: TypeOfWay) -> None:
    with pytest.raises((MalformedError, VerificationError)):
        way(seal(PLAIN[:plain_size]) + extra)


def test_an_empty_last_chunk_after_a_full_one_is_refused_even_when_authentic() -> None:
    """Otherwise one plaintext would have two containers."""
    container = seal(PLAIN[:CHUNK])
    header = read_header(io.BytesIO(container))
    cipher = ChunkCipher(unlock(header, key=KEY, context=CONTEXT))
    first, last = bytearray(SEALED_CHUNK), bytearray(TAG_SIZE)
    cipher.seal(memoryview(PLAIN[:CHUNK]), memoryview(first), index=0, final=False)
    cipher.seal(memoryview(b""), memoryview(last), index=1, final=True)
    forged = container[:HEADER_SIZE] + first + last
    for way in (open_at_once, open_from_pipe):
        with pytest.raises(MalformedError):
            way(forged)


@BOTH_WAYS
def test_a_wrong_key_is_refused(way: TypeOfWay) -> None:
    with pytest.raises(VerificationError, match="another key"):
        way(seal(), key=DataKey.generate())


OTHER_CONTEXTS = [
    replace(CONTEXT, computation=OTHER_COMPUTATION),
    replace(CONTEXT, purpose=Purpose.CODE),
    replace(CONTEXT, purpose=Purpose.SERVICE),
    replace(CONTEXT, owner_pk=b"\x22" * 32),
    Context.result(computation=COMPUTATION, owner_pk=OWNER, box_pk=b"\x23" * 32, name="table.csv"),
]


@BOTH_WAYS
@pytest.mark.parametrize("context", OTHER_CONTEXTS, ids=["computation", "code", "service", "owner", "result"])
def test_a_wrong_context_is_refused(context: Context, way: TypeOfWay) -> None:
    with pytest.raises(VerificationError, match="another key"):
        way(seal(), context=context)


def test_a_result_of_another_launch_is_refused() -> None:
    one = Context.result(computation=COMPUTATION, owner_pk=OWNER, box_pk=b"\x01" * 32, name="out")
    container = seal(context=one)
    assert open_at_once(container, context=one) == PLAIN
    with pytest.raises(VerificationError):
        open_at_once(container, context=replace(one, enclave=b"\x02" * 32))


def test_a_disclosed_subkey_proves_its_plaintext_and_a_second_one_is_refused() -> None:
    container, other = seal(), seal()
    header = read_header(io.BytesIO(container))
    subkey = Subkey.from_bytes(unlock(header, key=KEY, context=CONTEXT).reveal())
    proven = accept_subkey(header, subkey)
    reader = ContainerReader(io.BytesIO(container), header=header, subkey=proven, size=len(container))
    assert reader.read() == PLAIN
    second = unlock(read_header(io.BytesIO(other)), key=KEY, context=CONTEXT)
    with pytest.raises(VerificationError, match="disclosed subkey"):
        accept_subkey(header, second)


@BOTH_WAYS
@pytest.mark.parametrize("place", [*range(12), 12, 43, 44, 75, 76, 91, 92, 5000, -1, -16, -17, -100])
def test_one_changed_bit_is_refused_everywhere(place: int, way: TypeOfWay) -> None:
    container = bytearray(seal())
    container[place] ^= 1
    with pytest.raises((MalformedError, VerificationError)):
        way(bytes(container))


def checked(container: bytes) -> tuple[Header, Subkey, int, bytes]:
    """Do what an enclave does once: read the header, derive the subkey, note size and digest."""
    header = read_header(io.BytesIO(container))
    return (
        header,
        unlock(header, key=KEY, context=CONTEXT),
        len(container),
        hashlib.sha256(container).digest(),
    )


def test_a_source_file_swapped_between_hash_and_read_is_refused() -> None:
    header, subkey, size, _ = checked(seal())
    swapped = io.BytesIO(seal(os.urandom(len(PLAIN))))
    with pytest.raises(VerificationError, match="last chunk"):
        ContainerReader(swapped, header=header, subkey=subkey, size=size)


def test_a_source_file_swapped_between_two_reads_is_refused() -> None:
    container = seal()
    source = io.BytesIO(container)
    header, subkey, size, _ = checked(container)
    reader = ContainerReader(source, header=header, subkey=subkey, size=size)
    assert reader.read(10) == PLAIN[:10]
    source.seek(0)
    source.write(seal(os.urandom(len(PLAIN))))
    reader.seek(CHUNK)
    with pytest.raises(VerificationError, match="chunk 1"):
        reader.read(10)


def test_a_header_changed_after_the_check_changes_nothing() -> None:
    container = seal()
    header, subkey, size, _ = checked(container)
    source = io.BytesIO(bytes(HEADER_SIZE) + container[HEADER_SIZE:])
    assert ContainerReader(source, header=header, subkey=subkey, size=size).read() == PLAIN


@pytest.mark.parametrize("cut", [1, 100, 200, CHUNK])
def test_a_source_file_shortened_after_the_check_is_refused(cut: int) -> None:
    container = seal()
    header, subkey, size, _ = checked(container)
    with pytest.raises(VerificationError, match="shorter than when it was checked"):
        ContainerReader(io.BytesIO(container[:-cut]), header=header, subkey=subkey, size=size)


def test_a_reader_counts_the_chunks_that_it_opened() -> None:
    with open_container(io.BytesIO(seal()), key=KEY, context=CONTEXT) as reader:
        assert reader.chunks_read == 1
        reader.seek(CHUNK)
        assert reader.read(10) + reader.read(10) == PLAIN[CHUNK : CHUNK + 20]
        assert reader.chunks_read == 2


def test_a_chunk_that_fails_is_not_served_from_the_buffer_afterwards() -> None:
    container = bytearray(seal())
    container[HEADER_SIZE + SEALED_CHUNK] ^= 1
    reader = open_container(io.BytesIO(container), key=KEY, context=CONTEXT)
    assert reader.read(CHUNK) == PLAIN[:CHUNK]
    for _ in range(2):
        with pytest.raises(VerificationError, match="chunk 1"):
            reader.read(1)
    reader.seek(0)
    assert reader.read(5) == PLAIN[:5]


@given(places=st.lists(st.tuples(st.integers(0, len(PLAIN) + 50), st.integers(0, 2 * CHUNK)), max_size=8))
def test_any_place_reads_as_the_plaintext_does(places: list[tuple[int, int]]) -> None:
    reader = io.BufferedReader(open_container(io.BytesIO(SEALED_ONCE), key=KEY, context=CONTEXT))
    for place, count in places:
        reader.seek(place)
        assert reader.read(count) == PLAIN[place : place + count]


SEALED_ONCE = seal()


def test_reads_lines_and_seeks_from_every_end() -> None:
    text = b"".join(b"line %d\n" % number for number in range(2000))
    reader = open_container(io.BytesIO(seal(text)), key=KEY, context=CONTEXT)
    assert reader.plain_size == len(text)
    assert reader.readable() and reader.seekable() and not reader.writable()
    with io.BufferedReader(reader) as lines:
        assert list(lines) == text.splitlines(keepends=True)
        assert lines.seek(-10, io.SEEK_END) == len(text) - 10
        assert lines.seek(3, io.SEEK_CUR) == len(text) - 7
        assert lines.read() == text[-7:]
        assert lines.seek(len(text) + 100) == len(text) + 100
        assert lines.read() == b""


def test_refuses_to_seek_before_the_start() -> None:
    reader = open_container(io.BytesIO(seal(b"x")), key=KEY, context=CONTEXT)
    for offset, whence in ((-1, 0), (-2, 2), (0, 3)):
        with pytest.raises(ValueError, match="seek"):
            reader.seek(offset, whence)


def test_closing_wipes_the_subkey_and_leaves_the_source_open() -> None:
    source = io.BytesIO(seal())
    header, subkey, size, _ = checked(source.getvalue())
    reader = ContainerReader(source, header=header, subkey=subkey, size=size)
    reader.close()
    reader.close()
    assert subkey.wiped
    assert not source.closed
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)


def test_reading_into_an_empty_buffer_is_nothing() -> None:
    assert open_container(io.BytesIO(seal()), key=KEY, context=CONTEXT).readinto(bytearray()) == 0


@given(st.binary(max_size=120))
def test_any_bytes_are_a_header_or_malformed(raw: bytes) -> None:
    for candidate in (raw, seal(b"")[:12] + raw, raw[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0")):
        try:
            assert Header.from_bytes(candidate).to_bytes() == candidate
        except MalformedError:
            continue


@given(st.binary(max_size=600))
def test_any_bytes_behind_a_true_header_are_refused(body: bytes) -> None:
    header = seal(b"")[:HEADER_SIZE]
    for way in (open_at_once, open_from_pipe):
        with pytest.raises((MalformedError, VerificationError)):
            way(header + body)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (0, 0, "magic"),
        (8, 2, "version"),
        (9, 11, "chunk_log2"),
        (9, 25, "chunk_log2"),
        (10, 1, "reserved"),
        (11, 1, "reserved"),
    ],
)
def test_refuses_each_fixed_field_of_the_header(place: int, value: int, why: str) -> None:
    raw = bytearray(seal(b"")[:HEADER_SIZE])
    raw[place] = value
    with pytest.raises(MalformedError, match=why):
        Header.from_bytes(bytes(raw))


@pytest.mark.parametrize("chunk_log2", [11, 25, 0, 64])
def test_refuses_to_seal_in_chunks_that_no_reader_takes(chunk_log2: int) -> None:
    with pytest.raises(ValueError, match="chunk_log2"):
        seal_bytes(b"", key=KEY, context=CONTEXT, chunk_log2=chunk_log2)
    with pytest.raises(ValueError, match="chunk_log2"):
        sealed_size(0, chunk_log2=chunk_log2)


@pytest.mark.parametrize("chunk_log2", [12, 24])
def test_the_smallest_and_largest_chunks_work(chunk_log2: int) -> None:
    assert open_at_once(seal_bytes(PLAIN, key=KEY, context=CONTEXT, chunk_log2=chunk_log2)) == PLAIN


def test_refuses_a_size_below_nothing() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        sealed_size(-1)


def test_a_source_in_non_blocking_mode_is_not_taken_for_an_empty_one() -> None:
    class NothingYet:
        def readinto(self, buffer: memoryview) -> None:
            return None

    with pytest.raises(ValueError, match="non-blocking"):
        seal_stream(NothingYet(), io.BytesIO(), key=KEY, context=CONTEXT)


def test_a_sink_that_takes_nothing_is_an_error() -> None:
    class Full:
        def write(self, buffer: memoryview) -> int:
            return 0

    with pytest.raises(ValueError, match="sink"):
        seal_stream(io.BytesIO(b"x"), Full(), key=KEY, context=CONTEXT)


def test_a_sink_that_says_nothing_took_everything() -> None:
    class Silent:
        content = b""

        def write(self, buffer: memoryview) -> None:
            self.content += bytes(buffer)

    sink = Silent()
    seal_stream(io.BytesIO(PLAIN), sink, key=KEY, context=CONTEXT)
    assert open_at_once(sink.content) == PLAIN


@pytest.mark.parametrize(
    "change",
    [
        {"owner_pk": bytes(31)},
        {"enclave": bytes(31)},
        {"enclave": b"\x01" * 32},
        {"purpose": Purpose.RESULT},
        {"purpose": Purpose.LOG, "enclave": b"\x01" * 32},
    ],
    ids=str,
)
def test_refuses_a_context_that_contradicts_itself(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="container"):
        replace(CONTEXT, **change)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0b", "e\u0301", "x" * 256])
def test_refuses_names_with_a_second_spelling(name: str) -> None:
    with pytest.raises(MalformedError, match="container name"):
        replace(CONTEXT, name=name)
    with pytest.raises(MalformedError):
        Context.code(
            computation=COMPUTATION, owner_pk=OWNER, path=f"folder/{name}/.." if name != "a/b" else "/a"
        )


def test_code_is_bound_to_its_whole_path() -> None:
    context = Context.code(computation=COMPUTATION, owner_pk=OWNER, path="model/train.py")
    container = seal(context=context)
    assert open_at_once(container, context=context) == PLAIN
    with pytest.raises(VerificationError):
        open_at_once(container, context=replace(context, name="other/train.py"))


def test_header_cannot_be_built_with_other_sizes() -> None:
    with pytest.raises(ValueError, match="salt"):
        Header(chunk_log2=18, salt=bytes(31), commit=bytes(32))


def test_a_cipher_refuses_buffers_that_do_not_fit() -> None:
    cipher = ChunkCipher(Subkey.generate())
    with pytest.raises(ValueError, match="sealed chunk: expected 26"):
        cipher.seal(memoryview(bytes(10)), memoryview(bytearray(25)), index=0, final=True)
    with pytest.raises(ValueError, match="plain chunk: expected 10"):
        cipher.open(memoryview(bytes(26)), memoryview(bytearray(11)), index=0, final=True)
