"""Which files of a wheel an enclave gets: by rules that both sides keep, or not at all."""

import contextlib
import io
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_wheels import make_wheel
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.module_names import RESERVED_MODULES
from sealroom.core.measurement.wheel import UnpackedWheel, list_wheel, unpack_wheel
from sealroom.core.wire.byte_fields import sha256

INFO = "two_words-1.2.3.dist-info"
DATA = "two_words-1.2.3.data"


def listed(raw: bytes) -> UnpackedWheel:
    return list_wheel(io.BytesIO(raw))


def places(raw: bytes) -> list[str]:
    return [file.path for file in listed(raw).files if not file.path.startswith(INFO)]


def test_lists_each_file_with_its_size_and_digest() -> None:
    wheel = listed(make_wheel(files={"two_words/__init__.py": b"x = 1\n", "two_words/data.bin": b""}))
    assert (wheel.name, wheel.version, wheel.tags) == ("two-words", "1.2.3", ("py3-none-any",))
    found = {file.path: (file.size, file.sha256) for file in wheel.files}
    assert found["two_words/__init__.py"] == (6, sha256(b"x = 1\n"))
    assert found["two_words/data.bin"] == (0, sha256(b""))
    assert sorted(found) == [f"{INFO}/METADATA", "two_words/__init__.py", "two_words/data.bin"]


def test_unpacks_just_what_it_lists() -> None:
    raw = make_wheel(files={"a.py": b"1", "tests/b.py": b"2", f"{DATA}/purelib/c/d.py": b"3"})
    unpacked: dict[str, bytes] = {}

    def keep(path: str, contents: Iterator[bytes]) -> None:
        unpacked[path] = b"".join(contents)

    wheel = unpack_wheel(io.BytesIO(raw), keep)
    assert wheel == listed(raw)
    assert {path: (len(content), sha256(content)) for path, content in unpacked.items()} == {
        file.path: (file.size, file.sha256) for file in wheel.files
    }
    assert {"a.py", "c/d.py"} <= unpacked.keys()


def test_the_two_library_folders_of_a_wheel_are_one_place() -> None:
    files = {f"{DATA}/purelib/a/x.py": b"1", f"{DATA}/platlib/a/y.so": b"2", "a/z.py": b"3"}
    assert places(make_wheel(files=files)) == ["a/x.py", "a/y.so", "a/z.py"]


@pytest.mark.parametrize(
    "path",
    [
        "a/tests/test_a.py",
        "tests/conftest.py",
        "a/b.pyi",
        "a/b.pyx",
        "a/b.h",
        "a/tests/deep/data.csv",
        "a.pyi",
        "a/distutils/ccompiler.py",
        "a/_pyinstaller/hook-a.py",
        "a/__pyinstaller/hook-a.py",
        "a/random/_examples/numba/extending.py",
        "a/conftest.py",
        "a/meson.build",
        "a/lib/pkgconfig/a.pc",
    ],
)
def test_leaves_out_what_no_program_reads(path: str) -> None:
    assert places(make_wheel(files={"a/__init__.py": b"", path: b"1"})) == ["a/__init__.py"]


def test_a_module_named_tests_and_data_beside_it_stay() -> None:
    files = {"a/distutils.py": b"1", "a/tests.py": b"1", "a/tests.csv": b"2", "a/test/x.py": b"3"}
    assert places(make_wheel(files=files)) == ["a/distutils.py", "a/test/x.py", "a/tests.csv", "a/tests.py"]


@pytest.mark.parametrize("kind", ["scripts", "headers", "data", "lib"])
def test_refuses_what_belongs_elsewhere(kind: str) -> None:
    with pytest.raises(MalformedError, match=f"{DATA}/{kind}/tool: scripts, headers and data"):
        listed(make_wheel(files={f"{DATA}/{kind}/tool": b"#!python\n"}))


