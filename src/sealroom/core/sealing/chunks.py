"""The chunks of a container: their number, sizes and nonces, and sealing or opening one in place.

No chunk is ever opened under a nonce that does not say its place and whether it is the last. Spec:
docs/spec/container.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nacl._sodium import ffi, lib

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.header import HEADER_SIZE, Subkey

TAG_SIZE = 16
_NONCE_PREFIX = bytes(15)


class Readable(Protocol):
    """What a container is read from: any object that fills a buffer; short reads are fine."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the start of `buffer`; 0 means the end."""


class Writable(Protocol):
    """What a container is written to: it must be done with the buffer when `write` returns."""

    def write(self, buffer: memoryview, /) -> int | None:
        """Write the start of `buffer`; `None` means all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the chunks of a container of known length lie."""

    chunk_size: int
    count: int
    plain_size: int

    @classmethod
    def of(cls, sealed_size: int, *, chunk_log2: int) -> Layout:
        """Derive the layout from the whole container's length.

        Raises `MalformedError` for a length that no container has: it was cut, or something was appended.
        """
        chunk_size = 1 << chunk_log2
        body = sealed_size - HEADER_SIZE
        full, rest = divmod(body, chunk_size + TAG_SIZE)
        if body < TAG_SIZE or 0 < rest < TAG_SIZE or (rest == TAG_SIZE and full):
            raise MalformedError(
                f"container length: no container has {sealed_size} octets, it was cut or added to"
            )
        count = full + (1 if rest else 0)
        return cls(chunk_size=chunk_size, count=count, plain_size=body - count * TAG_SIZE)

    def sealed_size_of(self, index: int) -> int:
        """Give the length of chunk `index`, tag included."""
        if index < self.count - 1:
            return self.chunk_size + TAG_SIZE
        return self.plain_size - (self.count - 1) * self.chunk_size + TAG_SIZE

    def offset_of(self, index: int) -> int:
        """Give the place of chunk `index` in the container."""
        return HEADER_SIZE + index * (self.chunk_size + TAG_SIZE)


class ChunkCipher:
    """Seals and opens chunks under one subkey, in buffers that the caller owns.

    A chunk may be sealed or opened in place: `plain` is then `sealed` without its first 16 octets. Several
    threads may use one cipher at once, each on buffers of its own; libsodium works without the interpreter's
    lock.
    """

    __slots__ = ("_subkey",)

    def __init__(self, subkey: Subkey) -> None:
        self._subkey = subkey

    def seal(self, plain: memoryview, sealed: memoryview, *, index: int, final: bool) -> None:
        """Seal `plain` into `sealed`, which must be 16 octets longer."""
        if len(sealed) != len(plain) + TAG_SIZE:
            raise ValueError(f"sealed chunk: expected {len(plain) + TAG_SIZE} octets, got {len(sealed)}")
        target, source = ffi.from_buffer(sealed), ffi.from_buffer(plain)
        nonce = _nonce(index, final=final)
        if lib.crypto_secretbox_easy(target, source, len(plain), nonce, self._subkey.cdata) != 0:
            raise ValueError("chunk: too long to seal")

    def open(self, sealed: memoryview, plain: memoryview, *, index: int, final: bool) -> None:
        """Open `sealed` into `plain`, which must be 16 octets shorter.

        Raises `VerificationError` when the chunk was changed, moved, cut or is not of this container;
        `plain` then holds nothing of it.
        """
        if len(plain) != len(sealed) - TAG_SIZE:
            raise ValueError(f"plain chunk: expected {len(sealed) - TAG_SIZE} octets, got {len(plain)}")
        target, source = ffi.from_buffer(plain), ffi.from_buffer(sealed)
        nonce = _nonce(index, final=final)
        if lib.crypto_secretbox_open_easy(target, source, len(sealed), nonce, self._subkey.cdata) != 0:
            place = "last chunk" if final else f"chunk {index}"
            raise VerificationError(f"container {place}: changed, moved, cut off, or of another container")

    def wipe(self) -> None:
        """Erase the subkey."""
        self._subkey.wipe()


def _nonce(index: int, *, final: bool) -> bytes:
    return _NONCE_PREFIX + index.to_bytes(8, "big") + bytes([final])


def read_up_to(source: Readable, buffer: memoryview) -> int:
    """Fill `buffer` from `source` as far as there is something, and say how far.

    Raises `ValueError` for a source that is in non-blocking mode: "nothing yet" is not "the end".
    """
    return _move_all(source.readinto, buffer, "source")


def write_all(sink: Writable, buffer: memoryview) -> None:
    """Write the whole of `buffer`, also to a sink that takes less at a time."""
    done = 0
    while done < len(buffer):
        written = sink.write(buffer[done:])
        if written == 0:
            raise ValueError("sink: takes nothing more")
        done = len(buffer) if written is None else done + written


def _move_all(move: Callable[[memoryview], int | None], buffer: memoryview, name: str) -> int:
    done = 0
    while done < len(buffer):
        moved = move(buffer[done:])
        if moved is None:
            raise ValueError(f"{name}: is in non-blocking mode")
        if moved == 0:
            break
        done += moved
    return done
