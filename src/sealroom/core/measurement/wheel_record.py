"""What a wheel says of itself: its `RECORD`, `WHEEL` and `METADATA`, each read strictly and small.

Spec: docs/spec/packages.md, "The wheel".
"""

import base64
import binascii
import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.requirements import normal_name
from sealroom.core.wire.byte_fields import DIGEST_SIZE

RECORD, WHEEL, METADATA = "RECORD", "WHEEL", "METADATA"
MAX_METADATA_BYTES = 8 << 20

_DIGEST_PREFIX = "sha256="
_WHEEL_VERSION = re.compile(r"1\.[0-9]{1,3}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,11}")
_MAX_TAGS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """What `RECORD` says of one file."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelIdentity:
    """Name in normal form, version, and tags, each `python-abi-system`."""

    name: str
    version: str
    tags: tuple[str, ...]


def parse_record(raw: bytes, *, own_path: str) -> Mapping[str, RecordedFile]:
    """Return what a `RECORD` says of each file but itself; raises `MalformedError` for any other form."""
    try:
        rows = list(csv.reader(_text(raw, RECORD).splitlines(), strict=True))
    except csv.Error as exc:
        raise MalformedError("RECORD: not a table") from exc
    files: dict[str, RecordedFile] = {}
    own_rows = 0
    for row in rows:
        if len(row) != 3:
            raise MalformedError("RECORD: expected rows of path, hash and size")
        path, digest, size = row
        if path == own_path:
            own_rows += 1
            continue
        if path in files:
            raise MalformedError(f"RECORD: {path[:200]!r} stands twice")
        files[path] = _recorded(path, digest, size)
    if own_rows != 1:
        raise MalformedError(f"RECORD: names itself {own_rows} times, expected once")
    return files


def parse_identity(*, folder: str, wheel: bytes, metadata: bytes) -> WheelIdentity:
    """Return who a wheel is, by its two files and the name of their folder, which must all agree.

    `folder` is `<name>-<version>.dist-info`.
    """
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    said = _fields(metadata, METADATA)
    found = _one(said, "Name", METADATA), _one(said, "Version", METADATA)
    if normal_name(found[0]) != normal_name(name) or found[1] != version:
        raise MalformedError(f"METADATA: of {found[0]} {found[1]}, in the folder {folder}"[:300])
    lines = _fields(wheel, WHEEL)
    if _WHEEL_VERSION.fullmatch(_one(lines, "Wheel-Version", WHEEL)) is None:
        raise MalformedError("WHEEL: expected Wheel-Version 1.x")
    tags = tuple(tag for line in lines.get("Tag", ()) for tag in _expand(line))
    if not 1 <= len(tags) <= _MAX_TAGS:
        raise MalformedError(f"WHEEL: got {len(tags)} tags, expected 1 to {_MAX_TAGS}")
    return WheelIdentity(name=normal_name(name), version=version, tags=tags)


def _recorded(path: str, digest: str, size: str) -> RecordedFile:
    encoded = digest.removeprefix(_DIGEST_PREFIX)
    try:
        sha256 = base64.b64decode(f"{encoded}=", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        sha256 = b""
    if not digest.startswith(_DIGEST_PREFIX) or len(sha256) != DIGEST_SIZE or not _SIZE.fullmatch(size):
        raise MalformedError(f"RECORD: {path[:200]!r}: expected a size and sha256= with 43 characters")
    return RecordedFile(size=int(size), sha256=sha256)


def _expand(tag: str) -> list[str]:
    """Return the simple tags that a compressed one, such as `py2.py3-none-any`, stands for."""
    parts = [part.split(".") for part in tag.split("-")]
    if len(parts) != 3:
        raise MalformedError("WHEEL: a tag that is not python-abi-system")
    pythons, abis, systems = parts
    count = len(pythons) * len(abis) * len(systems)
    if count > _MAX_TAGS:
        raise MalformedError(f"WHEEL: got {count} tags, expected 1 to {_MAX_TAGS}")
    return [f"{python}-{abi}-{system}" for python in pythons for abi in abis for system in systems]


def _fields(raw: bytes, name: str) -> Mapping[str, list[str]]:
    """Return the header lines of a file, by their names; folded lines and the body are of no use here."""
    fields: dict[str, list[str]] = {}
    for line in _text(raw, name).splitlines():
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.setdefault(key, []).append(value.strip())
    return fields


def _one(fields: Mapping[str, list[str]], key: str, name: str) -> str:
    values = fields.get(key, [])
    if len(values) != 1 or not values[0]:
        raise MalformedError(f"{name}: got {len(values)} lines of {key}, expected one")
    return values[0]


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError(f"{name}: not UTF-8") from exc