@pytest.mark.parametrize("path", ["evil.pth", f"{DATA}/purelib/evil.pth"])
def test_refuses_a_pth_file(path: str) -> None:
    with pytest.raises(MalformedError, match=r"evil\.pth: a \.pth file runs code"):
        listed(make_wheel(files={path: b"import os\n"}))


def test_a_pth_file_that_no_start_reads_is_data() -> None:
    assert places(make_wheel(files={"a/model.pth": b"weights"})) == ["a/model.pth"]


@pytest.mark.parametrize("path", ["a/b.pyc", "a/__pycache__/b.cpython-311.pyc", "a/__pycache__/b.txt"])
def test_refuses_compiled_python(path: str) -> None:
    with pytest.raises(MalformedError, match="compiled Python"):
        listed(make_wheel(files={path: b"\0"}))


@pytest.mark.parametrize(
    "path",
    [
        "sitecustomize.py",
        "usercustomize/__init__.py",
        "sealroom/core/errors.py",
        "cosmian_lib_sgx.py",
        "start.py",
        "nacl/__init__.py",
        "_cffi_backend.cpython-311-x86_64-linux-gnu.so",
        "json/__init__.py",
        "random.so",
        "distutils/__init__.py",
        "readline.py",
        f"{DATA}/purelib/os.py",
        "os/tests/a.py",
    ],
)
def test_refuses_a_name_that_shadows_the_standard_library_or_us(path: str) -> None:
    with pytest.raises(MalformedError, match="is the standard library's or sealroom's"):
        listed(make_wheel(files={path: b""}))


def test_the_list_of_reserved_names_has_the_standard_library_that_runs_here() -> None:
    assert sys.stdlib_module_names <= RESERVED_MODULES


def test_two_files_for_one_place_are_refused() -> None:
    with pytest.raises(MalformedError, match=r"a/b\.py: two files for one place"):
        listed(make_wheel(files={"a/b.py": b"1", f"{DATA}/purelib/a/b.py": b"2"}))
    with pytest.raises(MalformedError, match="a/b: a file and a folder at one place"):
        listed(make_wheel(files={"a/b": b"1", f"{DATA}/platlib/a/b/c.py": b"2"}))


@pytest.mark.parametrize(
    "path",
    [
        "other-1.data/purelib/a.py",
        f"{DATA}/purelib/other-1.dist-info/METADATA",
        f"{DATA}/purelib/x.data/a.py",
    ],
)
def test_refuses_to_speak_for_another_wheel(path: str) -> None:
    with pytest.raises(MalformedError, match="another wheel"):
        listed(make_wheel(files={path: b"1"}))


def test_refuses_two_dist_info_folders_and_none() -> None:
    with pytest.raises(MalformedError, match="got 2 folders"):
        listed(make_wheel(unrecorded={"other-1.dist-info/METADATA": b""}))
    missing = {f"{INFO}/{name}": None for name in ("METADATA", "WHEEL", "RECORD")}
    with pytest.raises(MalformedError, match="got 0 folders"):
        listed(make_wheel(replaced=missing))


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_refuses_a_wheel_without_one_of_its_own_files(name: str) -> None:
    with pytest.raises(MalformedError, match=f"{name} is missing"):
        listed(make_wheel(replaced={f"{INFO}/{name}": None}))


def test_a_changed_file_is_not_what_record_says() -> None:
    with pytest.raises(MalformedError, match=r"two_words/__init__\.py: sha256 .*, RECORD says"):
        listed(make_wheel(replaced={"two_words/__init__.py": b"VALUE = 2\n"}))
    with pytest.raises(MalformedError, match=r"11 bytes, RECORD says 10"):
        listed(make_wheel(replaced={"two_words/__init__.py": b"VALUE = 10\n"}))


def test_a_file_that_is_left_out_is_checked_too() -> None:
    raw = make_wheel(files={"a/tests/x.py": b"1"}, replaced={"a/tests/x.py": b"2"})
    with pytest.raises(MalformedError, match=r"a/tests/x\.py: sha256"):
        listed(raw)


