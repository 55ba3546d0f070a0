"""The Code Provider's tar, read as hostile input: regular files under checked paths, and nothing else.

An own small reader of ustar, with the two usual extensions for long paths, because it must refuse rather than
interpret: links, devices, folders, sparse files, sizes in other notations, repeated paths, more files or
bytes than the limits. Contents go to a sink chunk by chunk; memory stays constant. Spec:
docs/spec/code-archive.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from sealroom.core.errors import MalformedError
from sealroom.core.wire.names import check_path

BLOCK: Final = 512
CHUNK: Final = 256 * 1024
# Longer than any path that is accepted; what is longer cannot be one.
MAX_EXTENSION: Final = 64 * 1024

_REGULAR: Final = (b"0", b"\0")
_PAX: Final = b"x"
_GNU_LONG_NAME: Final = b"L"
_KINDS: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a named pipe",
    b"g": "a global header",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """How many files, and how many bytes of contents, an archive may have."""

    max_files: int
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One regular file: its path as the archive names it, checked, and its size."""

    path: str
    size: int


def read_archive(
    source: BinaryIO, limits: ArchiveLimits, sink: Callable[[Entry, Iterator[bytes]], None]
) -> None:
    """Hand every file of the tar to `sink`, which must read all of it, in the archive's order.

    Raises `MalformedError` for anything but a whole archive of regular files within `limits`.
    """
    seen: set[str] = set()
    total = 0
    long_name: str | None = None
    while (header := _read_header(source)) is not None:
        size = _octal(header[124:136], field="archive: size")
        kind = header[156:157]
        if kind in (_PAX, _GNU_LONG_NAME):
            if long_name is not None:
                raise MalformedError("archive: two long names for one file")
            long_name = _read_long_name(source, kind, size)
            continue
        if kind not in _REGULAR:
            what = _KINDS.get(kind, "something unknown")
            raise MalformedError(f"archive: expected regular files only, got {what}")
        entry = Entry(path=long_name or _path(header), size=size)
        long_name = None
        check_path(entry.path, field="archive: path")
        total += size
        if entry.path in seen:
            raise MalformedError("archive: one path stands twice")
        seen.add(entry.path)
        if len(seen) > limits.max_files:
            raise MalformedError(f"archive: expected at most {limits.max_files} files")
        if total > limits.max_bytes:
            raise MalformedError(f"archive: expected at most {limits.max_bytes} bytes of files")
        sink(entry, _contents(source, size))
    if long_name is not None:
        raise MalformedError("archive: a long name without its file")


def write_header(path: str, size: int) -> bytes:
    """Return the tar header of a regular file as this server hands archives out: no times, no owners."""
    name = path.encode()
    extension = b""
    if len(name) > 100:
        extension = _plain_header(b"././@LongLink", len(name) + 1, _GNU_LONG_NAME) + _padded(name + b"\0")
    return extension + _plain_header(name[:100], size, _REGULAR[0])


def padding(size: int) -> bytes:
    """Return what follows a file's contents up to the next block."""
    return bytes(-size % BLOCK)


END_OF_ARCHIVE: Final = bytes(2 * BLOCK)


def _read_header(source: BinaryIO) -> bytes | None:
    block = source.read(BLOCK)
    if block == bytes(BLOCK):
        _check_end(source)
        return None
    if len(block) != BLOCK:
        raise MalformedError("archive: cut off before its end")
    # The checksum counts its own field as spaces.
    expected = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    if _octal(block[148:156], field="archive: checksum") != expected:
        raise MalformedError("archive: a header with a wrong checksum")
    if block[257:262] != b"ustar":
        raise MalformedError("archive: expected the ustar format")
    return block


def _check_end(source: BinaryIO) -> None:
    while chunk := source.read(CHUNK):
        if chunk.strip(b"\0"):
            raise MalformedError("archive: something follows its end")


def _octal(raw: bytes, *, field: str) -> int:
    digits = raw.rstrip(b"\0 ").lstrip(b" ")
    if not digits or digits.strip(b"01234567"):
        raise MalformedError(f"{field}: expected octal digits")
    return int(digits, 8)


def _path(header: bytes) -> str:
    name = header[0:100].split(b"\0", 1)[0]
    # The prefix is POSIX's; in GNU's header the same bytes hold times.
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _read_long_name(source: BinaryIO, kind: bytes, size: int) -> str | None:
    if size > MAX_EXTENSION:
        raise MalformedError(f"archive: an extension of {size} bytes, expected at most {MAX_EXTENSION}")
    body = b"".join(_contents(source, size))
    return _text(body.rstrip(b"\0")) if kind == _GNU_LONG_NAME else _pax_path(body)


def _pax_path(body: bytes) -> str | None:
    path: str | None = None
    while body:
        length, _, _ = body.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not len(length) + 1 < int(length) <= len(body):
            raise MalformedError("archive: an extended header that cannot be read")
        record, body = body[len(length) + 1 : int(length)], body[int(length) :]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise MalformedError("archive: an extended header that cannot be read")
        if key in (b"size", b"linkpath") or key.startswith(b"GNU.sparse"):
            raise MalformedError("archive: an extended header that changes size or kind")
        if key == b"path":
            path = _text(value[:-1])
    return path


def _contents(source: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = source.read(min(left, CHUNK))
        if not chunk:
            raise MalformedError("archive: cut off inside a file")
        left -= len(chunk)
        yield chunk
    rest = -size % BLOCK
    if len(source.read(rest)) != rest:
        raise MalformedError("archive: cut off inside a file")


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedError("archive: a path that is not UTF-8") from exc


def _plain_header(name: bytes, size: int, kind: bytes) -> bytes:
    fields = (
        name.ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        b"%011o\0" % size,
        b"%011o\0" % 0,
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\x0000",
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _padded(body: bytes) -> bytes:
    return body + padding(len(body))
