"""The bill of materials of the runtime inside SGX: every file of it, and the package it is from.

A bill comes from the verifier's own installation or from a file that its user names, never from a server:
whoever writes it decides which interpreter is believed.

Spec: docs/spec/runtime-bill.md.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.template import GRAMINE_FOLDER, RUNTIME_FOLDER, MeasuredFile
from sealroom.core.wire.names import check_path

MAX_BILL_BYTES = 4 << 20
MAX_NAMED_DIFFERENCES = 12

_FIRST_LINE = "sealroom runtime bill 1"
_WORD = re.compile(r"[A-Za-z0-9.+~:_-]{1,128}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOLDERS = (f"{RUNTIME_FOLDER}/", f"{GRAMINE_FOLDER}/")


class PackageKind(Enum):
    """In which form a package is published."""

    DEB = "deb"
    WHEEL = "wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimePackage:
    """One package that the runtime is made of; `sha256` is that of the package's own file."""

    kind: PackageKind
    name: str
    version: str
    architecture: str
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFile:
    """One file of the runtime: its path in the launch folder, its digest, and the name of its package."""

    path: str
    sha256: bytes
    package: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeArchive:
    """The modules that the interpreter imports from one file: the file as it is measured, and what is in it.

    The paths of `modules` are those in the archive.
    """

    path: str
    sha256: bytes
    modules: tuple[RuntimeFile, ...]


@dataclass(frozen=True, slots=True)
class RuntimeBill:
    """A whole bill. Cannot exist but in the one order, with every file's package in it, and used."""

    packages: tuple[RuntimePackage, ...]
    files: tuple[RuntimeFile, ...]
    archive: RuntimeArchive | None = None

    def __post_init__(self) -> None:
        names = [package.name for package in self.packages]
        paths = [file.path for file in self.files]
        if names != sorted(set(names)) or not names:
            raise MalformedError("runtime bill: packages are not sorted by name, each once")
        if paths != sorted(set(paths), key=str.encode) or not paths:
            raise MalformedError("runtime bill: files are not sorted by path, each once")
        if unlike := set(names) ^ {file.package for file in (*self.files, *self.modules)}:
            raise MalformedError(f"runtime bill: {min(unlike)}: a package without files, or files without it")
        for package in self.packages:
            _check_package(package)
        for file in self.files:
            _check_path(file.path)
        if self.archive is not None:
            _check_archive(self.archive, paths)

    @property
    def modules(self) -> tuple[RuntimeFile, ...]:
        """What is in the archive."""
        return () if self.archive is None else self.archive.modules

    @property
    def measured(self) -> tuple[MeasuredFile, ...]:
        """The files as a manifest names them, the archive as one."""
        files = tuple(MeasuredFile(path=file.path, sha256=file.sha256) for file in self.files)
        if self.archive is None:
            return files
        return (*files, MeasuredFile(path=self.archive.path, sha256=self.archive.sha256))

    def to_bytes(self) -> bytes:
        """Return the one encoding of this bill."""
        lines = [_FIRST_LINE]
        lines += [
            f"package {p.kind.value} {p.name} {p.version} {p.architecture} {p.sha256.hex()}"
            for p in self.packages
        ]
        lines += [f"file {f.sha256.hex()} {f.package} {f.path}" for f in self.files]
        if self.archive is not None:
            lines.append(f"archive {self.archive.sha256.hex()} {self.archive.path}")
        lines += [f"module {m.sha256.hex()} {m.package} {m.path}" for m in self.modules]
        return "".join(f"{line}\n" for line in lines).encode()


def parse_runtime_bill(raw: bytes) -> RuntimeBill:
    """Parse a bill; raises `MalformedError` for anything but its one encoding."""
    if len(raw) > MAX_BILL_BYTES:
        raise MalformedError(f"runtime bill size: got {len(raw)}, expected at most {MAX_BILL_BYTES} bytes")
    try:
        first, *lines = raw.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise MalformedError("runtime bill: not UTF-8") from exc
    if first != _FIRST_LINE:
        raise MalformedError(f"runtime bill: got the first line {first[:80]!r}, expected {_FIRST_LINE!r}")
    packages = [line for line in lines if line.startswith("package ")]
    files = [line for line in lines if line.startswith("file ")]
    bill = RuntimeBill(tuple(map(_package, packages)), tuple(map(_file, files)), _archive(lines))
    # One comparison refuses every other line, order, spacing and ending.
    if bill.to_bytes() != raw:
        raise MalformedError("runtime bill: not in its one form: another line, order, space or ending")
    return bill


