"""From requirements.txt and the wheels' lists to the measured files of a computation."""

import io

import pytest

from made_wheels import make_wheel, pin
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement import packages
from sealroom.core.measurement.packages import missing_wheels, package_files
from sealroom.core.measurement.platform_tags import SGX_PLATFORM, Platform, platform_of_runtime
from sealroom.core.measurement.wheel import UnpackedWheel, list_wheel

ONE = make_wheel("one", "1", {"one/__init__.py": b"1"})
TWO = make_wheel("two", "2", {"two/__init__.py": b"2", "alone.py": b"3"})
PINS = (pin(ONE, "one", "1"), pin(TWO, "two", "2"))


def known(*raw: bytes) -> dict[bytes, UnpackedWheel]:
    return {pin(each).sha256: list_wheel(io.BytesIO(each)) for each in raw}


def test_every_file_of_every_package_is_measured_under_packages() -> None:
    files = package_files(PINS, known(ONE, TWO), SGX_PLATFORM)
    assert [file.path for file in files] == [
        "packages/alone.py",
        "packages/one-1.dist-info/METADATA",
        "packages/one/__init__.py",
        "packages/two-2.dist-info/METADATA",
        "packages/two/__init__.py",
    ]


def test_says_which_wheels_are_not_known() -> None:
    assert missing_wheels(PINS, known(TWO)) == PINS[:1]
    assert missing_wheels(PINS, known(ONE, TWO)) == ()


def test_refuses_a_wheel_of_another_version_or_name() -> None:
    with pytest.raises(VerificationError, match=r"the wheel of one 1\.1 is one of one 1"):
        package_files((pin(ONE, "one", "1.1"),), known(ONE), SGX_PLATFORM)
    with pytest.raises(VerificationError, match="the wheel of won 1 is one of one 1"):
        package_files((pin(ONE, "won", "1"),), known(ONE), SGX_PLATFORM)


def test_refuses_two_wheels_with_one_path() -> None:
    other = make_wheel("other", "2", {"one/__init__.py": b"another"})
    with pytest.raises(VerificationError, match=r"one 1 and other 2 both have one/__init__\.py"):
        package_files((PINS[0], pin(other, "other", "2")), known(ONE, other), SGX_PLATFORM)


def test_refuses_a_file_of_one_wheel_that_is_a_folder_of_another() -> None:
    other = make_wheel("other", "2", {"one": b"a file"})
    with pytest.raises(VerificationError, match="one is a file of other 2 and a folder of one 1"):
        package_files((PINS[0], pin(other, "other", "2")), known(ONE, other), SGX_PLATFORM)


def test_bounds_the_files_of_all_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_PACKAGE_FILES", 4)
    with pytest.raises(VerificationError, match="got 5 files, expected at most 4"):
        package_files(PINS, known(ONE, TWO), SGX_PLATFORM)


def test_refuses_a_wheel_for_another_platform() -> None:
    raw = make_wheel("one", "1", tag="cp312-cp312-manylinux_2_17_x86_64")
    with pytest.raises(
        VerificationError, match=r"for cp312-cp312-.*, the enclave has CPython 3\.11 on x86_64"
    ):
        package_files((pin(raw, "one", "1"),), known(raw), SGX_PLATFORM)
    assert package_files((pin(raw, "one", "1"),), known(raw), Platform(minor=12, machine="x86_64"))


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("py3-none-any", True),
        ("py311-none-any", True),
        ("py37-none-any", True),
        ("py312-none-any", False),
        ("py2-none-any", False),
        ("cp311-cp311-manylinux_2_36_x86_64", True),
        ("cp311-cp311-manylinux_2_37_x86_64", False),
        ("cp311-cp311-manylinux_2_17_aarch64", False),
        ("cp311-cp311-manylinux2014_x86_64", True),
        ("cp311-cp311-manylinux1_x86_64", True),
        ("cp311-none-manylinux1_x86_64", True),
        ("cp310-cp310-manylinux1_x86_64", False),
        ("cp310-none-manylinux1_x86_64", False),
        ("cp38-abi3-manylinux1_x86_64", True),
        ("cp312-abi3-manylinux1_x86_64", False),
        ("cp311-cp310-manylinux1_x86_64", False),
        ("cp311-cp311t-manylinux1_x86_64", False),
        ("py3-abi3-any", False),
        ("cp311-cp311-linux_x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("cp311-cp311-macosx_11_0_x86_64", False),
        ("pp311-pypy311_pp73-manylinux_2_17_x86_64", False),
        ("cp311-cp311", False),
    ],
)
def test_a_wheel_fits_by_its_tag(tag: str, fits: bool) -> None:
    assert SGX_PLATFORM.fits(tag) is fits


def test_the_runtime_says_which_python_it_is() -> None:
    paths = ["runtime/bin/python3", "runtime/lib/python3.11/lib-dynload/_bz2.cpython-311-x86_64-linux-gnu.so"]
    assert platform_of_runtime(paths) == SGX_PLATFORM
    with pytest.raises(MalformedError, match="name 0 kinds"):
        platform_of_runtime(paths[:1])
    with pytest.raises(MalformedError, match="name 2 kinds"):
        platform_of_runtime([*paths, "runtime/lib/a.cpython-312-x86_64-linux-gnu.so"])
