"""The standard library as one archive: the same modules, the same bytes."""

import hashlib
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest

from sealroom.core.measurement.library_archive import belongs_into_archive, library_archive

MODULES = {"b.py": b"value = 2\n", "a/__init__.py": b"value = 1\n"}


def test_another_order_makes_the_same_bytes_and_a_digest_that_never_changes() -> None:
    archive = library_archive(MODULES)
    assert library_archive(dict(reversed(MODULES.items()))) == archive
    expected = "854ad4a41778d94cc239ef0abdae121144c8a6e9c448247446a1dc4b63354fd7"
    assert hashlib.sha256(archive).hexdigest() == expected


def test_every_module_is_in_it_to_the_byte_and_one_changed_byte_shows() -> None:
    archive = library_archive(MODULES)
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == MODULES
    assert library_archive(MODULES | {"b.py": b"value = 3\n"}) != archive


def test_python_imports_from_it_and_shows_its_source(tmp_path: Path) -> None:
    archive = tmp_path / "library.zip"
    archive.write_bytes(library_archive(MODULES))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); import a, b, inspect; print(inspect.getsource(b))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "value = 2"


@pytest.mark.parametrize(
    ("path", "archived"),
    [
        ("json/decoder.py", True),
        ("argparse.py", True),
        ("os.py", False),
        ("lib-dynload/_json.cpython-311-x86_64-linux-gnu.so", False),
        ("concurrent/os.py", True),
    ],
)
def test_what_the_interpreter_loads_as_a_file_stays_one(path: str, archived: bool) -> None:
    assert belongs_into_archive(PurePosixPath(path)) is archived