def check_runtime(received: Sequence[MeasuredFile], bill: RuntimeBill) -> None:
    """Compare the runtime in a manifest with the bill.

    Raises `VerificationError` that names the files which differ, with the packages that they should be from.
    """
    versions = {package.name: package.version for package in bill.packages}
    origins = {file.path: f"of {file.package} {versions[file.package]}" for file in bill.files}
    ours = {file.path: file.sha256 for file in bill.measured}
    theirs = {file.path: file.sha256 for file in received}
    named = list(_differences(ours, theirs, origins))
    if len(named) > MAX_NAMED_DIFFERENCES:
        named[MAX_NAMED_DIFFERENCES:] = [f"and {len(named) - MAX_NAMED_DIFFERENCES} more differences"]
    if named:
        raise VerificationError(f"runtime: {'; '.join(named)}")


def _differences(
    ours: Mapping[str, bytes], theirs: Mapping[str, bytes], origins: Mapping[str, str]
) -> Iterator[str]:
    for path in sorted(ours.keys() | theirs.keys()):
        if path not in ours:
            yield f"{path} is in it, and not in the bill of materials"
            continue
        origin = origins.get(path, "of the standard library's modules")
        if path not in theirs:
            yield f"{path} {origin} is missing"
        elif theirs[path] != ours[path]:
            yield f"{path} has sha256 {theirs[path].hex()}, expected {ours[path].hex()} {origin}"


def _archive(lines: Sequence[str]) -> RuntimeArchive | None:
    modules = tuple(_file(line) for line in lines if line.startswith("module "))
    named = [line.split(" ", 2) for line in lines if line.startswith("archive ")]
    if len(named) != 1:
        # None, and then no modules; what is refused besides is refused by the comparison of the bytes.
        return None
    (fields,) = named
    if len(fields) != 3:
        raise MalformedError(f"runtime bill: an archive with {len(fields)} fields, expected 3")
    return RuntimeArchive(path=fields[2], sha256=_digest(fields[1]), modules=modules)


def _package(line: str) -> RuntimePackage:
    fields = line.split(" ")
    if len(fields) != 6:
        raise MalformedError(f"runtime bill: a package with {len(fields)} fields, expected 6")
    _, kind, name, version, architecture, digest = fields
    try:
        known = PackageKind(kind)
    except ValueError as exc:
        raise MalformedError(f"runtime bill: unknown kind of package {kind[:80]!r}") from exc
    return RuntimePackage(
        kind=known, name=name, version=version, architecture=architecture, sha256=_digest(digest)
    )


def _file(line: str) -> RuntimeFile:
    fields = line.split(" ", 3)
    if len(fields) != 4:
        raise MalformedError(f"runtime bill: a file with {len(fields)} fields, expected 4")
    _, digest, package, path = fields
    return RuntimeFile(path=path, sha256=_digest(digest), package=package)


def _check_package(package: RuntimePackage) -> None:
    for value in (package.name, package.version, package.architecture):
        if _WORD.fullmatch(value) is None:
            raise MalformedError(f"runtime bill: package: {value[:80]!r} is not a name, version or machine")


def _check_archive(archive: RuntimeArchive, taken: Sequence[str]) -> None:
    paths = [module.path for module in archive.modules]
    if paths != sorted(set(paths), key=str.encode) or not paths:
        raise MalformedError("runtime bill: modules are not sorted by path, each once")
    for path in paths:
        check_path(path, field="runtime bill: path in the archive")
    _check_path(archive.path)
    if archive.path in taken:
        raise MalformedError(f"runtime bill: {archive.path!r} is a file and the archive")


def _check_path(path: str) -> None:
    check_path(path, field="runtime bill: path")
    if not path.startswith(_FOLDERS):
        raise MalformedError(f"runtime bill: {path!r} is not under {' or '.join(_FOLDERS)}")


def _digest(text: str) -> bytes:
    if _DIGEST.fullmatch(text) is None:
        raise MalformedError("runtime bill: a digest is 64 lower-case hex digits")
    return bytes.fromhex(text)
