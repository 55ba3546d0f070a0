"""Typed values out of a policy's TOML: each function returns what it names or raises `MalformedError`."""

import re
from collections.abc import Collection

from sealroom.core.errors import MalformedError

_HEX = re.compile(r"[0-9a-f]*")
_HEX_NUMBER = re.compile(r"0x[0-9a-f]{1,16}")


def as_text(value: object, name: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise MalformedError(f"policy {name}: expected a string")
    return value


def as_texts(value: object, name: str) -> frozenset[str]:
    """Return the distinct strings of a list; a repeated one is refused as the slip that it is."""
    if not isinstance(value, list):
        raise MalformedError(f"policy {name}: expected a list of strings")
    texts = frozenset(as_text(item, name) for item in value)
    if len(texts) != len(value):
        raise MalformedError(f"policy {name}: one value stands twice")
    return texts


def as_choices(value: object, choices: Collection[str], name: str) -> frozenset[str]:
    """Return the strings of a list, each of which must be one of `choices`."""
    texts = as_texts(value, name)
    if unknown := sorted(texts - set(choices)):
        raise MalformedError(f"policy {name}: {unknown[0]!r} is none of {', '.join(choices)}")
    return texts


def as_number(value: object, name: str, *, maximum: int = 2**31 - 1) -> int:
    """Return a whole number from 0 to `maximum`; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise MalformedError(f"policy {name}: expected a number from 0 to {maximum}")
    return value


def as_boolean(value: object, name: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise MalformedError(f"policy {name}: expected true or false")
    return value


def as_hex(value: object, name: str, *, sizes: Collection[int]) -> bytes:
    """Return bytes, as many as one of `sizes`, written in lower-case hexadecimal."""
    text = as_text(value, name)
    if len(text) not in [2 * size for size in sizes] or _HEX.fullmatch(text) is None:
        raise MalformedError(
            f"policy {name}: expected {' or '.join(str(2 * size) for size in sizes)} lower-case hex digits"
        )
    return bytes.fromhex(text)


def as_hex_number(value: object, name: str) -> int:
    """Return a number written as a string such as `0x5`."""
    text = as_text(value, name)
    if _HEX_NUMBER.fullmatch(text) is None:
        raise MalformedError(f"policy {name}: expected a string such as 0x5")
    return int(text, 16)


def as_table(value: object, members: tuple[str, ...], name: str) -> dict[str, object]:
    """Return a table that has exactly `members`."""
    if not isinstance(value, dict) or set(value) != set(members):
        raise MalformedError(f"policy {name}: expected a table with exactly {', '.join(members)}")
    return value
