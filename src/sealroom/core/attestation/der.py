"""Strict DER, as far as certificates, revocation lists and the PCK extension need it.

Definite, minimal lengths and low tag numbers only; every container is consumed exactly. Never repairs,
never guesses. Specification: docs/spec/quotes.md, "Certificates".
"""

from __future__ import annotations

from datetime import datetime

from sealroom.core.errors import MalformedError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

_MAX_LENGTH_OCTETS = 3

Element = tuple[int, int, int]
"""One element: its tag, where its content starts, and where it stops."""


def elements(data: bytes, start: int, stop: int, name: str) -> list[Element]:
    """Cut `data[start:stop]` into its elements, exactly. One pass: a certificate is made of a hundred."""
    found: list[Element] = []
    while start < stop:
        content = start + 2
        if content > stop:
            raise MalformedError(f"{name}: truncated")
        length = data[start + 1]
        if length >= 0x80:
            content, length = _long_length(data, content, stop, name)
        end = content + length
        if end > stop:
            raise MalformedError(f"{name}: needs {length} bytes, {stop - content} left")
        found.append((data[start], content, end))
        start = end
    return found


def expected(data: bytes, start: int, stop: int, tags: bytes, name: str) -> list[Element]:
    """Cut `data[start:stop]` into elements that have exactly `tags`.

    No tag that is ever expected has the high form, so that one is refused here, too.
    """
    found = elements(data, start, stop, name)
    if bytes([element[0] for element in found]) != tags:
        tagged = " ".join(f"0x{tag:02x}" for tag, _, _ in found[: len(tags) + 1]) or "nothing"
        wanted = " ".join(f"0x{tag:02x}" for tag in tags)
        raise MalformedError(f"{name}: tag {tagged} where {wanted} is expected")
    return found


def _long_length(data: bytes, start: int, stop: int, name: str) -> tuple[int, int]:
    """Read a length whose first byte stands before `start`; return where the content starts, too."""
    octets = data[start - 1] & 0x7F
    end = start + octets
    if not 1 <= octets <= _MAX_LENGTH_OCTETS or end > stop:
        raise MalformedError(f"{name}: length is indefinite, too long or truncated")
    length = int.from_bytes(data[start:end], "big")
    if length < 0x80 or length >> (8 * (octets - 1)) == 0:
        raise MalformedError(f"{name}: length is not minimal")
    return end, length


def read_integer(content: bytes, name: str, *, max_bytes: int = 21) -> int:
    """Read the content of a non-negative INTEGER of at most `max_bytes`."""
    if not 1 <= len(content) <= max_bytes:
        raise MalformedError(f"{name}: integer of {len(content)} bytes, at most {max_bytes}")
    if content[0] & 0x80:
        raise MalformedError(f"{name}: negative integer")
    if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
        raise MalformedError(f"{name}: integer is not minimal")
    return int.from_bytes(content, "big")


def read_boolean(content: bytes, name: str) -> bool:
    """Read the content of a BOOLEAN in its only two DER forms."""
    if content not in (b"\x00", b"\xff"):
        raise MalformedError(f"{name}: boolean is neither 00 nor ff")
    return content == b"\xff"


def read_bits(content: bytes, name: str) -> bytes:
    """Read the content of a BIT STRING that is a whole number of bytes."""
    if content[:1] != b"\x00":
        raise MalformedError(f"{name}: bit string is not a whole number of bytes")
    return content[1:]


def read_time(tag: int, content: bytes, name: str, *, any_form: bool = False) -> datetime:
    """Read a time as RFC 5280 writes it: UTCTime through 2049, GeneralizedTime after.

    With `any_form` also a GeneralizedTime of an earlier year, which some makers of certificates write.
    """
    if tag == UTC_TIME:
        return _instant((b"19" if content[:1] >= b"5" else b"20") + content, name)
    if tag != GENERALIZED_TIME:
        raise MalformedError(f"{name}: tag 0x{tag:02x} where a time is expected")
    instant = _instant(content, name)
    if instant.year < 2050 and not any_form:
        raise MalformedError(f"{name}: generalized time before 2050")
    return instant


class DerReader:
    """A cursor over the content of one DER container."""

    __slots__ = ("_end", "_offset", "data")

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None) -> None:
        self.data = data
        self._offset = offset
        self._end = len(data) if end is None else end

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return self._offset == self._end

    def peek_tag(self) -> int | None:
        """Return the next tag, or `None` at the end."""
        return None if self.empty else self.data[self._offset]

    def finish(self, name: str) -> None:
        """Refuse bytes left over in the container called `name`."""
        if self._offset != self._end:
            raise MalformedError(f"{name}: {self._end - self._offset} bytes left over")

    def _expect(self, tag: int, name: str) -> tuple[int, int]:
        """Take one element with `tag`; return where its content starts and stops."""
        data, offset, end = self.data, self._offset, self._end
        start = offset + 2
        if start > end:
            raise MalformedError(f"{name}: truncated")
        # No tag that is ever expected has the high form, so that one is refused here, too.
        if data[offset] != tag:
            raise MalformedError(f"{name}: tag 0x{data[offset]:02x} where 0x{tag:02x} is expected")
        length = data[offset + 1]
        if length >= 0x80:
            start, length = _long_length(data, start, end, name)
        stop = start + length
        if stop > end:
            raise MalformedError(f"{name}: needs {length} bytes, {end - start} left")
        self._offset = stop
        return start, stop

    def content(self, tag: int, name: str) -> bytes:
        """Take one element with `tag` and return its content."""
        start, stop = self._expect(tag, name)
        return self.data[start:stop]

    def whole(self, tag: int, name: str) -> bytes:
        """Take one element with `tag` and return it with its header, as received."""
        begin = self._offset
        _, stop = self._expect(tag, name)
        return self.data[begin:stop]

    def inside(self, tag: int, name: str) -> DerReader:
        """Take one constructed element with `tag` and return a reader of its content."""
        start, stop = self._expect(tag, name)
        return DerReader(self.data, start, stop)

    def integer(self, name: str, *, tag: int = INTEGER, max_bytes: int = 21) -> int:
        """Take a non-negative INTEGER (or ENUMERATED) of at most `max_bytes` content bytes."""
        return read_integer(self.content(tag, name), name, max_bytes=max_bytes)

    def boolean(self, name: str) -> bool:
        """Take a BOOLEAN in its only two DER forms."""
        return read_boolean(self.content(BOOLEAN, name), name)

    def bits(self, name: str) -> bytes:
        """Take a BIT STRING that is a whole number of bytes."""
        return read_bits(self.content(BIT_STRING, name), name)

    def time(self, name: str, *, any_form: bool = False) -> datetime:
        """Take a time: see `read_time`."""
        tag = UTC_TIME if self.peek_tag() == UTC_TIME else GENERALIZED_TIME
        return read_time(tag, self.content(tag, name), name, any_form=any_form)


def _instant(text: bytes, name: str) -> datetime:
    digits = text[:-1]
    if len(text) != 15 or text[-1:] != b"Z" or not digits.isdigit():
        raise MalformedError(f"{name}: time is not digits to the second and Z")
    # Later versions of Python take 24 hours for the next day's midnight.
    if digits[8:10] > b"23":
        raise MalformedError(f"{name}: no such time")
    try:
        return datetime.fromisoformat(f"{digits[:8].decode()}T{digits[8:].decode()}Z")
    except ValueError as exc:
        raise MalformedError(f"{name}: no such time") from exc


def object_identifier(dotted: str) -> bytes:
    """Encode `dotted` as the content of an OBJECT IDENTIFIER, for comparing with received bytes."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    encoded = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return bytes(encoded)
