"""Packages on this machine: what is in them, and a runtime staged from them by its bill of materials.

What for: the runtime inside SGX is made of published packages, not of what a host has installed. Nothing is
installed and nothing of a package is run.

Must never: write a file that the bill does not name, or read a package before its digest was compared.
Spec: docs/spec/runtime-bill.md.
"""

import hashlib
import io
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sealroom.adapters.hashing import hash_files
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.library_archive import library_archive
from sealroom.core.measurement.runtime_bill import (
    PackageKind,
    RuntimeArchive,
    RuntimeBill,
    RuntimePackage,
)
from sealroom.core.measurement.zip_archive import read_contents, read_entries

MAX_PACKAGE_BYTES = 256 << 20
MAX_MEMBER_BYTES = 256 << 20

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_SIZE = 60
_AR_END = b"`\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageMember:
    """One file of a package, or a link: then `target` is the path in the package that it leads to."""

    path: str
    content: bytes
    target: str | None = None


def read_package(raw: bytes, kind: PackageKind) -> Iterator[PackageMember]:
    """Yield the files and links of a package; raises `MalformedError` for one that cannot be read."""
    return _read_deb(raw) if kind is PackageKind.DEB else _read_wheel(raw)


def read_control(raw: bytes) -> str:
    """Return what a Debian package says of itself: deb-control(5)."""
    name, archive = _part_of_deb(raw, "control.tar")
    for member in _read_tar(name, archive):
        if member.path == "control":
            return member.content.decode("utf-8", "replace")
    raise MalformedError("package: it says nothing of itself")


def stage_runtime(bill: RuntimeBill, *, packages: Path, target: Path) -> None:
    """Write the files of a bill below `target`, a new folder, out of the packages in a folder.

    Raises `VerificationError` where a package or a file of it is missing, and `MalformedError` for a package
    that cannot be read. The folder is then removed: one that is there is whole.
    """
    found = find_packages(bill.packages, packages)
    partial = target.with_name(f"{target.name}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    modules: dict[str, bytes] = {}
    try:
        for package in bill.packages:
            files = [file for file in bill.files if file.package == package.name]
            archived = [module for module in bill.modules if module.package == package.name]
            contents = _contents(package, found[package.name], {row.sha256 for row in (*files, *archived)})
            for file in files:
                _write(partial / file.path, contents[file.sha256])
            modules |= {module.path: contents[module.sha256] for module in archived}
        if bill.archive is not None:
            _write(partial / bill.archive.path, _made(bill.archive, modules))
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def find_packages(packages: Sequence[RuntimePackage], folder: Path) -> Mapping[str, Path]:
    """Find each package's file in a folder by its digest; raises `VerificationError` for those not there."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".deb", ".whl") and path.is_file())
    by_digest = dict(zip(hash_files(files), files, strict=True))
    lacking = [f"{p.name} {p.version} {p.architecture}" for p in packages if p.sha256 not in by_digest]
    if lacking:
        raise VerificationError(f"runtime: {folder}: no package with the digest of {', '.join(lacking)}")
    return {package.name: by_digest[package.sha256] for package in packages}


def _contents(package: RuntimePackage, path: Path, wanted: set[bytes]) -> Mapping[bytes, bytes]:
    """Return what a package has of the wanted digests, which must be all of them."""
    raw = path.read_bytes()
    if hashlib.sha256(raw).digest() != package.sha256:
        raise VerificationError(f"runtime: {path.name} changed while it was read")
    # By digest alone: where a file lay in its package is of no consequence.
    found = {
        digest: member.content
        for member in read_package(raw, package.kind)
        if (digest := hashlib.sha256(member.content).digest()) in wanted
    }
    if missing := wanted - found.keys():
        raise VerificationError(f"runtime: {path.name} has no file with the digest {min(missing).hex()}")
    return found


def _made(archive: RuntimeArchive, modules: Mapping[str, bytes]) -> bytes:
    made = library_archive(modules)
    if (digest := hashlib.sha256(made).digest()) != archive.sha256:
        raise VerificationError(
            f"runtime: {archive.path} of the bill's modules has sha256 {digest.hex()}, "
            f"the bill says {archive.sha256.hex()}"
        )
    return made


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o555 if path.parent.name == "bin" or ".so" in path.name else 0o444)


def _read_deb(raw: bytes) -> Iterator[PackageMember]:
    return _read_tar(*_part_of_deb(raw, "data.tar"))


def _read_tar(name: str, archive: bytes) -> Iterator[PackageMember]:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            for entry in tar:
                yield from _tar_member(tar, entry)
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as exc:
        raise MalformedError(f"package: {name} cannot be read") from exc


def _tar_member(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[PackageMember]:
    path = entry.name.removeprefix("./")
    if entry.issym():
        folder = [] if entry.linkname.startswith("/") else path.split("/")[:-1]
        yield PackageMember(path=path, content=b"", target=_resolved(folder, entry.linkname))
    elif entry.isreg():
        if entry.size > MAX_MEMBER_BYTES:
            raise MalformedError(f"package: {path}: larger than {MAX_MEMBER_BYTES} bytes")
        file = tar.extractfile(entry)
        yield PackageMember(path=path, content=b"" if file is None else file.read())


def _resolved(folder: list[str], link: str) -> str:
    parts = list(folder)
    for part in link.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _part_of_deb(raw: bytes, part: str) -> tuple[str, bytes]:
    """Return name and bytes of the part whose name begins with `part`: deb(5), ar(5)."""
    if not raw.startswith(_AR_MAGIC) or len(raw) > MAX_PACKAGE_BYTES:
        raise MalformedError("package: not a Debian package, or too large")
    at = len(_AR_MAGIC)
    while at < len(raw):
        header = raw[at : at + _AR_HEADER_SIZE]
        name, size = header[:16].decode("ascii", "replace").rstrip(" /"), header[48:58].strip()
        if len(header) != _AR_HEADER_SIZE or header[58:] != _AR_END or not size.isdigit():
            raise MalformedError("package: a part of it has no header")
        at += _AR_HEADER_SIZE
        if name.startswith(part):
            return name, raw[at : at + int(size)]
        # Parts begin at even places.
        at += int(size) + int(size) % 2
    raise MalformedError(f"package: no part is called {part}")


def _read_wheel(raw: bytes) -> Iterator[PackageMember]:
    file = io.BytesIO(raw)
    for entry in read_entries(file):
        yield PackageMember(path=entry.path, content=b"".join(read_contents(file, entry)))
