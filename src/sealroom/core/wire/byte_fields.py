"""Fixed-size fields, labelled hashes and hexadecimal: the rules that every byte format here shares.

Must never repair a value: one spelling is accepted, the rest is refused.
"""

import hashlib
import re
from enum import Enum
from typing import TypeVar

from sealroom.core.errors import MalformedError

DIGEST_SIZE = 32
KEY_SIZE = 32
SIGNATURE_SIZE = 64
# The largest length or count anywhere: what a signed 64-bit database column still holds.
MAX_NUMBER = 2**63 - 1

_HEX = re.compile(r"[0-9a-f]*")
_E = TypeVar("_E", bound=Enum)


def labelled_digest(label: str, *parts: bytes) -> bytes:
    """Hash `parts` under a versioned label, so that no two formats can ever hash the same bytes.

    Every part must have a fixed length or carry its own: this function adds none.
    """
    state = hashlib.sha256(label_bytes(label))
    for part in parts:
        state.update(part)
    return state.digest()


def label_bytes(label: str) -> bytes:
    """Return the label as it is hashed or signed: ASCII, ended by one NUL."""
    return label.encode("ascii") + b"\0"


def sha256(data: bytes) -> bytes:
    """Return the plain SHA-256 of one whole file, key or message."""
    return hashlib.sha256(data).digest()


def u16(value: int) -> bytes:
    """Return `value` as two bytes, big-endian."""
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    """Return `value` as four bytes, big-endian."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """Return `value` as eight bytes, big-endian."""
    return value.to_bytes(8, "big")


def check_size(value: bytes, *, field: str, size: int) -> None:
    """Refuse `value` unless it is exactly `size` bytes long."""
    if len(value) != size:
        raise MalformedError(f"{field}: got {len(value)} bytes, expected {size}")


def check_at_most(raw: bytes, *, field: str, max_bytes: int) -> None:
    """Refuse `raw` when it is longer than `max_bytes`."""
    if len(raw) > max_bytes:
        raise MalformedError(f"{field}: got {len(raw)} bytes, expected at most {max_bytes}")


def check_number(value: int, *, field: str, minimum: int = 0, maximum: int = MAX_NUMBER) -> None:
    """Refuse `value` outside `minimum`..`maximum`."""
    if not minimum <= value <= maximum:
        raise MalformedError(f"{field}: expected a number from {minimum} to {maximum}")


def parse_hex(text: str, *, field: str, size: int) -> bytes:
    """Decode exactly `size` bytes of lower-case hexadecimal."""
    if len(text) != 2 * size or _HEX.fullmatch(text) is None:
        raise MalformedError(f"{field}: expected {2 * size} lower-case hexadecimal digits")
    return bytes.fromhex(text)


def parse_choice(kind: type[_E], text: str, *, field: str) -> _E:
    """Return the member of `kind` whose value is `text`."""
    for member in kind:
        if member.value == text:
            return member
    allowed = ", ".join(str(member.value) for member in kind)
    raise MalformedError(f"{field}: expected one of {allowed}")
