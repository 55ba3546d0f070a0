"""The runtime of the simulated TEE: the interpreter and libraries of the machine it runs on.

The simulated enclave measures the Python that starts it, each file by digest under a fixed path below
`runtime/`. Nothing here is compared by a client: another machine has another Python. The runtime of a real
enclave is a bill of materials of the release instead.

Spec: docs/spec/manifest.md, "Runtime".
"""

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sealroom.adapters.hashing import hash_files
from sealroom.core.measurement.template import INTERPRETER_PATH, RUNTIME_FOLDER, MeasuredFile

# Third-party packages that programs in an enclave may import, besides the standard library.
_PACKAGES = ("nacl", "cffi", "numpy")
_MODULES = ("_cffi_backend",)
# Folders of libraries that a wheel brings along beside its package.
_PACKAGE_LIBRARIES = ("numpy.libs", "cffi.libs")
_LEFT_OUT_FOLDERS = {
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
}
_LEFT_OUT_SUFFIXES = {".a", ".c", ".exe", ".h", ".o", ".pxd", ".pyc", ".pyi", ".pyx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFile:
    """One file of the runtime: where the enclave sees it, where the host has it, and its digest."""

    path: str
    source: Path
    sha256: bytes

    @property
    def measured(self) -> MeasuredFile:
        """The file as the manifest lists it."""
        return MeasuredFile(path=self.path, sha256=self.sha256)


def load_simulated_runtime() -> tuple[RuntimeFile, ...]:
    """Return the files of the interpreter that runs this program, hashed, in the order of their paths.

    Raises `RuntimeError` where a package that programs may import is not installed.
    """
    sources = dict(sorted(_sources()))
    digests = hash_files(sources.values())
    return tuple(
        RuntimeFile(path=path, source=source, sha256=digest)
        for (path, source), digest in zip(sources.items(), digests, strict=True)
    )


def _sources() -> Iterator[tuple[str, Path]]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = f"{RUNTIME_FOLDER}/lib/{version}"
    yield INTERPRETER_PATH, Path(sys.executable).resolve()
    yield from _shared_interpreter_library()
    yield from _tree(library, Path(sysconfig.get_path("stdlib")))
    for name in (*_PACKAGES, *_MODULES):
        yield from _package(f"{library}/site-packages", name)


def _shared_interpreter_library() -> Iterator[tuple[str, Path]]:
    folder, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not folder or not name:
        return
    source = Path(folder, name)
    if source.is_file():
        yield f"{RUNTIME_FOLDER}/lib/{name}", source.resolve()


def _package(folder: str, name: str) -> Iterator[tuple[str, Path]]:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {name} is not installed, and the simulated enclave needs it")
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        yield f"{folder}/{origin.name}", origin.resolve()
        return
    yield from _tree(f"{folder}/{name}", origin.parent)
    for library in _PACKAGE_LIBRARIES:
        if library.split(".")[0] == name.lower() and (origin.parent.parent / library).is_dir():
            yield from _tree(f"{folder}/{library}", origin.parent.parent / library)


def _tree(prefix: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            # config-* holds what extensions are compiled with.
            if entry.name not in _LEFT_OUT_FOLDERS and not entry.name.startswith("config-"):
                yield from _tree(f"{prefix}/{entry.name}", entry)
        elif entry.is_file() and entry.suffix not in _LEFT_OUT_SUFFIXES:
            yield f"{prefix}/{entry.name}", entry.resolve()
