"""Sealing and opening between streams: pipes that break, sinks that fill, what was written before."""

import io
import os
import threading
import tracemalloc

import pytest
from container_cases import CHUNK, CONTEXT, HEADER, KEY, SEALED_CHUNK

from sealroom.client.container_streams import open_pipe, seal_pipe
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.container_streams import open_bytes, seal_bytes

PLAIN = os.urandom(9 * CHUNK + 5)


class Slow(io.RawIOBase):
    """Gives at most 70,000 bytes at a time, as a pipe does."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def readinto(self, buffer: memoryview) -> int:
        got = self._rest[: min(len(buffer), 70_000)]
        buffer[: len(got)] = got
        self._rest = self._rest[len(got) :]
        return len(got)


class Full:
    """A sink with room for so many bytes, which takes a little at a time."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.content = bytearray()

    def write(self, buffer: memoryview) -> int:
        if len(self.content) >= self.room:
            raise OSError(28, "No space left on device")
        taken = buffer[: min(50_000, self.room - len(self.content))]
        self.content += taken
        return len(taken)


def helpers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sealroom-helper")]


def test_a_pipe_of_any_pace_gives_the_same() -> None:
    sealed, opened = Full(1 << 30), Full(1 << 30)
    told: list[int] = []
    assert seal_pipe(Slow(PLAIN), sealed, key=KEY, context=CONTEXT, tell=told.append) == len(PLAIN)
    assert told[-1] == len(PLAIN)
    assert open_pipe(Slow(sealed.content), opened, key=KEY, context=CONTEXT, tell=told.append) == len(PLAIN)
    assert told[-1] == len(PLAIN)
    assert opened.content == PLAIN
    assert open_bytes(sealed.content, key=KEY, context=CONTEXT) == PLAIN


@pytest.mark.parametrize("chunks", [1, 4, 5, 8])
def test_a_cut_pipe_gives_only_what_is_authentic_and_then_fails(chunks: int) -> None:
    sealed = seal_bytes(PLAIN, key=KEY, context=CONTEXT)
    sink = io.BytesIO()
    with pytest.raises(VerificationError):
        open_pipe(Slow(sealed[: HEADER + chunks * SEALED_CHUNK]), sink, key=KEY, context=CONTEXT)
    assert PLAIN.startswith(sink.getvalue())
    assert len(sink.getvalue()) < chunks * CHUNK
    assert not helpers()


def test_a_pipe_cut_behind_its_header_is_refused() -> None:
    sealed = seal_bytes(PLAIN, key=KEY, context=CONTEXT)
    with pytest.raises(MalformedError, match="cut off"):
        open_pipe(io.BytesIO(sealed[:HEADER]), io.BytesIO(), key=KEY, context=CONTEXT)


def test_a_sink_that_fills_is_an_error_and_leaves_no_helper() -> None:
    with pytest.raises(OSError, match="No space"):
        seal_pipe(io.BytesIO(PLAIN), Full(3 * CHUNK), key=KEY, context=CONTEXT)
    assert not helpers()


def test_the_streams_are_touched_by_the_callers_thread_alone() -> None:
    """An interruption reaches that thread; a helper that waits for a pipe could not be ended."""
    seen = set()

    class Seen(Slow):
        def readinto(self, buffer: memoryview) -> int:
            seen.add(threading.current_thread())
            return super().readinto(buffer)

    class Sink(io.BytesIO):
        def write(self, buffer: memoryview) -> int:
            seen.add(threading.current_thread())
            return super().write(buffer)

    seal_pipe(Seen(PLAIN), Sink(), key=KEY, context=CONTEXT)
    assert seen == {threading.current_thread()}


def test_an_interruption_while_reading_ends_the_helpers() -> None:
    class Interrupted(Slow):
        def readinto(self, buffer: memoryview) -> int:
            got = super().readinto(buffer)
            if not got:
                raise KeyboardInterrupt
            return got

    with pytest.raises(KeyboardInterrupt):
        seal_pipe(Interrupted(PLAIN), io.BytesIO(), key=KEY, context=CONTEXT)
    assert not helpers()


def test_memory_is_constant_whatever_the_length() -> None:
    class Zeros(io.RawIOBase):
        left = 48 << 20

        def readinto(self, buffer: memoryview) -> int:
            count = min(len(buffer), self.left)
            self.left -= count
            return count

    class Nowhere:
        def write(self, buffer: memoryview) -> int:
            return len(buffer)

    tracemalloc.start()
    seal_pipe(Zeros(), Nowhere(), key=KEY, context=CONTEXT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
