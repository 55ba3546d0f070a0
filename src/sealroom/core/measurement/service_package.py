"""The archive of a service: a tar that has one encoding for its members, written and read here.

A header is not interpreted but compared with the one that this module would have written. Must never accept
a second file for the same members. Spec: docs/spec/service-package.md, "The file".
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.service_config import MAX_CONFIG_BYTES, ServiceConfig
from sealroom.core.wire.bundle import MAX_SOURCE_BYTES
from sealroom.core.wire.code_list import REQUIREMENTS, SERVICE_FOLDER, CodeFile, ServiceCode
from sealroom.core.wire.names import check_path

CONFIG = "config.toml"
TESTS_FOLDER = "tests/"
MAX_PACKAGE_BYTES = 1 << 30
MAX_MEMBERS = 16_384

_BLOCK = 512
_READ = 1 << 18
_END = bytes(2 * _BLOCK)
_MAX_NAME, _MAX_PREFIX = 100, 155


class SeekableBinary(Protocol):
    """What a package is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a package, and where its contents lie in the archive."""

    path: str
    offset: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePackage:
    """What a package has; containers are not opened. `sha256` is the whole file's."""

    config: ServiceConfig
    requirements: bytes | None
    code: ServiceCode
    members: tuple[Member, ...]
    sha256: bytes

    def find(self, path: str) -> Member | None:
        """Return the member at `path`, or `None`."""
        return next((member for member in self.members if member.path == path), None)


def member_header(path: str, size: int) -> bytes:
    """Return the only header that a member can have: a regular ustar file, mode 0644, nobody's, of no time.

    Raises `MalformedError` for a path that ustar has no room for.
    """
    name, prefix = _split(path)
    header = bytearray(_BLOCK)
    fields = (
        (0, name),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"%011o\0" % size),
        (136, b"00000000000\0"),
        (148, b" " * 8),
        (156, b"0"),
        (257, b"ustar\00000"),
        (329, b"0000000\0"),
        (337, b"0000000\0"),
        (345, prefix),
    )
    for offset, value in fields:
        header[offset : offset + len(value)] = value
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def padding(size: int) -> bytes:
    """Return the zeros that follow contents of `size` bytes."""
    return bytes(-size % _BLOCK)


def end_of_package() -> bytes:
    """Return what ends a package."""
    return _END


def read_package(source: SeekableBinary) -> ServicePackage:
    """Read a package from its first byte; raises `MalformedError` for anything but its one encoding."""
    source.seek(0)
    digest = hashlib.sha256()
    members = tuple(_members(source, digest))
    paths = [member.path.encode() for member in members]
    if paths != sorted(set(paths)):
        raise MalformedError("package: members are not sorted by their bytes, each once")
    config = _whole(source, members, CONFIG, max_bytes=MAX_CONFIG_BYTES)
    if config is None:
        raise MalformedError(f"package: {CONFIG} is missing")
    return ServicePackage(
        config=ServiceConfig.from_toml(config),
        requirements=_whole(source, members, REQUIREMENTS, max_bytes=MAX_SOURCE_BYTES),
        code=_code(members),
        members=members,
        sha256=digest.digest(),
    )


def read_member(source: SeekableBinary, member: Member) -> Iterator[bytes]:
    """Give the contents of `member` in pieces."""
    source.seek(member.offset)
    left = member.size
    while left:
        piece = source.read(min(left, _READ))
        if not piece:
            raise MalformedError(f"package: {member.path}: ends early")
        left -= len(piece)
        yield piece


def _members(source: SeekableBinary, digest: "hashlib._Hash") -> Iterator[Member]:
    offset = count = 0
    while True:
        header = _read(source, _BLOCK, digest)
        if not any(header):
            break
        path, size = _understand(header)
        offset += _BLOCK
        count += 1
        if count > MAX_MEMBERS or offset + size > MAX_PACKAGE_BYTES:
            raise MalformedError(f"package: more than {MAX_MEMBERS} members or {MAX_PACKAGE_BYTES} bytes")
        contents = hashlib.sha256()
        for start in range(0, size, _READ):
            contents.update(_read(source, min(_READ, size - start), digest))
        if any(_read(source, -size % _BLOCK, digest)):
            raise MalformedError(f"package: {path}: not padded with zeros")
        yield Member(path=path, offset=offset, size=size, sha256=contents.digest())
        offset += size + -size % _BLOCK
    if any(_read(source, _BLOCK, digest)) or source.read(1):
        raise MalformedError("package: something follows its end")


def _understand(header: bytes) -> tuple[str, int]:
    """Read path and size of a header, and refuse it unless they have this very header."""
    try:
        prefix = header[345:500].rstrip(b"\0").decode("utf-8")
        name = header[:100].rstrip(b"\0").decode("utf-8")
        size = int(header[124:135], 8)
    except ValueError as exc:
        raise MalformedError("package: a header that cannot be read") from exc
    path = f"{prefix}/{name}" if prefix else name
    check_path(path, field="package: path")
    if path not in (CONFIG, REQUIREMENTS) and not path.startswith((SERVICE_FOLDER, TESTS_FOLDER)):
        raise MalformedError("package: a member that is neither configuration nor under src/ or tests/")
    if size < 0 or header != member_header(path, size):
        raise MalformedError(f"package: {path}: a header of another form")
    return path, size


def _code(members: tuple[Member, ...]) -> ServiceCode:
    measured = (member for member in members if member.path.startswith((SERVICE_FOLDER, REQUIREMENTS)))
    files = tuple(CodeFile(path=file.path, size=file.size, sha256=file.sha256) for file in measured)
    return ServiceCode.from_files(files)


def _whole(source: SeekableBinary, members: tuple[Member, ...], path: str, *, max_bytes: int) -> bytes | None:
    member = next((member for member in members if member.path == path), None)
    if member is None:
        return None
    if member.size > max_bytes:
        raise MalformedError(f"package: {path}: {member.size} bytes, at most {max_bytes}")
    return b"".join(read_member(source, member))


def _read(source: SeekableBinary, size: int, digest: "hashlib._Hash") -> bytes:
    pieces = io.BytesIO()
    while size:
        piece = source.read(size)
        if not piece:
            raise MalformedError("package: ends early")
        size -= len(piece)
        pieces.write(piece)
    whole = pieces.getvalue()
    digest.update(whole)
    return whole


def _split(path: str) -> tuple[bytes, bytes]:
    """Cut a path for ustar: whole where it fits, else at the first slash that leaves a name that fits."""
    encoded = path.encode("utf-8")
    if len(encoded) <= _MAX_NAME:
        return encoded, b""
    cut = encoded.find(b"/", len(encoded) - _MAX_NAME - 1)
    if not 0 < cut <= _MAX_PREFIX or cut == len(encoded) - 1:
        raise MalformedError(f"package: {path}: longer than an archive has room for")
    return encoded[cut + 1 :], encoded[:cut]
