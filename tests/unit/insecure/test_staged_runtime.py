"""The runtime of the simulated enclave: this machine's own Python, copied once."""

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path, PurePosixPath

import pytest

from sealroom.core.measurement.platform_tags import platform_of_runtime
from sealroom.insecure.runtime import Runtime, stage_runtime
from sealroom.insecure.sandbox import loader_of
from sealroom.insecure.standard_library import is_useful

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
        "numpy",
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
        "import nacl.bindings\n"
        "print(sys.prefix, nacl.__file__, sep='|')"
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


def test_what_wheels_may_expect_of_the_system_is_there(runtime: Runtime) -> None:
    listed = {file.path for file in runtime.files}
    for name in (
        "libc.so.6",
        "libm.so.6",
        "libpthread.so.0",
        "libdl.so.2",
        "libstdc++.so.6",
        "libgcc_s.so.1",
    ):
        assert f"lib/{name}" in listed


def test_the_runtime_says_which_wheels_fit(runtime: Runtime) -> None:
    platform = platform_of_runtime(f"runtime/{file.path}" for file in runtime.files)
    assert platform.minor == sys.version_info.minor


def test_the_same_runtime_is_copied_once(runtime: Runtime) -> None:
    before = (runtime.root / "bin" / "python3").stat()
    again = stage_runtime(runtime.root.parent)
    assert again == runtime
    assert (runtime.root / "bin" / "python3").stat().st_mtime_ns == before.st_mtime_ns
    assert list(runtime.root.parent.iterdir()) == [runtime.root]


_LIBRARY = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix})).resolve()
# What data programs and their packages import of the standard library, some of it when they are first called.
_USED = [
        "argparse", "array", "asyncio", "base64", "bisect", "bz2", "calendar", "cmath", "codecs",
        "collections", "concurrent.futures", "configparser", "contextlib", "copy", "csv", "ctypes.util",
        "dataclasses", "datetime", "decimal", "difflib", "doctest", "email.generator", "email.parser",
        "enum", "fractions", "functools", "getopt", "glob", "graphlib", "gzip", "hashlib", "heapq",
        "hmac", "html", "http.client", "importlib.metadata", "importlib.readers", "importlib.resources",
        "inspect", "io", "itertools", "json", "locale", "logging.handlers", "lzma", "mmap",
        "multiprocessing.dummy", "multiprocessing.managers", "multiprocessing.pool",
        "multiprocessing.shared_memory", "numbers", "operator", "optparse", "pickle", "platform",
        "pprint", "pstats", "pydoc", "queue", "random", "re", "sched", "secrets", "shelve", "shlex",
        "socket", "sqlite3", "ssl", "statistics", "string", "struct", "subprocess", "tarfile", "tempfile",
        "textwrap", "threading", "timeit", "tomllib", "traceback", "tracemalloc", "typing",
        "unittest.mock", "urllib.request", "uuid", "weakref", "xml.etree.ElementTree",
        "xml.parsers.expat", "zipfile", "zoneinfo", "encodings.cp1252", "encodings.idna",
        "encodings.iso8859_15", "encodings.latin_1", "encodings.utf_16", "encodings.utf_8_sig",
]  # fmt: skip


@pytest.mark.parametrize("module", _USED)
def test_what_data_programs_import_is_there(module: str) -> None:
    path = module.replace(".", "/")
    source = f"{path}.py" if (_LIBRARY / f"{path}.py").exists() else f"{path}/__init__.py"
    assert is_useful(PurePosixPath(source)) or not (_LIBRARY / source).exists()


@pytest.mark.parametrize(
    "path",
    [
        "turtle.py", "smtplib.py", "xml/dom/minidom.py", "wsgiref/util.py", "encodings/cp037.py",
        "ctypes/macholib/dyld.py", "multiprocessing/popen_fork.py", "email/mime/text.py",
        "lib-dynload/ossaudiodev.cpython-311-x86_64-linux-gnu.so",
    ],
)  # fmt: skip
def test_what_no_program_inside_can_use_is_left_out(path: str) -> None:
    assert not is_useful(PurePosixPath(path))


def test_a_module_that_is_not_known_stays() -> None:
    assert is_useful(PurePosixPath("a_module_of_tomorrow.py"))


def test_the_standard_library_inside_is_small() -> None:
    """Start-up is paid by the file: what is added here is paid at every start of every enclave."""
    files = [path.relative_to(_LIBRARY) for path in _LIBRARY.rglob("*.py")]
    skipped = {"test", "tests", "site-packages", "idlelib", "lib2to3", "tkinter", "turtledemo", "distutils"}
    skipped |= {"ensurepip", "venv", "curses", "pydoc_data"}
    useful = [path for path in files if is_useful(PurePosixPath(path)) and not skipped & set(path.parts)]
    assert len(useful) < 340
