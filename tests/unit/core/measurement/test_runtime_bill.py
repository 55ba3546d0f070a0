import hashlib
import re
from dataclasses import replace

import pytest

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.runtime_bill import (
    PackageKind,
    RuntimeArchive,
    RuntimeBill,
    RuntimeFile,
    RuntimePackage,
    check_runtime,
    parse_runtime_bill,
)

PYTHON = RuntimePackage(
    kind=PackageKind.DEB,
    name="python3.11-minimal",
    version="3.11.2-6",
    architecture="amd64",
    sha256=bytes([1]) * 32,
)
WHEEL = RuntimePackage(
    kind=PackageKind.WHEEL,
    name="pynacl",
    version="1.6.2",
    architecture="manylinux_2_28_x86_64",
    sha256=bytes([2]) * 32,
)
FILES = (
    RuntimeFile(path="gramine/lib/libc.so.6", sha256=bytes([3]) * 32, package="python3.11-minimal"),
    RuntimeFile(path="runtime/bin/python3", sha256=bytes([4]) * 32, package="python3.11-minimal"),
    RuntimeFile(path="runtime/lib/a name.py", sha256=bytes([5]) * 32, package="pynacl"),
)
MODULES = (
    RuntimeFile(path="json/a name.py", sha256=bytes([7]) * 32, package="python3.11-minimal"),
    RuntimeFile(path="json/decoder.py", sha256=bytes([8]) * 32, package="python3.11-minimal"),
)
ARCHIVE = RuntimeArchive(path="runtime/lib/python311.zip", sha256=bytes([6]) * 32, modules=MODULES)
BILL = RuntimeBill((WHEEL, PYTHON), FILES)
RAW = BILL.to_bytes()
WHOLE = RuntimeBill((WHEEL, PYTHON), FILES, ARCHIVE)
RAW_WHOLE = WHOLE.to_bytes()


def test_a_bill_is_read_back_from_its_one_encoding() -> None:
    assert parse_runtime_bill(RAW) == BILL
    assert (
        hashlib.sha256(RAW).hexdigest() == "ac815fafb8045899b3bf0024267e104ddcb9520623761c28e06eb760ee85afa4"
    )


def test_a_bill_with_an_archive_is_read_back_and_measures_the_archive_as_one_file() -> None:
    assert parse_runtime_bill(RAW_WHOLE) == WHOLE
    assert [file.path for file in WHOLE.measured] == [*(file.path for file in FILES), ARCHIVE.path]
    assert WHOLE.modules == MODULES
    expected = "caefed675b4026d874803c7fc51079de825b83bac7e9d93658f98558294fd5f6"
    assert hashlib.sha256(RAW_WHOLE).hexdigest() == expected


LINES = RAW.decode().splitlines(keepends=True)
REFUSED = {
    "nothing": b"",
    "not UTF-8": b"\xff",
    "another first line": RAW.replace(b"bill 1", b"bill 2", 1),
    "no last line feed": RAW[:-1],
    "bytes after the end": RAW + b"x",
    "an empty line": RAW + b"\n",
    "carriage returns": RAW.replace(b"\n", b"\r\n"),
    "two spaces": RAW.replace(b"package deb", b"package  deb"),
    "an unknown kind of package": RAW.replace(b"package deb", b"package rpm"),
    "an unknown kind of line": RAW + b"note 1\n",
    "a package without a digest": RAW.replace(b" " + PYTHON.sha256.hex().encode(), b"", 1),
    "a digest in capitals": RAW.replace(b"file " + b"03" * 32, b"file " + b"0A" * 32),
    "a digest that is too short": RAW.replace(b"03" * 32, b"03" * 31),
    "a file without a path": RAW.replace(b" pynacl runtime/lib/a name.py", b" pynacl"),
    "an empty path": RAW.replace(b"runtime/lib/a name.py", b""),
    "packages in another order": "".join([LINES[0], LINES[2], LINES[1], *LINES[3:]]).encode(),
    "files in another order": "".join([*LINES[:3], LINES[4], LINES[3], LINES[5]]).encode(),
    "files before packages": "".join([LINES[0], *LINES[3:], *LINES[1:3]]).encode(),
    "a package twice": "".join([*LINES[:2], *LINES[1:]]).encode(),
    "a file twice": "".join([*LINES[:4], *LINES[3:]]).encode(),
    "a file of no package": RAW.replace(b" pynacl runtime", b" other runtime"),
    "a package without files": "".join(LINES[:5]).encode(),
    "no packages": "".join([LINES[0], *LINES[3:]]).encode(),
    "no files": "".join(LINES[:3]).encode(),
    "a path outside": RAW.replace(b"gramine/lib/libc", b"code/libc"),
    "a path that leaves": RAW.replace(b"runtime/bin/python3", b"runtime/../python3"),
    "a folder for a file": RAW.replace(b"runtime/bin/python3", b"runtime/bin/"),
    "a version with a control character": RAW.replace(b"3.11.2-6", b"3.11\x1b2-6"),
    "too large": RAW + b"#" * (4 << 20),
}  # fmt: skip


ENDS = RAW_WHOLE.decode().splitlines(keepends=True)
REFUSED_ARCHIVES = {
    "two archives": "".join([*ENDS[:7], *ENDS[6:]]),
    "an archive without modules": "".join(ENDS[:7]),
    "modules without an archive": "".join([*ENDS[:6], *ENDS[7:]]),
    "modules before the archive": "".join([*ENDS[:6], *ENDS[7:], ENDS[6]]),
    "modules in another order": "".join([*ENDS[:7], ENDS[8], ENDS[7]]),
    "a module twice": "".join([*ENDS, ENDS[8]]),
    "a module of no package": "".join(ENDS).replace("minimal json/decoder", "other json/decoder"),
    "a module that leaves": "".join(ENDS).replace("json/decoder.py", "json/../decoder.py"),
    "an archive outside": "".join(ENDS).replace("runtime/lib/python311.zip", "packages/python311.zip"),
    "an archive at the place of a file": "".join(ENDS).replace("lib/python311.zip", "bin/python3"),
    "an archive without a path": "".join(ENDS).replace(" runtime/lib/python311.zip", ""),
    "an archive with a short digest": "".join(ENDS).replace("06" * 32, "06" * 31),
}


@pytest.mark.parametrize("case", REFUSED_ARCHIVES)
def test_refuses_an_archive(case: str) -> None:
    changed = REFUSED_ARCHIVES[case].encode()
    assert changed != RAW_WHOLE
    with pytest.raises(MalformedError):
        parse_runtime_bill(changed)


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    assert REFUSED[case] != RAW
    with pytest.raises(MalformedError):
        parse_runtime_bill(REFUSED[case])


def test_no_one_byte_change_is_another_reading_of_the_same_bill() -> None:
    for at in range(len(RAW)):
        changed = RAW[:at] + bytes([RAW[at] ^ 1]) + RAW[at + 1 :]
        try:
            assert parse_runtime_bill(changed) != BILL
        except MalformedError:
            continue


def test_the_same_files_are_the_runtime() -> None:
    check_runtime(BILL.measured, BILL)
    check_runtime(BILL.measured[::-1], BILL)


@pytest.mark.parametrize(
    ("received", "said"),
    [
        (BILL.measured[1:], "gramine/lib/libc.so.6 of python3.11-minimal 3.11.2-6 is missing"),
        (
            (*BILL.measured, replace(BILL.measured[0], path="runtime/x")),
            "runtime/x is in it, and not in the bill of materials",
        ),
        (
            (replace(BILL.measured[0], sha256=bytes(32)), *BILL.measured[1:]),
            f"gramine/lib/libc.so.6 has sha256 {'00' * 32}, expected {'03' * 32} of python3.11-minimal",
        ),
    ],
)
def test_names_file_and_package_of_another_runtime(received, said) -> None:
    with pytest.raises(VerificationError, match=re.escape(said)):
        check_runtime(received, BILL)


def test_names_an_archive_with_other_modules() -> None:
    *others, archive = WHOLE.measured
    said = f"{ARCHIVE.path} has sha256 {'00' * 32}, expected {'06' * 32} of the standard library's modules"
    with pytest.raises(VerificationError, match=re.escape(said)):
        check_runtime([*others, replace(archive, sha256=bytes(32))], WHOLE)


def test_names_a_dozen_files_at_most() -> None:
    received = [replace(BILL.measured[0], path=f"runtime/{n}") for n in range(50)]
    with pytest.raises(VerificationError, match="and 41 more differences"):
        check_runtime(received, BILL)
