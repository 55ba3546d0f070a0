"""A wheel's zip, read as hostile input: regular files that lie one after the other, and nothing else.

An own small reader, because it must refuse rather than interpret: what two readers could understand in two
ways is not accepted. Sizes are bounded before anything is unpacked; memory stays constant.

Spec: docs/spec/packages.md, "The archive".
"""

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from sealroom.core.errors import MalformedError
from sealroom.core.wire.names import check_path

MAX_WHEEL_BYTES = 1 << 30
MAX_UNPACKED_BYTES = 2 << 30
MAX_ENTRIES = 16_384

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MAGIC, _CENTRAL_MAGIC, _LOCAL_MAGIC = b"PK\5\6", b"PK\1\2", b"PK\3\4"
_MAX_DIRECTORY_BYTES = 16 << 20
_UTF8 = 0x800
# Two bits say how hard the writer tried to compress.
_KNOWN_FLAGS = _UTF8 | 0x6
_STORED, _DEFLATED = 0, 8
_UNIX = 3
# Zip64 sizes, a second name, and what some tools encrypt by.
_REFUSED_EXTRAS = {0x0001, 0x7075, 0x9901}
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEntry:
    """One regular file of the archive: its checked path, and where and how its contents lie."""

    path: str
    size: int
    crc: int
    deflated: bool
    start: int
    stored_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the directory says of one entry, and its local header must repeat."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    stored_size: int
    size: int
    offset: int
    mode: int


def read_entries(file: IO[bytes]) -> tuple[ZipEntry, ...]:
    """Return the files of a zip in the order of their bytes; folders are checked and left out.

    Raises `MalformedError` for anything but one archive of regular files, whose entries fill it from the
    first byte to its directory.
    """
    start, headers = _read_directory(file)
    entries: list[ZipEntry] = []
    folders: set[str] = set()
    end = unpacked = 0
    for header in headers:
        path = _path(header)
        unpacked += header.size
        if unpacked > MAX_UNPACKED_BYTES:
            raise MalformedError(f"archive: expected at most {MAX_UNPACKED_BYTES} bytes unpacked")
        contents = _check_local(file, header, path, expected_at=end)
        end = contents + header.stored_size
        if path.endswith("/"):
            folders.add(path.rstrip("/"))
            continue
        entries.append(
            ZipEntry(
                path=path,
                size=header.size,
                crc=header.crc,
                deflated=header.method == _DEFLATED,
                start=contents,
                stored_size=header.stored_size,
            )
        )
    if end != start:
        raise MalformedError("archive: bytes that belong to no entry")
    _check_paths(entries, folders)
    return tuple(entries)


def read_contents(file: IO[bytes], entry: ZipEntry) -> Iterator[bytes]:
    """Yield the contents of one file in pieces.

    Raises `MalformedError`, after what was yielded, unless they have the size and the checksum that stand in
    the directory. Whoever uses the pieces before the end uses what was not checked yet.
    """
    file.seek(entry.start)
    size = crc = 0
    for piece in _inflated(file, entry) if entry.deflated else _stored(file, entry):
        size += len(piece)
        if size > entry.size:
            break
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != entry.size:
        raise MalformedError(f"archive: {entry.path}: other than the {entry.size} bytes of the directory")
    if crc != entry.crc:
        raise MalformedError(f"archive: {entry.path}: wrong checksum")


def _read_directory(file: IO[bytes]) -> tuple[int, tuple[_Header, ...]]:
    length = file.seek(0, os.SEEK_END)
    if not _END.size <= length <= MAX_WHEEL_BYTES:
        raise MalformedError(f"archive: got {length} bytes, expected {_END.size} to {MAX_WHEEL_BYTES}")
    file.seek(length - _END.size)
    magic, disk, start_disk, here, count, size, start, comment = _END.unpack(file.read(_END.size))
    if magic != _END_MAGIC or comment:
        raise MalformedError("archive: does not end with the end record of a zip")
    if disk or start_disk or here != count or count > MAX_ENTRIES:
        raise MalformedError(f"archive: expected one disk with at most {MAX_ENTRIES} entries")
    if start + size != length - _END.size or size > _MAX_DIRECTORY_BYTES:
        raise MalformedError("archive: the directory does not end where the end record begins")
    file.seek(start)
    return start, tuple(_parse_directory(file.read(size), count))


def _parse_directory(raw: bytes, count: int) -> Iterator[_Header]:
    at = 0
    for _ in range(count):
        if len(raw) < at + _CENTRAL.size:
            raise MalformedError("archive: the directory is cut off")
        magic, made_by, _, flags, method, _, _, crc, stored, size, names, extras, comment, disk, *rest = (
            _CENTRAL.unpack_from(raw, at)
        )
        _, mode, offset = rest
        at += _CENTRAL.size
        if magic != _CENTRAL_MAGIC or disk or comment:
            raise MalformedError("archive: a directory entry that cannot be read, or with a comment")
        if len(raw) < at + names + extras:
            raise MalformedError("archive: the directory is cut off")
        name = raw[at : at + names]
        _check_extras(raw[at + names : at + names + extras])
        at += names + extras
        yield _Header(
            raw_name=name,
            flags=flags,
            method=method,
            crc=crc,
            stored_size=stored,
            size=size,
            offset=offset,
            mode=mode >> 16 if made_by >> 8 == _UNIX else 0,
        )
    if at != len(raw):
        raise MalformedError("archive: something follows the last entry of the directory")


