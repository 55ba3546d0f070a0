"""Strict CBOR (RFC 8949), as far as tagged evidence needs it: numbers, strings, arrays, maps, one tag.

Definite lengths in their shortest form only; nothing recurses, so nothing can be nested deeply.
Specification: docs/spec/ra-tls.md, "Tagged evidence".
"""

from __future__ import annotations

from sealroom.core.errors import MalformedError

_UNSIGNED, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = 0, 2, 3, 4, 5, 6
# Additional information 24 to 27: so many bytes of number follow.
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}


class CborReader:
    """A cursor over the bytes of one encoded item."""

    __slots__ = ("_data", "_offset", "name")

    def __init__(self, data: bytes, *, name: str) -> None:
        self._data = data
        self._offset = 0
        self.name = name

    def unsigned(self) -> int:
        """Take a number from 0."""
        return self._head(_UNSIGNED)

    def byte_string(self) -> bytes:
        """Take a byte string."""
        return self._take(self._head(_BYTES))

    def text(self, *, max_bytes: int) -> str:
        """Take a text of at most `max_bytes` in UTF-8."""
        size = self._head(_TEXT)
        if size > max_bytes:
            raise MalformedError(f"{self.name}: text of {size} bytes, at most {max_bytes}")
        try:
            return self._take(size).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise MalformedError(f"{self.name}: text is not UTF-8") from exc

    def string(self) -> bytes:
        """Take a byte string or a text, as bytes."""
        at_text = self._offset < len(self._data) and self._data[self._offset] >> 5 == _TEXT
        return self._take(self._head(_TEXT if at_text else _BYTES))

    def array(self, length: int) -> None:
        """Enter an array of exactly `length` items."""
        found = self._head(_ARRAY)
        if found != length:
            raise MalformedError(f"{self.name}: array of {found} items, expected {length}")

    def map(self, *, max_pairs: int) -> int:
        """Enter a map and return its number of pairs."""
        found = self._head(_MAP)
        if found > max_pairs:
            raise MalformedError(f"{self.name}: map of {found} pairs, at most {max_pairs}")
        return found

    def tag(self, number: int) -> None:
        """Take the tag `number`."""
        found = self._head(_TAG)
        if found != number:
            raise MalformedError(f"{self.name}: tag {found}, expected {number}")

    def finish(self) -> None:
        """Refuse bytes left over."""
        if self._offset != len(self._data):
            raise MalformedError(f"{self.name}: {len(self._data) - self._offset} bytes left over")

    def _head(self, kind: int) -> int:
        first = self._take(1)[0]
        if first >> 5 != kind:
            raise MalformedError(f"{self.name}: cbor of kind {first >> 5} where {kind} is expected")
        short = first & 0x1F
        if short < 24:
            return short
        if short not in _SIZES:
            raise MalformedError(f"{self.name}: length is indefinite or reserved")
        number = int.from_bytes(self._take(_SIZES[short]), "big")
        if number < (24 if short == 24 else 1 << 4 * _SIZES[short]):
            raise MalformedError(f"{self.name}: number is not in its shortest form")
        return number

    def _take(self, size: int) -> bytes:
        end = self._offset + size
        if end > len(self._data):
            raise MalformedError(f"{self.name}: truncated, {size} bytes wanted at {self._offset}")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken
