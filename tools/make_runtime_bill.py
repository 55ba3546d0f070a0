"""Write the bill of materials of the runtime inside SGX, from Debian's packages and two wheels.

    python tools/make_runtime_bill.py PACKAGES -o sgx_runtime.bill [--download] [--gramine DEB]

PACKAGES is a folder with the packages' files; with `--download`, apt and pip put them there first, by the
sources that this machine is set up with. What is written depends on the packages' bytes alone.

Spec: docs/spec/runtime-bill.md.
"""

import argparse
import email.parser
import hashlib
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sealroom.adapters.gramine import GRAMINE_LIBRARIES
from sealroom.adapters.runtime_packages import read_control, read_package
from sealroom.core.measurement.library_archive import belongs_into_archive, library_archive
from sealroom.core.measurement.runtime_bill import (
    PackageKind,
    RuntimeArchive,
    RuntimeBill,
    RuntimeFile,
    RuntimePackage,
)
from sealroom.insecure.standard_library import is_measured_file, is_useful

INTERPRETER = "python3.11-minimal"
LIBRARY = ("libpython3.11-minimal", "libpython3.11-stdlib")
SHARED = (
    "libbz2-1.0", "libc6", "libexpat1", "libffi8", "libgcc-s1", "liblzma5", "libsqlite3-0",
    "libssl3", "libstdc++6", "libuuid1", "zlib1g",
)  # fmt: skip
WHEELS = ("pynacl", "cffi")
# What wheels for manylinux may expect beside what the interpreter itself needs: docs/spec/packages.md.
EXPECTED = (
    "libc.so.6", "libdl.so.2", "libexpat.so.1", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0",
    "libresolv.so.2", "librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1",
)  # fmt: skip

_PYTHON = "python3.11"
_WHEEL_PLATFORMS = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
)
_STDLIB = f"usr/lib/{_PYTHON}/"
_TARGET = f"runtime/lib/{_PYTHON}"
_ARCHIVE = "runtime/lib/python311.zip"
_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")
_GRAMINE_LIBRARIES = "/gramine/runtime/glibc/"
_LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB = 1, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One file that can be in the runtime."""

    package: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One package, with its files by their paths, links followed."""

    package: RuntimePackage
    files: Mapping[str, bytes]


def make_bill(packages: Path, *, gramine: Path | None = None, serves: bool = False) -> RuntimeBill:
    """Return the bill of the packages in a folder; `LookupError` for a package or library that is missing."""
    opened = {one.package.name: one for one in map(_open, _package_files(packages, gramine))}
    if lacking := {INTERPRETER, *LIBRARY, *SHARED, *WHEELS} - opened.keys():
        raise LookupError(f"{packages}: missing packages: {', '.join(sorted(lacking))}")
    chosen = dict(_own_files(opened, serves=serves))
    chosen |= _shared_libraries(chosen, opened)
    if gramine is not None:
        chosen |= _gramine_libraries(opened["gramine"])
    modules = {
        path.removeprefix(f"{_TARGET}/"): chosen.pop(path) for path in list(chosen) if _is_archived(path)
    }
    archive = RuntimeArchive(
        path=_ARCHIVE,
        sha256=hashlib.sha256(library_archive({path: m.raw for path, m in modules.items()})).digest(),
        modules=_rows(modules),
    )
    files = _rows(chosen)
    used = {file.package for file in (*files, *archive.modules)}
    rows = sorted((one.package for one in opened.values() if one.package.name in used), key=lambda p: p.name)
    return RuntimeBill(tuple(rows), files, archive)


def _rows(contents: Mapping[str, Content]) -> tuple[RuntimeFile, ...]:
    return tuple(
        RuntimeFile(path=path, sha256=hashlib.sha256(content.raw).digest(), package=content.package)
        for path, content in sorted(contents.items(), key=lambda item: item[0].encode())
    )


def _is_archived(path: str) -> bool:
    below = path.removeprefix(f"{_TARGET}/")
    return (
        below != path
        and not below.startswith("site-packages/")
        and belongs_into_archive(PurePosixPath(below))
    )


