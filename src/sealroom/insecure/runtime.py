"""The runtime of the simulated enclave: this machine's own Python, as a tree with exactly what is measured.

What for: the enclave must see the interpreter, the standard library, PyNaCl, the shared libraries that they
load and those that wheels may expect, and nothing else of the host. The files are copied once into a store
that all launches share.

Must never: put a file into the tree that is not in the list it returns, or read one through a name that a
program inside could have made. Spec page: docs/spec/launch-folder.md, "The runtime".
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sealroom.core.measurement.library_archive import belongs_into_archive, library_archive
from sealroom.insecure.standard_library import is_measured_file, is_skipped_folder, is_useful

_LIBRARY = PurePosixPath(sys.platlibdir) / f"python{sys.version_info.major}.{sys.version_info.minor}"
_Source = Path | bytes

_PACKAGES = ("nacl",)
# What wheels for manylinux may expect of the system (PEP 600), without what draws. What is not here is left
# out: a package that needs it says so when it is imported.
_EXPECTED_BY_WHEELS = (
    "libc.so.6", "libdl.so.2", "libexpat.so.1", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0",
    "libresolv.so.2", "librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1",
)  # fmt: skip
_LIBRARY_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_NATIVE_MODULE = "_cffi_backend"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFile:
    """One measured file of the runtime: its path below `runtime/`, and where the host keeps it."""

    path: str
    host_path: Path
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A staged tree, and its files in the order of their paths."""

    root: Path
    files: tuple[RuntimeFile, ...]


def stage_runtime(store: Path, *, serves: bool = False) -> Runtime:
    """Copy this interpreter's runtime below `store`, unless the very same one is there, and list it.

    `serves` is for services, which have more of the standard library.

    The tree is named by the digest of its files, so an upgraded host gets a new tree and a running enclave
    keeps its own. Raises `RuntimeError` when a part of the runtime is missing on this machine.
    """
    sources = dict(sorted(_sources(serves=serves)))
    digests = {path: _sha256(source) for path, source in sources.items()}
    root = store / _tree_name(digests)
    if not root.is_dir():
        _copy_tree(sources, root)
    files = tuple(
        RuntimeFile(path=path, host_path=root / path, sha256=digest) for path, digest in digests.items()
    )
    return Runtime(root=root, files=files)


def _sources(*, serves: bool) -> Iterator[tuple[str, _Source]]:
    """Yield (path below `runtime/`, file of this machine or what it contains), each path once."""
    executable = _interpreter()
    yield "bin/python3", executable
    libraries = {executable}
    yield from _archived(serves=serves)
    for path, source in (*_kept_as_files(serves=serves), *_packages()):
        if source.suffix != ".py":
            libraries.add(source)
        yield path, source
    loaded = {library.name: library for library in sorted(_shared_libraries(libraries))}
    for name, library in sorted((_expected_libraries(loaded.values()) | loaded).items()):
        yield f"lib/{name}", library


def _interpreter() -> Path:
    # A venv's python is a link to the real one, or with `--copies` a copy that says whose.
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(base).resolve()


