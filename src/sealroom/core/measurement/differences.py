"""Why two manifests are measured differently, down to the file and the setting.

What is said here is for a reader; equality is of bytes, and decided elsewhere.

Spec: docs/spec/manifest.md, "Differences".
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.manifest import parse_manifest

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILES = "sgx.trusted_files"


class Change(Enum):
    """What happened to one thing between two manifests."""

    CHANGED = "changed"
    ONLY_FIRST = "only in the first"
    ONLY_SECOND = "only in the second"
    MOVED = "same content, other path"
    ORDER = "other order"
    FORM = "written differently"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference. `name` is a URI for a file, else a dotted key; the values are the manifests' own."""

    change: Change
    name: str
    is_file: bool = False
    first: str | None = None
    second: str | None = None


def manifest_differences(first: bytes, second: bytes) -> tuple[Difference, ...]:
    """Return how two signed manifests differ, settings first; nothing exactly if they are the same bytes.

    Raises `MalformedError` unless both list their trusted files with digests, each once.
    """
    ours, theirs = parse_manifest(first), parse_manifest(second)
    files, other_files = trusted_digests(ours), trusted_digests(theirs)
    found = [*_setting_differences(ours, theirs), *_file_differences(files, other_files)]
    if not found and list(files) != list(other_files):
        at = next(a for a, b in zip(files, other_files, strict=True) if a != b)
        found = [Difference(change=Change.ORDER, name=at, is_file=True)]
    if not found and first != second:
        found = [Difference(change=Change.FORM, name="the file")]
    return tuple(found)


def trusted_digests(manifest: Mapping[str, object]) -> dict[str, str]:
    """Return the digest of each measured file by its URI; raises `MalformedError` for any other form."""
    sgx = manifest.get("sgx")
    rows = sgx.get("trusted_files") if isinstance(sgx, dict) else None
    if not isinstance(rows, list):
        raise MalformedError(f"{_FILES}: expected a list of files")
    files: dict[str, str] = {}
    for row in rows:
        if not isinstance(row, dict) or set(row) != {"uri", "sha256"}:
            raise MalformedError(f"{_FILES}: expected tables of uri and sha256")
        uri, digest = row["uri"], row["sha256"]
        if not isinstance(uri, str) or not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
            raise MalformedError(f"{_FILES}: expected a uri and 64 lower-case hex digits")
        if uri in files:
            raise MalformedError(f"{_FILES}: {uri} stands twice")
        files[uri] = digest
    return files


def flattened(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every value but the measured files under its dotted name; lists item by item."""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if name == _FILES:
            continue
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{name}.")
        elif isinstance(value, list):
            yield from ((f"{name} {item!r}", True) for item in value)
        else:
            yield name, value


def _setting_differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[Difference]:
    first, second = dict(flattened(ours)), dict(flattened(theirs))
    for name in sorted(first.keys() | second.keys()):
        if name not in second:
            yield Difference(change=Change.ONLY_FIRST, name=name, first=repr(first[name]))
        elif name not in first:
            yield Difference(change=Change.ONLY_SECOND, name=name, second=repr(second[name]))
        elif first[name] != second[name] or type(first[name]) is not type(second[name]):
            yield Difference(
                change=Change.CHANGED, name=name, first=repr(first[name]), second=repr(second[name])
            )


def _file_differences(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Difference]:
    moved = dict(_moved(first, second))
    targets = set(moved.values())
    for uri in sorted(first.keys() | second.keys()):
        if uri in moved:
            yield Difference(change=Change.MOVED, name=uri, is_file=True, first=first[uri], second=moved[uri])
        elif uri in targets:
            continue
        elif uri not in second:
            yield Difference(change=Change.ONLY_FIRST, name=uri, is_file=True, first=first[uri])
        elif uri not in first:
            yield Difference(change=Change.ONLY_SECOND, name=uri, is_file=True, second=second[uri])
        elif first[uri] != second[uri]:
            yield Difference(
                change=Change.CHANGED, name=uri, is_file=True, first=first[uri], second=second[uri]
            )


def _moved(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of URIs of one file that stands under another path; only where there is one answer."""
    gone = {uri: digest for uri, digest in first.items() if uri not in second}
    new = {uri: digest for uri, digest in second.items() if uri not in first}
    before = Counter(_identity(uri, digest) for uri, digest in gone.items())
    after = Counter(_identity(uri, digest) for uri, digest in new.items())
    places = {_identity(uri, digest): uri for uri, digest in new.items()}
    for uri, digest in gone.items():
        identity = _identity(uri, digest)
        if before[identity] == after[identity] == 1:
            yield uri, places[identity]


def _identity(uri: str, digest: str) -> tuple[str, str]:
    return uri.rpartition("/")[2], digest
