"""What a type checker, and so an editor, knows about a program where `pip install sealroom` is all there is.

The wheel is built from this tree and put into an environment of its own, with nothing beside it.
"""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).parents[2]

PROGRAM = """
import io
from collections.abc import Iterator
from typing import assert_type

from cosmian_lib_sgx import Enclave as PublishedEnclave
from cosmian_lib_sgx import UserError as PublishedError
from sealroom.enclave import Enclave, UserError

with Enclave() as enclave:
    assert_type(enclave, Enclave)
    assert_type(enclave.read(), Iterator[io.BytesIO])
    for file in enclave.inputs:
        assert_type((file.provider, file.name, file.size), tuple[int, str, int])
        with file.open() as reader:
            assert_type(reader.read(4), bytes)
    assert_type(enclave.open_code_file("weights.bin"), io.BufferedReader)
    with enclave.output("model.bin", 0) as out:
        out.write(b"weights")
    enclave.write(b"mean", n=0, name="mean.txt")
    enclave.write(io.BytesIO(b"all"))
    try:
        enclave.read(7)
    except UserError as error:
        assert_type(error, UserError)

with PublishedEnclave() as published:
    assert_type(published, Enclave)
    for content in published.read(0):
        assert_type(content, io.BytesIO)
    published.write(b"mean")
error_of_both: type[UserError] = PublishedError
"""

WRONG = """
from cosmian_lib_sgx import Enclave as PublishedEnclave
from cosmian_lib_sgx import Nothing
from sealroom.enclave import Enclave

Enclave().read("first")
Enclave().write(3)
Enclave().outputs
PublishedEnclave().read("first")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel in it."""
    base = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(base / "wheels")],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    venv.create(base / "env", with_pip=False, symlinks=True)
    (site,) = (base / "env").glob("lib/python3*/site-packages")
    (wheel,) = (base / "wheels").glob("sealroom-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    return base / "env" / "bin" / "python"


def check(program: str, python: Path, tmp_path: Path) -> str:
    (tmp_path / "run.py").write_text(program)
    words = ["--strict", "--python-executable", str(python), "--cache-dir", str(python.parent / "cache")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--no-error-summary", *words, "run.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode()


def test_a_program_that_uses_the_library_as_it_is_has_all_its_types(python: Path, tmp_path: Path) -> None:
    assert check(PROGRAM, python, tmp_path) == ""


def test_a_program_that_uses_it_wrongly_is_told_where(python: Path, tmp_path: Path) -> None:
    said = check(WRONG, python, tmp_path)
    errors = {line.partition(" error:")[0]: line.rpartition("[")[2].rstrip("]") for line in said.splitlines()}
    assert {place: kind for place, kind in errors.items() if place.startswith("run.py:")} == {
        "run.py:3:": "attr-defined",
        "run.py:6:": "arg-type",
        "run.py:7:": "arg-type",
        "run.py:8:": "attr-defined",
        "run.py:9:": "arg-type",
    }


def test_the_published_name_resolves_inside_an_enclave_alone(python: Path) -> None:
    done = subprocess.run([python, "-I", "-c", "import cosmian_lib_sgx"], stderr=subprocess.PIPE, check=False)
    assert b"ModuleNotFoundError: No module named 'cosmian_lib_sgx'" in done.stderr