def _archived(*, serves: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the modules of the standard library, as the archive in which the interpreter looks first."""
    modules = {
        path.relative_to(_LIBRARY).as_posix(): source.read_bytes()
        for path, source in _standard_library(serves=serves)
        if belongs_into_archive(path.relative_to(_LIBRARY))
    }
    yield (
        f"{sys.platlibdir}/python{sys.version_info.major}{sys.version_info.minor}.zip",
        library_archive(modules),
    )


def _kept_as_files(*, serves: bool) -> Iterator[tuple[str, Path]]:
    for path, source in _standard_library(serves=serves):
        if not belongs_into_archive(path.relative_to(_LIBRARY)):
            yield str(path), source


def _standard_library(*, serves: bool) -> Iterator[tuple[PurePosixPath, Path]]:
    pure = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix})).resolve()
    yield from _useful(_tree(pure, _LIBRARY), serves=serves)
    native = Path(sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix})).resolve()
    if native != pure and not native.is_relative_to(Path(sys.prefix).resolve()):
        yield from _useful(_tree(native / "lib-dynload", _LIBRARY / "lib-dynload"), serves=serves)


def _useful(
    files: Iterator[tuple[PurePosixPath, Path]], *, serves: bool
) -> Iterator[tuple[PurePosixPath, Path]]:
    for path, source in files:
        if is_useful(path.relative_to(_LIBRARY), serves=serves):
            yield path, source


def _packages() -> Iterator[tuple[str, Path]]:
    target = _LIBRARY / "site-packages"
    for name in _PACKAGES:
        folder = _installed(name)
        if folder is not None:
            yield from ((str(path), source) for path, source in _tree(folder, target / name))
    module = _installed(f"{_NATIVE_MODULE}{sysconfig.get_config_var('EXT_SUFFIX')}")
    if module is None or _installed("nacl") is None:
        raise RuntimeError("runtime: PyNaCl is not installed in this environment")
    yield str(target / module.name), module


def _installed(name: str) -> Path | None:
    for place in (sysconfig.get_path("platlib"), sysconfig.get_path("purelib"), *sys.path):
        candidate = Path(place) / name
        if place and candidate.exists():
            return candidate.resolve()
    return None


def _tree(folder: Path, target: PurePosixPath) -> Iterator[tuple[PurePosixPath, Path]]:
    for current, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not is_skipped_folder(name))
        below = PurePosixPath(Path(current).relative_to(folder).as_posix())
        for name in sorted(files):
            source = (Path(current) / name).resolve()
            if is_measured_file(PurePosixPath(name)) and source.is_file():
                yield target / below / name, source


def _shared_libraries(binaries: set[Path]) -> set[Path]:
    """Return the libraries of the host that `binaries` load, the dynamic loader among them."""
    ldd = shutil.which("ldd")
    if ldd is None:
        raise RuntimeError("runtime: the program ldd is missing (Debian: libc-bin)")
    command = [ldd, *map(str, sorted(binaries))]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - fixed program
    own = {binary.name for binary in binaries}
    found: set[Path] = set()
    for line in listing.splitlines():
        if not line.startswith("\t") or "not found" in line:
            continue
        path = next((word for word in line.split() if word.startswith("/")), None)
        # Keep the name that programs ask for: it is often a link to a longer one.
        if path is not None and Path(path).name not in own:
            found.add(Path(path))
    return found


def _expected_libraries(loaded: Iterable[Path]) -> dict[str, Path]:
    """Return what wheels may expect, where this machine has it: beside what the interpreter loads, first."""
    folders = list(dict.fromkeys([*(path.parent for path in loaded), *map(Path, _LIBRARY_FOLDERS)]))
    found = {}
    for name in _EXPECTED_BY_WHEELS:
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is not None:
            found[name] = path
    return found


def _sha256(source: _Source) -> bytes:
    if isinstance(source, bytes):
        return hashlib.sha256(source).digest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _tree_name(digests: dict[str, bytes]) -> str:
    listing = hashlib.sha256(b"sealroom/v1/simulated-runtime\0")
    for path, digest in digests.items():
        listing.update(path.encode() + b"\0" + digest)
    return listing.hexdigest()[:32]


def _copy_tree(sources: Mapping[str, _Source], root: Path) -> None:
    """Copy into a folder beside `root`, then rename: a tree that is there is whole."""
    partial = root.with_name(f"{root.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    for path, source in sources.items():
        copy = partial / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            copy.write_bytes(source)
        else:
            shutil.copyfile(source, copy)
        copy.chmod(0o555 if path.startswith("bin/") or ".so" in copy.name else 0o444)
    try:
        partial.rename(root)
    except OSError:
        # Another launch was faster with the very same tree.
        shutil.rmtree(partial)
        if not root.is_dir():
            raise
