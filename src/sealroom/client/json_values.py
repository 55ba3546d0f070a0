"""Reading JSON that somebody else wrote: each member by name and type, or `MalformedError`.

Must never: let a `KeyError` or `TypeError` of hostile input escape, or take one type for another.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from sealroom.core.errors import MalformedError

T = TypeVar("T")


class JsonObject:
    """A parsed JSON object whose members are read with the type that the reader expects."""

    __slots__ = ("_members", "what")

    def __init__(self, value: object, *, what: str) -> None:
        if not isinstance(value, dict):
            raise MalformedError(f"{what}: expected an object")
        self._members: dict[str, Any] = value
        self.what = what

    @classmethod
    def from_bytes(cls, raw: bytes, *, what: str) -> "JsonObject":
        """Parse `raw`, which must hold one JSON object."""
        return cls(parse_json(raw, what=what), what=what)

    @property
    def names(self) -> frozenset[str]:
        """The names of all members."""
        return frozenset(self._members)

    def check_names(self, *names: str) -> None:
        """Refuse a missing or an unknown member."""
        if self.names != frozenset(names):
            raise MalformedError(f"{self.what}: expected the members {', '.join(sorted(names))}")

    def text(self, name: str) -> str:
        """Read a string."""
        return self._typed(name, str)

    def number(self, name: str) -> int:
        """Read a whole number that is not negative."""
        value = self._typed(name, int)
        if isinstance(value, bool) or value < 0:
            raise MalformedError(f"{self.what}: {name} must be a whole number, not negative")
        return value

    def flag(self, name: str) -> bool:
        """Read true or false."""
        return self._typed(name, bool)

    def hexadecimal(self, name: str, *, length: int) -> bytes:
        """Read exactly `length` bytes in lower-case hex."""
        text = self.text(name)
        try:
            value = bytes.fromhex(text)
        except ValueError as error:
            raise MalformedError(f"{self.what}: {name} is not hexadecimal") from error
        if len(value) != length or value.hex() != text:
            raise MalformedError(f"{self.what}: {name} must be {2 * length} lower-case hex digits")
        return value

    def uuid(self, name: str) -> UUID:
        """Read a UUID in its canonical form."""
        text = self.text(name)
        try:
            value = UUID(text)
        except ValueError as error:
            raise MalformedError(f"{self.what}: {name} is not a uuid") from error
        if str(value) != text:
            raise MalformedError(f"{self.what}: {name} is not a canonical uuid")
        return value

    def time(self, name: str) -> datetime:
        """Read a moment in ISO 8601 with its offset, as UTC."""
        try:
            value = datetime.fromisoformat(self.text(name))
            if value.tzinfo is None:
                raise MalformedError(f"{self.what}: {name} has no time zone")
            return value.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise MalformedError(f"{self.what}: {name} is not a time") from error

    def member(self, name: str) -> "JsonObject":
        """Read an object."""
        return JsonObject(self._value(name), what=f"{self.what}: {name}")

    def items(self, name: str) -> tuple["JsonObject", ...]:
        """Read an array of objects."""
        values = self._typed(name, list)
        return tuple(JsonObject(value, what=f"{self.what}: {name}[{i}]") for i, value in enumerate(values))

    def anything(self, name: str) -> object:
        """Read a member of whatever type."""
        return self._value(name)

    def array(self, name: str) -> list[object]:
        """Read an array of anything."""
        return self._typed(name, list)

    def texts(self, name: str) -> tuple[str, ...]:
        """Read an array of strings."""
        values = self._typed(name, list)
        if not all(isinstance(value, str) for value in values):
            raise MalformedError(f"{self.what}: {name} must hold strings only")
        return tuple(values)

    def optional(self, name: str, read: Callable[[str], T]) -> T | None:
        """Read a member with `read` (a bound method of this object), or `None` for null or nothing."""
        if self._members.get(name) is None:
            return None
        return read(name)

    def _value(self, name: str) -> Any:  # noqa: ANN401 - JSON is any of six types
        if name not in self._members:
            raise MalformedError(f"{self.what}: {name} is missing")
        return self._members[name]

    def _typed(self, name: str, wanted: type[T]) -> T:
        value: object = self._value(name)
        if not isinstance(value, wanted):
            raise MalformedError(f"{self.what}: {name} has the wrong type")
        return value


def parse_json(raw: bytes, *, what: str) -> Any:  # noqa: ANN401 - JSON is any of six types
    """Parse UTF-8 JSON without repeated names, NaN or depth that exhausts the stack."""
    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=_distinct_members, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{what}: not valid JSON") from error


def _distinct_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