def _path(header: _Header) -> str:
    """Return an entry's path, with a slash at its end for a folder, or refuse the entry."""
    try:
        name = header.raw_name.decode("utf-8" if header.flags & _UTF8 else "ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("archive: a path that is neither ASCII nor said to be UTF-8") from exc
    check_path(name.removesuffix("/"), field="archive: path")
    if "\\" in name:
        raise MalformedError("archive: path: a backslash")
    if header.flags & ~_KNOWN_FLAGS:
        raise MalformedError(f"archive: {name}: encrypted, or sizes that follow the contents")
    if header.method not in (_STORED, _DEFLATED):
        raise MalformedError(f"archive: {name}: compressed by method {header.method}, expected 0 or 8")
    if header.method == _STORED and header.stored_size != header.size:
        raise MalformedError(f"archive: {name}: stored, and of two sizes")
    is_folder = name.endswith("/")
    if stat.S_IFMT(header.mode) not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise MalformedError(f"archive: {name}: expected regular files only, got a link or a device")
    if is_folder and header.size:
        raise MalformedError(f"archive: {name}: a folder with contents")
    return name


def _check_local(file: IO[bytes], header: _Header, path: str, *, expected_at: int) -> int:
    """Compare an entry's local header with the directory, and return where its contents begin."""
    if header.offset != expected_at:
        raise MalformedError(f"archive: {path}: does not begin where the entry before it ends")
    file.seek(header.offset)
    raw = file.read(_LOCAL.size + len(header.raw_name))
    if len(raw) < _LOCAL.size:
        raise MalformedError(f"archive: {path}: its header is cut off")
    magic, _, flags, method, _, _, crc, stored, size, names, extras = _LOCAL.unpack_from(raw)
    same = (flags, method, crc, stored, size, names) == (
        header.flags, header.method, header.crc, header.stored_size, header.size, len(header.raw_name),
    )  # fmt: skip
    if magic != _LOCAL_MAGIC or not same or raw[_LOCAL.size :] != header.raw_name:
        raise MalformedError(f"archive: {path}: its own header differs from the directory")
    _check_extras(file.read(extras))
    return header.offset + len(raw) + int(extras)


def _check_extras(raw: bytes) -> None:
    while raw:
        if len(raw) < 4 or len(raw) < 4 + struct.unpack_from("<H", raw, 2)[0]:
            raise MalformedError("archive: an extra field that is cut off")
        kind, length = struct.unpack_from("<2H", raw)
        if kind in _REFUSED_EXTRAS:
            raise MalformedError("archive: an extra field that changes sizes or names")
        raw = raw[4 + length :]


def _check_paths(entries: list[ZipEntry], folders: set[str]) -> None:
    paths = {entry.path for entry in entries}
    if len(paths) != len(entries):
        raise MalformedError("archive: one path stands twice")
    parents = folders | {parent for path in paths for parent in parent_folders(path)}
    if both := sorted(paths & parents):
        raise MalformedError(f"archive: {both[0]}: a file and a folder")


def parent_folders(path: str) -> Iterator[str]:
    """Yield every folder above a path."""
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _stored(file: IO[bytes], entry: ZipEntry) -> Iterator[bytes]:
    left = entry.stored_size
    while left and (piece := file.read(min(left, _BLOCK))):
        left -= len(piece)
        yield piece


def _inflated(file: IO[bytes], entry: ZipEntry) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for raw in _stored(file, entry):
            if unpacker.eof:
                raise MalformedError(f"archive: {entry.path}: bytes after the end of its contents")
            yield from _unpacked(unpacker, raw)
    except zlib.error as exc:
        raise MalformedError(f"archive: {entry.path}: cannot be unpacked") from exc
    if not unpacker.eof:
        raise MalformedError(f"archive: {entry.path}: its contents are cut off")
    if unpacker.unused_data:
        raise MalformedError(f"archive: {entry.path}: bytes after the end of its contents")


def _unpacked(unpacker: "zlib._Decompress", raw: bytes) -> Iterator[bytes]:
    """Unpack what `raw` holds, never more than one block at a time."""
    while True:
        piece = unpacker.decompress(raw, _BLOCK)
        yield piece
        raw = unpacker.unconsumed_tail
        # A full block may not have been all that was ready.
        if unpacker.eof or (not raw and len(piece) < _BLOCK):
            return
