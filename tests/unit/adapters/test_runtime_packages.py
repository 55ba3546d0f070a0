import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from made_wheels import make_wheel
from sealroom.adapters.release import load_release
from sealroom.adapters.runtime_packages import read_control, read_package, stage_runtime
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.library_archive import library_archive
from sealroom.core.measurement.runtime_bill import (
    PackageKind,
    RuntimeArchive,
    RuntimeBill,
    RuntimeFile,
    RuntimePackage,
)

PROGRAM = b"an interpreter"
WHEEL = make_wheel("one", "1", {"one/__init__.py": b"one = 1\n"})


def tar(files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:xz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return made.getvalue()


def part(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return header.encode() + content + b"\n" * (len(content) % 2)


def deb(data: bytes) -> bytes:
    control = tar({"control": b"Package: python\n"})
    return (
        b"!<arch>\n"
        + part("debian-binary", b"2.0\n")
        + part("control.tar.xz", control)
        + part("data.tar.xz", data)
    )


DEB = deb(
    tar({"usr/bin/python3.11": PROGRAM, "usr/share/doc": b"x"}, {"usr/bin/python": "../bin/python3.11"})
)


def package(raw: bytes, kind: PackageKind, name: str) -> RuntimePackage:
    digest = hashlib.sha256(raw).digest()
    return RuntimePackage(kind=kind, name=name, version="1", architecture="all", sha256=digest)


def file(path: str, content: bytes, owner: str) -> RuntimeFile:
    return RuntimeFile(path=path, sha256=hashlib.sha256(content).digest(), package=owner)


BILL = RuntimeBill(
    (package(WHEEL, PackageKind.WHEEL, "one"), package(DEB, PackageKind.DEB, "python")),
    (
        file("runtime/bin/python3", PROGRAM, "python"),
        file("runtime/lib/one/__init__.py", b"one = 1\n", "one"),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "any name.deb").write_bytes(DEB)
    (packages / "one-1-py3-none-any.whl").write_bytes(WHEEL)
    return packages


def test_reads_files_and_links_of_a_debian_package() -> None:
    members = {member.path: member for member in read_package(DEB, PackageKind.DEB)}
    assert members["usr/bin/python3.11"].content == PROGRAM
    assert members["usr/bin/python"].target == "usr/bin/python3.11"
    assert read_control(DEB) == "Package: python\n"


@pytest.mark.parametrize(
    "raw",
    [b"", b"!<arch>\n", DEB[8:], DEB[:100], DEB[:-200], DEB.replace(b"`\n", b"`.", 1), deb(b"no archive")],
)
def test_refuses_what_is_no_debian_package(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="package"):
        list(read_package(raw, PackageKind.DEB))


def test_stages_exactly_the_files_of_the_bill(folder: Path, tmp_path: Path) -> None:
    stage_runtime(BILL, packages=folder, target=tmp_path / "staged")
    staged = {
        p.relative_to(tmp_path / "staged").as_posix() for p in (tmp_path / "staged").rglob("*") if p.is_file()
    }
    assert staged == {row.path for row in BILL.files}
    assert (tmp_path / "staged/runtime/bin/python3").read_bytes() == PROGRAM


MODULES = {"one/__init__.py": b"one = 1\n"}
ARCHIVED = RuntimeBill(
    BILL.packages,
    BILL.files[:1],
    RuntimeArchive(
        path="runtime/lib/python311.zip",
        sha256=hashlib.sha256(library_archive(MODULES)).digest(),
        modules=(file("one/__init__.py", MODULES["one/__init__.py"], "one"),),
    ),
)


def test_modules_of_a_bill_are_staged_as_its_archive(folder: Path, tmp_path: Path) -> None:
    stage_runtime(ARCHIVED, packages=folder, target=tmp_path / "staged")
    staged = {p.name for p in (tmp_path / "staged").rglob("*") if p.is_file()}
    assert staged == {"python3", "python311.zip"}
    assert (tmp_path / "staged/runtime/lib/python311.zip").read_bytes() == library_archive(MODULES)


def test_an_archive_that_the_modules_do_not_make_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    assert ARCHIVED.archive is not None
    other = replace(ARCHIVED, archive=replace(ARCHIVED.archive, sha256=bytes(32)))
    with pytest.raises(VerificationError, match=f"python311.zip of the bill's modules .* says {'00' * 32}"):
        stage_runtime(other, packages=folder, target=tmp_path / "staged")
    assert not (tmp_path / "staged").exists()


def test_a_package_with_another_digest_is_not_read(folder: Path, tmp_path: Path) -> None:
    (folder / "any name.deb").write_bytes(DEB + b"\n")
    with pytest.raises(VerificationError, match="no package with the digest of python 1 all"):
        stage_runtime(BILL, packages=folder, target=tmp_path / "staged")


def test_a_file_that_no_package_has_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    other = replace(BILL.files[0], sha256=bytes(32))
    bill = RuntimeBill(BILL.packages, (other, BILL.files[1]))
    with pytest.raises(VerificationError, match=f"has no file with the digest {'00' * 32}"):
        stage_runtime(bill, packages=folder, target=tmp_path / "staged")
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]


def test_the_bill_of_this_release_is_a_whole_runtime_of_debian_and_two_wheels() -> None:
    bill = load_release().sgx_runtime
    assert bill is not None
    paths = {row.path for row in bill.files}
    assert {"runtime/bin/python3", "runtime/lib/libc.so.6", "runtime/lib/python3.11/os.py"} <= paths
    assert "runtime/lib/python3.11/site-packages/nacl/_sodium.abi3.so" in paths
    assert not [path for path in paths if path.endswith(".pyc") or "/test/" in path]
    assert {p.name for p in bill.packages if p.kind is PackageKind.WHEEL} == {"cffi", "pynacl"}
    assert {"json/decoder.py", "encodings/utf_8.py"} <= {module.path for module in bill.modules}
    # Gramine's own follow with the first release of it that is known.
    assert not [path for path in paths if path.startswith("gramine/")]
