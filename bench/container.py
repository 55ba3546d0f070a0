"""How fast the file container is, beside PyNaCl's SecretBox on the same bytes in the same run.

SecretBox takes a whole file in memory at once; a container is a stream in constant memory that commits to its
key. The columns are megabytes a second and their ratio: above 1, the container is faster.
"""

import io
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from nacl.secret import SecretBox

from sealroom.core.sealing.container import (
    Context,
    open_container,
    open_stream,
    seal_bytes,
    seal_stream,
    sealed_size,
)
from sealroom.core.sealing.keys import DataKey

SIZES = (64 << 10, 1 << 20, 16 << 20, 128 << 20)
MIN_BYTES = 256 << 20  # small files are repeated until this much was processed
ROUNDS = 3
MEGA = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what was done, to how much, and both speeds in bytes a second."""

    name: str
    size: int
    secretbox: float
    container: float


class Memory:
    """A sink on a buffer made beforehand, so that what is timed is sealing and one copy."""

    def __init__(self, size: int) -> None:
        self._buffer = memoryview(bytearray(size))
        self._place = 0

    def write(self, buffer: memoryview, /) -> int:
        """Copy `buffer` to the next place."""
        self._buffer[self._place : self._place + len(buffer)] = buffer
        self._place += len(buffer)
        return len(buffer)

    def rewind(self) -> None:
        """Start again at the front."""
        self._place = 0


def best_speed(work: Callable[[], object], size: int) -> float:
    """Give bytes a second of the fastest of some rounds; each handles enough bytes to be timed."""
    repeats = max(1, MIN_BYTES // size // ROUNDS)
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        times.append(time.perf_counter() - started)
    return size * repeats / min(times)


def rows(size: int) -> Iterator[Row]:
    """Measure one size: sealing, opening in order, and opening through the seekable reader."""
    plain = secrets.token_bytes(size)
    key = DataKey.generate()
    context = Context.input(computation=uuid4(), owner_pk=secrets.token_bytes(32), name="bench.bin")
    box = SecretBox(key.reveal())
    boxed, sealed = box.encrypt(plain), seal_bytes(plain, key=key, context=context)
    sink, window = Memory(sealed_size(size)), memoryview(bytearray(1 << 20))

    def seal() -> None:
        sink.rewind()
        seal_stream(io.BytesIO(plain), sink, key=key, context=context)

    def open_in_order() -> None:
        sink.rewind()
        open_stream(io.BytesIO(sealed), sink, key=key, context=context)

    def read_through() -> None:
        with open_container(io.BytesIO(sealed), key=key, context=context) as reader:
            while reader.readinto(window):
                pass

    encrypting = best_speed(lambda: box.encrypt(plain), size)
    decrypting = best_speed(lambda: box.decrypt(boxed), size)
    yield Row(name="encrypt", size=size, secretbox=encrypting, container=best_speed(seal, size))
    yield Row(
        name="decrypt, pipe", size=size, secretbox=decrypting, container=best_speed(open_in_order, size)
    )
    yield Row(
        name="decrypt, reader", size=size, secretbox=decrypting, container=best_speed(read_through, size)
    )


def main() -> int:
    """Print the table."""
    print(f"{'':16} {'size':>9} {'SecretBox':>12} {'container':>12} {'ratio':>7}")
    for size in SIZES:
        for row in rows(size):
            print(
                f"{row.name:16} {row.size >> 10:>5} KiB {row.secretbox / MEGA:>7.0f} MB/s "
                f"{row.container / MEGA:>7.0f} MB/s {row.container / row.secretbox:>7.2f}",
                flush=True,
            )
    return 0
