"""A Gramine manifest as a value: strict reading, and writing in exactly the form of Gramine's own tools.

The measured bytes are the bytes of the file, so there is one writer and its form never changes: the form of
`tomli_w`, which Gramine's signer uses. What the writer makes, the signer leaves as it is.

Spec: docs/spec/manifest.md, "The form of the file".
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sealroom.core.errors import MalformedError

TomlValue: TypeAlias = str | int | bool | Sequence["TomlValue"] | Mapping[str, "TomlValue"]

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_ENCLAVE_BYTES = 1 << 40
MAX_THREADS = 4096

_INDENT = "    "
_MAX_INLINE_LINE = 100
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,12})([KMG]?)")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_ESCAPES = {"\b": "\\b", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_ESCAPED = re.compile(r'[\x00-\x08\x0a-\x1f\x7f"\\]')


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveSettings:
    """The three keys of a manifest that shape the enclave's memory."""

    enclave_size: int
    max_threads: int
    edmm_enable: bool


def parse_manifest(raw: bytes) -> dict[str, object]:
    """Parse a manifest; raises `MalformedError` for anything but bounded, valid TOML in UTF-8."""
    if len(raw) > MAX_MANIFEST_BYTES:
        raise MalformedError(f"manifest size: got {len(raw)}, expected at most {MAX_MANIFEST_BYTES} bytes")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise MalformedError("manifest: not valid TOML in UTF-8") from exc


def enclave_settings(manifest: Mapping[str, object]) -> EnclaveSettings:
    """Return the settings that shape the enclave's memory, which a signed manifest always spells out.

    Raises `MalformedError` where one is missing, or is a value that Gramine refuses to start with.
    """
    sgx = manifest.get("sgx")
    if not isinstance(sgx, dict):
        raise MalformedError("sgx: expected a table")
    size, threads, edmm = sgx.get("enclave_size"), sgx.get("max_threads"), sgx.get("edmm_enable")
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= MAX_THREADS:
        raise MalformedError(f"sgx.max_threads: expected a number from 1 to {MAX_THREADS}")
    if not isinstance(edmm, bool):
        raise MalformedError("sgx.edmm_enable: expected true or false")
    return EnclaveSettings(enclave_size=parse_size(size), max_threads=threads, edmm_enable=edmm)


def parse_size(value: object) -> int:
    """Return the bytes of `sgx.enclave_size`; raises `MalformedError` for one that Gramine refuses."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise MalformedError("sgx.enclave_size: expected a string such as 256M or 16G")
    size = int(match[1]) * _UNITS[match[2]]
    if size == 0 or size & (size - 1) or size > MAX_ENCLAVE_BYTES:
        raise MalformedError(f"sgx.enclave_size: got {value}, expected a power of two of at most 1024G")
    return size


def write_manifest(manifest: Mapping[str, TomlValue]) -> bytes:
    """Return the one file that says what `manifest` says, keys in its order."""
    return "".join(_table(manifest, name="", in_array=False)).encode("utf-8")


def _table(table: Mapping[str, TomlValue], *, name: str, in_array: bool) -> Iterator[str]:
    """Yield a table: its plain values first, then its sub-tables with a blank line before each."""
    values: list[tuple[str, TomlValue]] = []
    tables: list[tuple[str, Mapping[str, TomlValue], bool]] = []
    for key, value in table.items():
        rows = _long_tables(value)
        if isinstance(value, Mapping):
            tables.append((key, value, False))
        elif rows:
            tables.extend((key, row, True) for row in rows)
        else:
            values.append((key, value))
    started = in_array or bool(name and (values or not tables))
    if started:
        yield f"[[{name}]]\n" if in_array else f"[{name}]\n"
    for key, value in values:
        started = True
        yield f"{_key(key)} = {_literal(value)}\n"
    for key, row, row_in_array in tables:
        if started:
            yield "\n"
        started = True
        yield from _table(row, name=f"{name}.{_key(key)}" if name else _key(key), in_array=row_in_array)


def _long_tables(value: TomlValue) -> list[Mapping[str, TomlValue]]:
    """Return the rows of an array that is written as `[[blocks]]`, because one is too long for a line."""
    if isinstance(value, (str, int, Mapping)):
        return []
    rows = [row for row in value if isinstance(row, Mapping)]
    if len(rows) != len(value):
        return []
    return [] if all(_fits_a_line(row) for row in rows) else rows


def _fits_a_line(row: Mapping[str, TomlValue]) -> bool:
    line = f"{_INDENT}{_inline_table(row)},"
    return len(line) <= _MAX_INLINE_LINE and "\n" not in line


def _literal(value: TomlValue, depth: int = 0) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return _inline_table(value)
    if not value:
        return "[]"
    lines = ",\n".join(_INDENT * (depth + 1) + _literal(item, depth + 1) for item in value)
    return f"[\n{lines},\n{_INDENT * depth}]"


def _inline_table(row: Mapping[str, TomlValue]) -> str:
    if not row:
        return "{}"
    return "{ " + ", ".join(f"{_key(key)} = {_literal(value)}" for key, value in row.items()) + " }"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else quoted(key)


def quoted(text: str) -> str:
    """Return `text` as a string of TOML."""
    return '"' + _ESCAPED.sub(lambda m: _ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", text) + '"'
