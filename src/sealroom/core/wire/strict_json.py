r"""JSON with exactly one encoding of each value, for messages that get signed, hashed or compared.

The encoding: ASCII, no white space, members in the order that the format's page lists, numbers as plain
decimal integers, other characters as lower-case ``\uXXXX``. A parser reads, builds its value, serialises
it again and compares (`check_canonical`): so a second encoding of one value cannot exist.

Must never let an exception of the JSON module escape: for any bytes a value or `MalformedError`.
"""

import base64
import binascii
import json
import re
from typing import NoReturn

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import MAX_NUMBER, check_at_most, parse_hex

JsonValue = None | bool | int | str | list["JsonValue"] | dict[str, "JsonValue"]

# Brackets, braces and commas outside strings: more than the largest receipt has. Without this bound a message
# of 64 MiB could be made of empty arrays, which take some twenty times as much memory.
MAX_STRUCTURE = 2**18

# A string, or its beginning at the end of the input: one that is never ended must not be looked for again.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_MAX_DIGITS = len(str(MAX_NUMBER))
_TOO_MANY_DIGITS = b"0" * (_MAX_DIGITS + 1)
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)


def encode_json(value: JsonValue) -> bytes:
    """Serialise `value` in the one accepted encoding; members stand in the order of the dict."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def decode_json(raw: bytes, *, field: str, max_bytes: int) -> JsonValue:
    """Parse `raw`, refusing duplicate members, fractions, huge numbers and anything over `max_bytes`."""
    check_at_most(raw, field=field, max_bytes=max_bytes)
    # Counting with the strings is quicker and never less; few inputs come so far that strings must go first.
    crowded = len(raw) > MAX_STRUCTURE and _marks(raw) > MAX_STRUCTURE
    if crowded and _marks(_STRING.sub(b"", raw)) > MAX_STRUCTURE:
        raise MalformedError(f"{field}: more than {MAX_STRUCTURE} brackets, braces and commas")
    try:
        text = raw.decode("ascii")
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            # A Python call for each number is a third of the time: only where some number may be too long.
            parse_int=_small_integer if _TOO_MANY_DIGITS in raw.translate(_DIGITS_AS_ZEROS) else None,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as exc:
        raise MalformedError(f"{field}: not JSON in the one accepted encoding") from exc
    return value


def _marks(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{") + raw.count(b",")


def check_canonical(raw: bytes, again: bytes, *, field: str) -> None:
    """Refuse `raw` unless it is `again`, the serialisation of the value that was read from it."""
    if raw != again:
        raise MalformedError(f"{field}: not in the one accepted encoding")


def members(value: JsonValue, names: tuple[str, ...], *, field: str) -> tuple[JsonValue, ...]:
    """Return the members of an object that has exactly `names`, in that order."""
    if not isinstance(value, dict) or tuple(value) != names:
        raise MalformedError(f"{field}: expected an object with exactly {', '.join(names)}, in this order")
    return tuple(value.values())


def array(value: JsonValue, *, field: str, max_items: int) -> list[JsonValue]:
    """Return the items of an array that has at most `max_items`."""
    if not isinstance(value, list):
        raise MalformedError(f"{field}: expected an array")
    if len(value) > max_items:
        raise MalformedError(f"{field}: got {len(value)} items, expected at most {max_items}")
    return value


def text(value: JsonValue, *, field: str, max_chars: int = 4096) -> str:
    """Return a string of at most `max_chars` characters that UTF-8 can express."""
    if not isinstance(value, str):
        raise MalformedError(f"{field}: expected a string")
    if len(value) > max_chars:
        raise MalformedError(f"{field}: got {len(value)} characters, expected at most {max_chars}")
    if value.isascii():
        return value
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise MalformedError(f"{field}: not Unicode text") from exc
    return value


def integer(value: JsonValue, *, field: str, maximum: int = MAX_NUMBER) -> int:
    """Return an integer from 0 to `maximum`; true and false are not integers."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise MalformedError(f"{field}: expected a number from 0 to {maximum}")
    return value


def hex_bytes(value: JsonValue, *, field: str, size: int) -> bytes:
    """Return `size` bytes written as lower-case hexadecimal."""
    return parse_hex(text(value, field=field, max_chars=2 * size), field=field, size=size)


def base64_bytes(value: JsonValue, *, field: str, max_bytes: int) -> bytes:
    """Return at most `max_bytes` written as padded standard base64."""
    encoded = text(value, field=field, max_chars=4 * ((max_bytes + 2) // 3))
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError(f"{field}: not base64") from exc
    check_at_most(decoded, field=field, max_bytes=max_bytes)
    return decoded


def base64_text(data: bytes) -> str:
    """Return `data` as padded standard base64."""
    return base64.b64encode(data).decode("ascii")


def _without_duplicates(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members_by_name = dict(pairs)
    if len(members_by_name) != len(pairs):
        raise MalformedError("json: an object names one member twice")
    return members_by_name


def _small_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise MalformedError("json: a number has too many digits")
    return int(digits)


def _refuse_number(digits: str) -> NoReturn:
    raise MalformedError("json: only integers are numbers here")