def download(folder: Path) -> None:
    """Fetch the packages with apt and pip; the wheels must have digests of requirements.lock."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "-q", INTERPRETER, *LIBRARY, *SHARED], cwd=folder, check=True)
    lock = _LOCK.read_text(encoding="utf-8")
    pins = [match[0] for match in re.finditer(rf"^({'|'.join(WHEELS)})==[^ ]+", lock, re.MULTILINE)]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    pip += ["--dest", str(folder.resolve()), "--python-version", "3.11"]
    pip += [word for tag in _WHEEL_PLATFORMS for word in ("--platform", tag)]
    subprocess.run([*pip, *pins], check=True)
    for wheel in folder.glob("*.whl"):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() not in lock:
            wheel.unlink()
            raise LookupError(f"{wheel.name}: not the file of requirements.lock")


def _package_files(folder: Path, gramine: Path | None) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if path.suffix in (".deb", ".whl"))
    if gramine is not None:
        yield gramine


def _open(path: Path) -> Opened:
    raw = path.read_bytes()
    kind = PackageKind.DEB if path.suffix == ".deb" else PackageKind.WHEEL
    members = {member.path: member for member in read_package(raw, kind)}
    files = {}
    for name, member in members.items():
        end, steps = member, 0
        while end is not None and end.target is not None and steps < 8:
            end, steps = members.get(end.target), steps + 1
        if end is not None and end.target is None:
            files[name] = end.content
    digest = hashlib.sha256(raw).digest()
    if kind is PackageKind.DEB:
        control = email.parser.HeaderParser().parsestr(read_control(raw))
        name, version, machine = control["Package"], control["Version"], control["Architecture"]
    else:
        name, version, *_, machine = path.stem.split("-")
    package = RuntimePackage(
        kind=kind, name=name.lower(), version=version, architecture=machine, sha256=digest
    )
    return Opened(package=package, files=files)


def _own_files(opened: Mapping[str, Opened], *, serves: bool) -> Iterator[tuple[str, Content]]:
    interpreter = opened[INTERPRETER].files[f"usr/bin/{_PYTHON}"]
    yield "runtime/bin/python3", Content(package=INTERPRETER, raw=interpreter)
    for name in LIBRARY:
        for path, raw in opened[name].files.items():
            below = path.removeprefix(_STDLIB)
            if below != path and _is_wanted(PurePosixPath(below), serves=serves):
                yield f"{_TARGET}/{below}", Content(package=name, raw=raw)
    for name in WHEELS:
        for path, raw in opened[name].files.items():
            module = path.startswith("nacl/") or (path.startswith("_cffi_backend.") and "/" not in path)
            if module and is_measured_file(PurePosixPath(path)):
                yield f"{_TARGET}/site-packages/{path}", Content(package=name, raw=raw)


def _is_wanted(path: PurePosixPath, *, serves: bool) -> bool:
    return is_measured_file(path) and is_useful(path, serves=serves)


def _shared_libraries(chosen: Mapping[str, Content], opened: Mapping[str, Opened]) -> dict[str, Content]:
    """Return what `chosen` and what wheels may expect need, by the names that are asked for."""
    there = {
        PurePosixPath(path).name: Content(package=one.package.name, raw=raw)
        for one in opened.values()
        if one.package.name in SHARED
        for path, raw in sorted(one.files.items())
        if str(PurePosixPath(path).parent) in _FOLDERS
    }
    found: dict[str, Content] = {}
    wanted = [*EXPECTED, *(name for content in chosen.values() for name in needed(content.raw))]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        if name not in there:
            raise LookupError(f"no package has the shared library {name}")
        found[name] = there[name]
        wanted += needed(there[name].raw)
    return {f"runtime/lib/{name}": content for name, content in found.items()}


def _gramine_libraries(gramine: Opened) -> dict[str, Content]:
    """Return what programs ask for of Gramine's C library; `LookupError` for one that the package lacks."""
    there = {
        path.partition(_GRAMINE_LIBRARIES)[2]: raw
        for path, raw in gramine.files.items()
        if _GRAMINE_LIBRARIES in f"/{path}"
    }
    if lacking := set(GRAMINE_LIBRARIES) - there.keys():
        raise LookupError(f"the package gramine lacks {', '.join(sorted(lacking))}")
    return {f"gramine/lib/{name}": Content(package="gramine", raw=there[name]) for name in GRAMINE_LIBRARIES}


def needed(raw: bytes) -> list[str]:
    """Return the libraries that an ELF file asks for, its loader among them; none for any other file."""
    if not raw.startswith(b"\x7fELF\x02\x01"):
        return []
    table, size, count = (*struct.unpack_from("<Q", raw, 0x20), *struct.unpack_from("<HH", raw, 0x36))
    headers = [struct.unpack_from("<IIQQQQQQ", raw, table + index * size) for index in range(count)]
    loads = [(h[3], h[2], h[5]) for h in headers if h[0] == _PT_LOAD]
    names = [_text(raw, h[2]) for h in headers if h[0] == _PT_INTERP]
    entries = [
        entry
        for h in headers
        if h[0] == _PT_DYNAMIC
        for entry in struct.iter_unpack("<QQ", raw[h[2] : h[2] + h[5] // 16 * 16])
    ]
    strings = next((value for tag, value in entries if tag == _DT_STRTAB), None)
    if strings is not None:
        at = next(
            strings - address + offset
            for address, offset, length in loads
            if address <= strings < address + length
        )
        names += [_text(raw, at + value) for tag, value in entries if tag == _DT_NEEDED]
    return [PurePosixPath(name).name for name in names]


def _text(raw: bytes, at: int) -> str:
    return raw[at : raw.index(b"\0", at)].decode("ascii")


def main() -> int:
    """Make one bill; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the bill of materials of the runtime inside SGX.")
    parser.add_argument("packages", type=Path, help="folder with the packages' files")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--download", action="store_true", help="fetch the packages with apt and pip first")
    parser.add_argument("--serves", action="store_true", help="with the modules that services have")
    parser.add_argument("--gramine", type=Path, metavar="DEB", help="Gramine's package, for its C library")
    chosen = parser.parse_args()
    if chosen.download:
        download(chosen.packages)
    bill = make_bill(chosen.packages, gramine=chosen.gramine, serves=chosen.serves)
    chosen.output.write_bytes(bill.to_bytes())
    print(f"{len(bill.measured)} files and {len(bill.modules)} modules of {len(bill.packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
