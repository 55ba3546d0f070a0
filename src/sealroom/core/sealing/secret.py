"""Own memory for secrets: locked where the system allows, zeroed on demand, never shown.

Python's `bytes` cannot be erased, so a key that must be gone before foreign code runs lives in a
`SecretBuffer` and in nothing else: libsodium reads and writes it in place. This module must never make an
immutable copy of a secret, with one exception that says so in its name, `reveal`, which is for a
participant's own machine. Spec: docs/spec/container.md, section "Keys in memory".
"""

from __future__ import annotations

from typing import Any, Self

from nacl._sodium import ffi, lib

# Everything secret starts here. PyNaCl does this in its `bindings` alone, and without it libsodium stays with
# its portable code: half the speed.
if lib.sodium_init() < 0:
    raise RuntimeError("libsodium: could not be initialised")


class SecretBuffer:
    """A fixed number of secret octets in one buffer that this object alone owns.

    Guaranteed: `repr` and errors never show the octets, `wipe` zeroes them, and so does the end of the
    object's life. Not guaranteed: that the page never reaches swap (`locked` says whether the system
    agreed), nor anything about copies that the caller makes.
    """

    __slots__ = ("_cdata", "_size", "_wiped", "locked")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"secret size: expected at least 1, got {size}")
        self._wiped = True
        self._size = size
        self._cdata: Any = ffi.new("unsigned char[]", size)
        # Never unlocked again: pages are shared with other small buffers, and unlocking one would expose
        # them.
        self.locked: bool = lib.sodium_mlock(self._cdata, size) == 0
        self._wiped = False

    @classmethod
    def random(cls, size: int) -> Self:
        """Make a buffer of octets from the system's random source, written straight into it."""
        made = cls(size)
        lib.randombytes(made.cdata, size)
        return made

    @classmethod
    def take(cls, source: bytes | bytearray | memoryview, size: int) -> Self:
        """Copy `source` into a buffer of exactly `size` octets, and zero it when it can be written to.

        Raises `ValueError` for any other length; the message holds the lengths alone.
        """
        if len(source) != size:
            raise ValueError(f"secret size: expected {size}, got {len(source)}")
        made = cls(size)
        ffi.memmove(made.cdata, source, size)
        if not memoryview(source).readonly:
            lib.sodium_memzero(ffi.from_buffer(source), size)
        return made

    @property
    def cdata(self) -> Any:  # noqa: ANN401 - PyNaCl's cffi pointers have no type
        """The buffer as libsodium takes it; it must not outlive this object."""
        if self._wiped:
            raise RuntimeError("secret was wiped")
        return self._cdata

    @property
    def wiped(self) -> bool:
        """Whether the octets are gone."""
        return self._wiped

    def __len__(self) -> int:
        return self._size

    def fill_from(self, source: SecretBuffer, *, start: int = 0) -> Self:
        """Fill this buffer with what `source` holds from `start` on, and return it.

        Raises `ValueError` when `source` ends before this buffer is full.
        """
        if not 0 <= start <= len(source) - self._size:
            raise ValueError(
                f"secret: expected {self._size} octets from {start} on, got {len(source)} in all"
            )
        ffi.memmove(self.cdata, source.cdata + start, self._size)
        return self

    def equals(self, other: SecretBuffer) -> bool:
        """Compare with `other` in time that depends on the lengths alone."""
        same: int = lib.sodium_memcmp(self.cdata, other.cdata, self._size) if len(other) == self._size else -1
        return same == 0

    def reveal(self) -> bytes:
        """Copy the secret into `bytes`, which nothing can erase: never for an enclave."""
        return bytes(ffi.buffer(self.cdata, self._size))

    def wipe(self) -> None:
        """Zero the octets for good. Wiping twice is allowed; any later use raises `RuntimeError`."""
        if not self._wiped:
            lib.sodium_memzero(self._cdata, self._size)
            self._wiped = True

    def __del__(self) -> None:
        # A constructor that failed early has no buffer yet, and is still finalised.
        if not getattr(self, "_wiped", True):
            self.wipe()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._size} octets, hidden>"

    def __reduce__(self) -> Any:  # noqa: ANN401 - the base class says so
        raise TypeError("secrets are not pickled")

    def __copy__(self) -> Self:
        raise TypeError("secrets are not copied")

    def __deepcopy__(self, memo: object) -> Self:
        raise TypeError("secrets are not copied")


class Secret32(SecretBuffer):
    """A secret of 32 octets; the base of every symmetric key, each purpose its own type."""

    __slots__ = ()

    SIZE = 32

    def __init__(self, size: int = SIZE) -> None:
        if size != self.SIZE:
            raise ValueError(f"key size: expected {self.SIZE}, got {size}")
        super().__init__(size)

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh random key."""
        return cls.random(cls.SIZE)

    @classmethod
    def from_bytes(cls, raw: bytes | bytearray | memoryview) -> Self:
        """Take a key of 32 octets over; a writable `raw` is zeroed."""
        return cls.take(raw, cls.SIZE)