def test_record_names_every_file_and_no_other() -> None:
    with pytest.raises(MalformedError, match=r"extra\.py: not named by RECORD"):
        listed(make_wheel(unrecorded={"extra.py": b""}))
    with pytest.raises(MalformedError, match=r"names 'two_words/__init__\.py', which is not in the wheel"):
        listed(make_wheel(replaced={"two_words/__init__.py": None}))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.py,sha256=,1\n", "expected a size and sha256="),
        ("a.py,,\n", "expected a size and sha256="),
        (f"a.py,md5={'A' * 43},1\n", "expected a size and sha256="),
        (f"a.py,sha256={'A' * 42}*,1\n", "expected a size and sha256="),
        (f"a.py,sha256={'A' * 43},01\n", "expected a size and sha256="),
        (f"a.py,sha256={'A' * 43},1\na.py,sha256={'A' * 43},1\n", "stands twice"),
        (f"a.py,sha256={'A' * 43}\n", "expected rows of path"),
        ('"a.py\n', "RECORD"),
        (f"{INFO}/RECORD,,\n", "names itself 2 times"),
        ("\xff", "RECORD"),
    ],
)
def test_refuses_a_record_of_another_form(row: str, reason: str) -> None:
    record = f"{row}{INFO}/RECORD,,\n".encode("latin-1")
    with pytest.raises(MalformedError, match=reason):
        listed(make_wheel(replaced={f"{INFO}/RECORD": record}))


@pytest.mark.parametrize(
    "metadata",
    [
        b"Name: other\nVersion: 1.2.3\n",
        b"Name: two-words\nVersion: 1.2.4\n",
        b"Name: two-words\n",
        b"Name: two-words\nName: two-words\nVersion: 1.2.3\n",
        b"Name: two-words\n\nVersion: 1.2.3\n",
        b"Name: two-words\nVersion:\n",
        b"\xff",
    ],
)
def test_name_and_version_are_the_same_wherever_they_stand(metadata: bytes) -> None:
    raw = make_wheel(files={}, replaced={f"{INFO}/METADATA": metadata})
    with pytest.raises(MalformedError, match="METADATA"):
        listed(raw)


@pytest.mark.parametrize(
    "wheel",
    [
        b"Tag: py3-none-any\n",
        b"Wheel-Version: 2.0\nTag: py3-none-any\n",
        b"Wheel-Version: 1.0\n",
        b"Wheel-Version: 1.0\nTag: py3-none\n",
        b"Wheel-Version: 1.0\nTag: " + b".".join([b"a"] * 99) + b"-none-any\n",
        b"Wheel-Version: 1.0\n" + b"Tag: py3-none-any\n" * 65,
    ],
)
def test_refuses_a_wheel_file_of_another_form(wheel: bytes) -> None:
    with pytest.raises(MalformedError, match="WHEEL"):
        listed(make_wheel(files={}, replaced={f"{INFO}/WHEEL": wheel}))


def test_a_compressed_tag_stands_for_several() -> None:
    assert listed(make_wheel(tag="py2.py3-none-any")).tags == ("py2-none-any", "py3-none-any")


RAW = make_wheel(files={"a.py": b"1", f"{DATA}/purelib/b.py": b"2"})


@given(st.integers(0, len(RAW) - 1), st.binary(min_size=1, max_size=3))
def test_lists_or_says_malformed(at: int, new: bytes) -> None:
    changed = RAW[:at] + new[: len(RAW) - at] + RAW[at + len(new) :]
    with contextlib.suppress(MalformedError):
        listed(changed)


@given(st.text("RECODWHL,=\n\"' 1ab-:.", max_size=60), st.sampled_from(["RECORD", "WHEEL", "METADATA"]))
def test_reads_its_own_files_or_says_malformed(text: str, name: str) -> None:
    with contextlib.suppress(MalformedError):
        listed(make_wheel(replaced={f"{INFO}/{name}": text.encode()}))
