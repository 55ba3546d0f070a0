"""Which files of a wheel an enclave gets, as a pure function of the wheel's bytes.

The server unpacks by it, and each client lists by it: both come to the same files, or the manifests differ.
Must never: place a file by anything but these rules, or place one that was not checked against `RECORD`.

Spec: docs/spec/packages.md, "The wheel".
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.module_names import RESERVED_MODULES
from sealroom.core.measurement.wheel_record import (
    MAX_METADATA_BYTES,
    METADATA,
    RECORD,
    WHEEL,
    RecordedFile,
    parse_identity,
    parse_record,
)
from sealroom.core.measurement.zip_archive import ZipEntry, parent_folders, read_contents, read_entries

Sink = Callable[[str, Iterator[bytes]], None]
"""Takes one file: its place below `packages/`, and its contents, which it must read to the end.

What it was given counts only once `unpack_wheel` has returned.
"""

RULES = 2
"""The rules of this module, as a number: another one wherever they place a file otherwise."""

_DIST_INFO, _DATA = ".dist-info", ".data"
_DATA_FOLDERS = ("purelib", "platlib")
# Tests, and what is for a compiler or an installer, which are processes: an enclave starts none.
_LEFT_OUT_FOLDERS = frozenset(("tests", "distutils", "_pyinstaller", "__pyinstaller", "_examples"))
_LEFT_OUT_NAMES = frozenset(("conftest.py", "meson.build"))
_LEFT_OUT_SUFFIXES = frozenset(
    (".pyi", ".pyx", ".pxd", ".pxi", ".c", ".cc", ".cpp", ".h", ".hpp", ".f", ".f90", ".a", ".pc")
)
_PATH_FILE, _COMPILED, _CACHE = ".pth", ".pyc", "__pycache__"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """One file of a wheel that an enclave gets: its place below `packages/`, and what is in it."""

    path: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedWheel:
    """Who a wheel is, and its files, in the order of their places."""

    name: str
    version: str
    tags: tuple[str, ...]
    files: tuple[PackageFile, ...]


def list_wheel(file: IO[bytes]) -> UnpackedWheel:
    """Return what a wheel is and which files an enclave gets of it; raises `MalformedError`."""
    return unpack_wheel(file, _drop)


def unpack_wheel(file: IO[bytes], sink: Sink) -> UnpackedWheel:
    """Hand each file that an enclave gets to `sink`, and return the list.

    1. The archive is one of regular files, by sizes that were bounded before.
    2. Name, version and tags are the same wherever they stand.
    3. `RECORD` names every file and no other.
    4. Every file has a place of its own, is left out, or the wheel is refused.
    5. Every file, also one that is left out, is what `RECORD` says.

    Raises `MalformedError`, naming the file.
    """
    entries = {entry.path: entry for entry in read_entries(file)}
    folder = _own_folder(entries)
    identity = parse_identity(
        folder=folder,
        wheel=_read_small(file, entries, f"{folder}/{WHEEL}"),
        metadata=_read_small(file, entries, f"{folder}/{METADATA}"),
    )
    record_path = f"{folder}/{RECORD}"
    recorded = parse_record(_read_small(file, entries, record_path), own_path=record_path)
    _check_recorded(entries, recorded, record_path)
    places = {path: _place(path, folder) for path in recorded}
    _check_places([place for place in places.values() if place is not None])
    files = []
    for path, said in recorded.items():
        place = places[path]
        _take(file, entries[path], said, place, sink)
        if place is not None:
            files.append(PackageFile(path=place, size=said.size, sha256=said.sha256))
    return UnpackedWheel(
        name=identity.name,
        version=identity.version,
        tags=identity.tags,
        files=tuple(sorted(files, key=lambda placed: placed.path.encode())),
    )


def _own_folder(entries: Mapping[str, ZipEntry]) -> str:
    tops = {path.partition("/")[0] for path in entries if "/" in path}
    found = sorted(top for top in tops if top.endswith(_DIST_INFO))
    if len(found) != 1:
        raise MalformedError(f"wheel: got {len(found)} folders named {_DIST_INFO}, expected one")
    return found[0]


def _read_small(file: IO[bytes], entries: Mapping[str, ZipEntry], path: str) -> bytes:
    entry = entries.get(path)
    if entry is None:
        raise MalformedError(f"wheel: {path} is missing")
    if entry.size > MAX_METADATA_BYTES:
        raise MalformedError(f"wheel: {path}: got {entry.size} bytes, expected at most {MAX_METADATA_BYTES}")
    return b"".join(read_contents(file, entry))


def _check_recorded(
    entries: Mapping[str, ZipEntry], recorded: Mapping[str, RecordedFile], record_path: str
) -> None:
    unknown = sorted(entries.keys() - recorded.keys() - {record_path})
    if unknown:
        raise MalformedError(f"wheel: {unknown[0]}: not named by RECORD")
    missing = sorted(recorded.keys() - entries.keys())
    if missing:
        raise MalformedError(f"RECORD: names {missing[0][:200]!r}, which is not in the wheel")


def _place(path: str, own_folder: str) -> str | None:
    """Return where a file belongs below `packages/`, `None` for nowhere, or refuse the wheel."""
    top, _, below = path.partition("/")
    if top == own_folder:
        return path if below == METADATA else None
    if top.endswith(_DATA) and below:
        if top != own_folder.removesuffix(_DIST_INFO) + _DATA:
            raise MalformedError(f"wheel: {path}: in the data folder of another wheel")
        kind, _, path = below.partition("/")
        if kind not in _DATA_FOLDERS or not path:
            raise MalformedError(
                f"wheel: {top}/{below}: scripts, headers and data have no place in an enclave"
            )
    _check_place(path)
    parts = path.split("/")
    return None if _is_left_out(parts) else path


def _is_left_out(parts: list[str]) -> bool:
    *folders, name = parts
    return (
        not _LEFT_OUT_FOLDERS.isdisjoint(folders)
        or name in _LEFT_OUT_NAMES
        or PurePosixPath(name).suffix in _LEFT_OUT_SUFFIXES
    )


def _check_place(path: str) -> None:
    parts = path.split("/")
    if parts[0].endswith((_DIST_INFO, _DATA)):
        raise MalformedError(f"wheel: {path}: speaks for another wheel")
    if len(parts) == 1 and path.endswith(_PATH_FILE):
        raise MalformedError(f"wheel: {path}: a {_PATH_FILE} file runs code at every start")
    if path.endswith(_COMPILED) or _CACHE in parts:
        raise MalformedError(f"wheel: {path}: compiled Python says nothing about its source")
    module = parts[0].partition(".")[0] if len(parts) == 1 else parts[0]
    if module in RESERVED_MODULES:
        raise MalformedError(f"wheel: {path}: the module {module} is the standard library's or sealroom's")


def _check_places(places: list[str]) -> None:
    """Refuse two files for one place, which only the data folder makes possible."""
    known = set(places)
    if len(known) != len(places):
        twice = next(place for place in sorted(known) if places.count(place) > 1)
        raise MalformedError(f"wheel: {twice}: two files for one place")
    if both := sorted(known & {folder for place in places for folder in parent_folders(place)}):
        raise MalformedError(f"wheel: {both[0]}: a file and a folder at one place")


def _take(file: IO[bytes], entry: ZipEntry, said: RecordedFile, place: str | None, sink: Sink) -> None:
    """Read one file to its end, through the sink if it has a place, and compare it with `RECORD`."""
    if entry.size != said.size:
        raise MalformedError(f"wheel: {entry.path}: {entry.size} bytes, RECORD says {said.size}")
    digest = hashlib.sha256()

    def contents() -> Iterator[bytes]:
        for piece in read_contents(file, entry):
            digest.update(piece)
            yield piece

    (_drop if place is None else sink)(place or entry.path, contents())
    if digest.digest() != said.sha256:
        raise MalformedError(
            f"wheel: {entry.path}: sha256 {digest.hexdigest()}, RECORD says {said.sha256.hex()}"
        )


def _drop(_: str, contents: Iterator[bytes]) -> None:
    for _piece in contents:
        pass
