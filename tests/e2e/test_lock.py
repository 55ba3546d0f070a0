"""`sealroom lock` with the real uv and pip, over an index of this test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from made_wheels import make_wheel, pin, requirements_of

pytestmark = pytest.mark.e2e

NATIVE = make_wheel("native-part", "2.0", tag="cp311-cp311-manylinux_2_17_x86_64")
NEEDS = make_wheel("needs-it", "1.5", {"needs_it/__init__.py": b""})
EVIL = make_wheel("evil", "1.0", {"evil.pth": b"import os"})


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    for name, wheel in (
        ("native_part-2.0-cp311-cp311-manylinux_2_17_x86_64.whl", NATIVE),
        ("native_part-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", make_wheel("native-part", "2.0")),
        ("needs_it-1.5-py3-none-any.whl", NEEDS),
        ("evil-1.0-py3-none-any.whl", EVIL),
    ):
        (folder / name).write_bytes(wheel)
    return folder


def lock(tmp_path: Path, index: Path) -> tuple[int, dict]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "person"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(index),
    }
    words = ["lock", str(tmp_path / "program"), "--home", str(tmp_path / "home"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "sealroom.cli.main", *words],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_what_a_program_needs_is_pinned_by_the_wheels_that_fit(tmp_path: Path, index: Path) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "requirements.in").write_text("needs-it\nnative-part>=1\n")
    code, said = lock(tmp_path, index)
    assert code == 0, said
    written = (program / "requirements.txt").read_bytes()
    assert written == requirements_of(pin(NEEDS, "needs-it", "1.5"), pin(NATIVE, "native-part", "2.0"))
    assert str(index).encode() not in written
    kept = {path.name for path in (tmp_path / "home" / "wheels").glob("*.whl")}
    assert kept == {f"{package['sha256']}.whl" for package in said["packages"]}


def test_a_wheel_that_no_enclave_takes_leaves_the_lock_as_it_was(tmp_path: Path, index: Path) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "requirements.in").write_text("evil\n")
    (program / "requirements.txt").write_text("")
    code, said = lock(tmp_path, index)
    assert code == 1
    assert "evil.pth: a .pth file runs code" in said["error"]["message"]
    assert (program / "requirements.txt").read_text() == ""


def test_what_is_nowhere_is_said_by_its_name(tmp_path: Path, index: Path) -> None:
    program = tmp_path / "program"
    program.mkdir()
    (program / "requirements.in").write_text("nowhere-to-be-found\n")
    code, said = lock(tmp_path, index)
    assert (code, said["error"]["code"]) == (1, "package_index")
    assert "nowhere-to-be-found" in said["error"]["message"]
