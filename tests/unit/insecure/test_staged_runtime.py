"""The runtime of the simulated enclave: this machine's own Python, copied once."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from sealroom.insecure.runtime import Runtime, stage_runtime
from sealroom.insecure.sandbox import loader_of

LIBRARY = f"{sys.platlibdir}/python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return stage_runtime(tmp_path_factory.mktemp("store"))


def test_every_file_of_the_tree_is_listed_with_its_digest(runtime: Runtime) -> None:
    listed = {file.path: file for file in runtime.files}
    present = {
        path.relative_to(runtime.root).as_posix() for path in runtime.root.rglob("*") if path.is_file()
    }
    assert present == set(listed)
    for path in ("bin/python3", f"{LIBRARY}/os.py", f"{LIBRARY}/site-packages/nacl/__init__.py"):
        content = (runtime.root / path).read_bytes()
        assert listed[path].sha256 == hashlib.sha256(content).digest()
        assert listed[path].host_path == runtime.root / path


def test_the_list_is_in_the_order_of_its_paths(runtime: Runtime) -> None:
    paths = [file.path for file in runtime.files]
    assert paths == sorted(paths)


def test_tests_installers_and_other_packages_are_left_out(runtime: Runtime) -> None:
    parts = {part for file in runtime.files for part in Path(file.path).parts}
    assert not parts & {
        "test",
        "tests",
        "ensurepip",
        "tkinter",
        "pip",
        "cryptography",
        "sealroom",
        "__pycache__",
    }
    assert not [file.path for file in runtime.files if file.path.endswith(".pyc")]


def test_nothing_in_the_tree_is_a_link_or_may_be_written(runtime: Runtime) -> None:
    for path in runtime.root.rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or path.stat().st_mode & 0o222 == 0


def test_the_copied_interpreter_runs_from_its_own_tree_alone(runtime: Runtime) -> None:
    code = (
        "import sys, hashlib, ssl, ctypes, sqlite3\n"
        f"sys.path.append({str(runtime.root / LIBRARY / 'site-packages')!r})\n"
        "import nacl.bindings, numpy\n"
        "print(sys.prefix, numpy.__file__, nacl.__file__, sep='|')"
    )
    done = subprocess.run(
        [runtime.root / "bin" / "python3", "-I", "-S", "-B", "-c", code],
        env={"LD_LIBRARY_PATH": str(runtime.root / "lib")},
        capture_output=True,
        text=True,
        check=True,
    )
    places = done.stdout.strip().split("|")
    assert places[0] == str(runtime.root)
    assert all(place.startswith(str(runtime.root)) for place in places)


def test_the_loader_that_the_interpreter_asks_for_is_in_the_tree(runtime: Runtime) -> None:
    loader = loader_of(runtime.root / "bin" / "python3")
    assert loader is not None
    assert (runtime.root / "lib" / Path(loader).name).is_file()


def test_the_same_runtime_is_copied_once(runtime: Runtime) -> None:
    before = (runtime.root / "bin" / "python3").stat()
    again = stage_runtime(runtime.root.parent)
    assert again == runtime
    assert (runtime.root / "bin" / "python3").stat().st_mtime_ns == before.st_mtime_ns
    assert list(runtime.root.parent.iterdir()) == [runtime.root]
