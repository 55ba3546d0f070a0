"""The form that all measured arguments share: the interpreter's, then items, each ended by NUL.

Spec: docs/spec/arguments.md, "The file". Must never skip, reorder or repair an item.
"""

import re
from collections.abc import Iterator, Sequence

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import MAX_NUMBER, check_at_most

INTERPRETER_ARGUMENTS = ("python3", "-I", "-S", "-B", "/sealroom/start.py")

_NUMBER = re.compile(r"0|[1-9][0-9]*")


class Items:
    """A cursor over items that refuses whatever is not next, and more than `most` of them."""

    def __init__(self, items: Sequence[str], *, most: int) -> None:
        if len(items) > most:
            raise MalformedError(f"arguments: got {len(items)} items, expected at most {most}")
        self._items = items
        self._next = 0

    def literal(self, item: str) -> None:
        """Take exactly `item`."""
        if self._peek() != item:
            raise MalformedError(f"arguments: item {self._next}: expected {item}")
        self._next += 1

    def value(self, name: str) -> str:
        """Take the item `name=…` and return what follows the sign."""
        item = self._peek()
        if item is None or not item.startswith(f"{name}="):
            raise MalformedError(f"arguments: item {self._next}: expected {name}=")
        self._next += 1
        return item[len(name) + 1 :]

    def values(self, name: str) -> Iterator[str]:
        """Take items `name=…` as long as there are some."""
        while (item := self._peek()) is not None and item.startswith(f"{name}="):
            yield self.value(name)

    def number(self, name: str) -> int:
        """Take the item `name=…` whose value is a number."""
        digits = self.value(name)
        if len(digits) > len(str(MAX_NUMBER)) or _NUMBER.fullmatch(digits) is None:
            raise MalformedError(f"{name}: expected a decimal number without leading zero")
        return int(digits)

    def compare(self, again: Sequence[str]) -> None:
        """Refuse items after the last, and any second spelling that a field's parser might let through."""
        if tuple(again) != tuple(self._items):
            raise MalformedError("arguments: not in the one accepted encoding")

    def _peek(self) -> str | None:
        return self._items[self._next] if self._next < len(self._items) else None


def item_bytes(items: Sequence[str]) -> bytes:
    """Return `items` as they stand in the measured file, each ended by one NUL."""
    return b"".join(item.encode("ascii") + b"\0" for item in items)


def write_items(items: Sequence[str]) -> bytes:
    """Return the measured file: the interpreter's arguments, then `items`."""
    return item_bytes(INTERPRETER_ARGUMENTS) + item_bytes(items)


def read_items(raw: bytes, *, max_bytes: int) -> list[str]:
    """Return the items of a measured file after the interpreter's arguments, not yet understood."""
    check_at_most(raw, field="arguments", max_bytes=max_bytes)
    start = item_bytes(INTERPRETER_ARGUMENTS)
    if not raw.startswith(start):
        raise MalformedError(f"arguments: expected to begin with {' '.join(INTERPRETER_ARGUMENTS)}")
    if not raw.endswith(b"\0"):
        raise MalformedError("arguments: the last item is not ended by NUL")
    try:
        text = raw[len(start) : -1].decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("arguments: expected ASCII alone") from exc
    return text.split("\0")
