"""The standard library as one archive: the same modules, the same bytes."""

import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest

from sealroom.insecure.library_archive import belongs_into_archive, library_archive

MODULES = {"b.py": b"value = 2\n", "a/__init__.py": b"value = 1\n"}


def _modules(folder: Path, time: int) -> dict[str, Path]:
    found = {}
    for path, content in MODULES.items():
        source = folder / path
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(content)
        os.utime(source, (time, time))
        found[path] = source
    return found


def test_another_folder_time_and_order_make_the_same_bytes(tmp_path: Path) -> None:
    once = _modules(tmp_path / "one", 1_000_000_000)
    again = dict(reversed(_modules(tmp_path / "two", 1_700_000_000).items()))
    (tmp_path / "two" / "b.py").chmod(0o700)
    assert library_archive(once) == library_archive(again)


def test_every_module_is_in_it_to_the_byte_and_one_changed_byte_shows(tmp_path: Path) -> None:
    sources = _modules(tmp_path, 0)
    archive = library_archive(sources)
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == MODULES
    sources["b.py"].write_bytes(b"value = 3\n")
    assert library_archive(sources) != archive


def test_python_imports_from_it_and_shows_its_source(tmp_path: Path) -> None:
    archive = tmp_path / "library.zip"
    archive.write_bytes(library_archive(_modules(tmp_path, 0)))
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
