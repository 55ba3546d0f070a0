"""The import hook: modules and packages of the code list, decrypted in memory when they are imported.

It is an entry of the module path that Python's own path finder asks, so names, search order and namespace
packages are Python's. The root that `__file__` and the module path name is a name alone: nothing lies there,
so nothing can read a ciphertext by mistake. Must never write a plaintext anywhere, nor find a file that is
not on the code list; a sealed file has no source to show. Spec: docs/spec/enclave-session.md, "Importing".
"""

from __future__ import annotations

import builtins
import errno
import io
import linecache
import os
import posixpath
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    BuiltinImporter,
    FrozenImporter,
    ModuleSpec,
    NamespaceLoader,
    PathFinder,
    SourcelessFileLoader,
)
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from sealroom.core.wire.terms import ENTRY

if TYPE_CHECKING:
    from importlib.resources.abc import TraversableResources

    from sealroom.enclave.program_code import ProgramCode
    from sealroom.enclave.service.sealed_code import ServiceFiles

_SOURCE_SUFFIX = ".py"
_PACKAGE_MODULE = "__init__"
_SYNTAX_ERRORS = (SyntaxError, IndentationError, TabError)
# Python would ask for a compiled module first, and so does this, to say why there is none.
_SUFFIXES = (*EXTENSION_SUFFIXES, _SOURCE_SUFFIX)


class Importer:
    """The files of one program as a part of the module path. `root` is where they are said to be."""

    def __init__(self, code: ProgramCode | ServiceFiles, root: str) -> None:
        self._code = code
        self._paths = code.paths
        self._root = posixpath.normpath(root)
        self._folders: dict[str, set[str]] = {"": set()}
        for path in self._paths:
            _add_parents(self._folders, path)
        self.lines_of: dict[str, int] = {}

    def install(self, *, explain: bool = True) -> None:
        """Be what the folder of a script is at home: the first entry of the module path.

        `explain` has files of the archive that are opened by their path refused with what to do instead.
        """
        self._forget_shadowed_modules()
        sys.path_hooks.insert(0, self.finder_of)
        sys.path.insert(0, self._root)
        sys.meta_path.insert(sys.meta_path.index(PathFinder), _NamespaceFinder(self))
        if explain:
            sys.addaudithook(self._explain_open)

    def finder_of(self, entry: str) -> FolderFinder:
        """Return the finder of an entry of the module path; `ImportError` leaves the entry to other hooks."""
        folder = self.folder_at(entry)
        if folder is None:
            raise ImportError("not a folder of the program", path=entry)
        return FolderFinder(self, folder)

    def folder_at(self, location: str) -> str | None:
        """Return the folder of the program that `location` names, `""` for its root, `None` for none."""
        path = self._path_at(location)
        return path if path in self._folders else None

    def names_in(self, folder: str) -> set[str]:
        """Return the names of the files and folders in `folder`, which must be one."""
        return self._folders[folder]

    def is_file(self, path: str) -> bool:
        """Say whether the code list has a file of that path."""
        return path in self._paths

    def is_folder(self, path: str) -> bool:
        """Say whether a file of the code list lies below that path."""
        return path in self._folders

    def find_in(self, folder: str, name: str) -> ModuleSpec | None:
        """Find the module called `name` among the files in `folder`.

        A folder without `__init__.py` gives a spec without a loader: a portion of a namespace package.
        """
        last = name.rpartition(".")[2]
        names, base = self._folders[folder], _join(folder, last)
        inside = self._folders.get(base, set()) if last in names else set()
        for suffix in _SUFFIXES:
            if _PACKAGE_MODULE + suffix in inside:
                return self._spec(name, f"{base}/{_PACKAGE_MODULE}{suffix}", package=base)
        for suffix in _SUFFIXES:
            if last + suffix in names and base + suffix in self._paths:
                return self._spec(name, base + suffix)
        if not inside:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [self.location_of(base)]
        return spec

    def load_code(self, path: str) -> CodeType:
        """Decrypt and compile a file of the code list.

        Raises `SyntaxError`, or its kind, without the text of the line.
        """
        source = self._code.read(path)
        self.lines_of[path] = source.count(b"\n") + source.count(b"\r") + 1
        shown = self.public_source(path) or ""
        # What prints a line of source asks here first; otherwise it would search the disk for the name.
        linecache.cache[path] = (len(source), None, shown.splitlines(keepends=True), path)
        try:
            return compile(source, path, "exec", dont_inherit=True)
        except SyntaxError as exc:
            kind = type(exc) if type(exc) in _SYNTAX_ERRORS else SyntaxError
            raise kind(exc.msg, (path, exc.lineno, exc.offset, None)) from None

    def public_source(self, path: str) -> str | None:
        """Return the source of a file that travels in the clear, and `None` for a sealed one."""
        raw = self._code.clear.get(path)
        return None if raw is None else raw.decode("utf-8", "replace")

    def open_file(self, name: str) -> io.BufferedReader:
        """Open a file by its path in the code list, or by its place below the root, for reading.

        Raises `FileNotFoundError` when the list has no such file.
        """
        path = self._path_at(name) if posixpath.isabs(name) else posixpath.normpath(name)
        if path is None or path not in self._paths:
            raise FileNotFoundError(errno.ENOENT, "no such file in the code archive", name)
        return self._code.open(path)

    def location_of(self, path: str) -> str:
        """Return the place that `__file__` names."""
        return _join(self._root, path)

    def _path_at(self, location: str) -> str | None:
        place = posixpath.normpath(location)
        if place == self._root:
            return ""
        return place[len(self._root) + 1 :] if place.startswith(f"{self._root}/") else None

    def _spec(self, name: str, path: str, *, package: str | None = None) -> ModuleSpec:
        location = self.location_of(path)
        sealed = path.endswith(_SOURCE_SUFFIX)
        loader = SealedLoader(self, name, path) if sealed else _NativeLoader(name, location)
        spec = ModuleSpec(name, loader, origin=location, is_package=package is not None)
        spec.has_location = True
        if package is not None:
            spec.submodule_search_locations = [self.location_of(package)]
        return spec

    def _forget_shadowed_modules(self) -> None:
        """Let the program's own module win over one of the standard library that was loaded for the session.

        A script would find its own one first, except in place of what is built into the interpreter.
        """
        for name in sys.stdlib_module_names & {
            entry.removesuffix(_SOURCE_SUFFIX) for entry in self._folders[""]
        }:
            builtin = BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name)
            own = self.find_in("", name)
            if builtin is None and name != "encodings" and own is not None and own.loader is not None:
                for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
                    del sys.modules[loaded]

    def _explain_open(self, event: str, arguments: tuple[object, ...]) -> None:
        """Say what to do instead where a program opens a file of the archive by its path, as at home."""
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        name, (_, mode, flags) = os.fsdecode(arguments[0]), arguments
        if isinstance(flags, int) and flags & os.O_CREAT:
            return
        path = self._path_at(name)
        # Our own files are opened by a folder's descriptor, and without a mode.
        if path is None and mode is not None and not posixpath.isabs(name) and not posixpath.exists(name):
            path = posixpath.normpath(name)
        if path in self._paths:
            raise FileNotFoundError(
                errno.ENOENT,
                f"a file of the code archive, which lies on no disk: use Enclave().open_code_file({path!r}) "
                "or importlib.resources",
                name,
            )


class FolderFinder:
    """The finder of one folder of the program, as `sys.path_importer_cache` keeps it."""

    def __init__(self, importer: Importer, folder: str) -> None:
        self._importer = importer
        self._folder = folder

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module, a package or a portion of a namespace package."""
        return self._importer.find_in(self._folder, name)

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Give name and kind of each module and package in this folder, for `pkgutil`."""
        names = self._importer.names_in(self._folder)
        for module in sorted({name.removesuffix(_SOURCE_SUFFIX) for name in names} - {_PACKAGE_MODULE}):
            spec = None if "." in module else self._importer.find_in(self._folder, module)
            if spec is not None and spec.loader is not None:
                yield prefix + module, spec.submodule_search_locations is not None


class SealedLoader(SourcelessFileLoader):
    """Loads one file of the code list as a module; only a clear file has a source."""

    def __init__(self, importer: Importer, name: str, path: str) -> None:
        super().__init__(name, importer.location_of(path))
        self._importer = importer
        self._path = path

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled module."""
        return self._importer.load_code(self._path)

    # The class that this one extends knows no source at all.
    def get_source(self, fullname: str) -> str | None:  # type: ignore[override]
        """Return the source of a clear file; of a sealed one nothing, so that no traceback shows it."""
        return self._importer.public_source(self._path)

    def get_data(self, path: str) -> bytes:
        """Return a file of the program's, decrypted, as `pkgutil.get_data` asks for it."""
        with self._importer.open_file(path) as file:
            return file.read()

    # Python's own readers are made for paths of a disk, and typed so.
    def get_resource_reader(self, name: str) -> TraversableResources:  # type: ignore[override]
        """Return what `importlib.resources` reads the files beside this module with."""
        # Loaded for those who ask: it brings temporary files and more with it.
        from sealroom.enclave.code_resources import CodeResources

        return CodeResources(self._importer, (posixpath.dirname(self._path),))


class _NativeLoader(SourcelessFileLoader):
    """Refuses a compiled module of the archive."""

    def get_code(self, fullname: str) -> CodeType:
        """Raise the `ImportError` that says why."""
        raise ImportError(
            "native code is loaded from measured packages alone, never from the code archive: name its "
            "package in requirements.txt",
            name=fullname,
            path=self.path,
        )


class _NamespaceFinder:
    """Python's own path finder; folders of the program in what it finds get a loader that can read them."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what `sys.path`, or the path of the parent package, has."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is None and spec.submodule_search_locations is not None:
            found = (self._importer.folder_at(entry) for entry in spec.submodule_search_locations)
            folders = tuple(folder for folder in found if folder is not None)
            if folders:
                spec.loader = _FolderLoader(self._importer, name, folders)
        return spec


class _FolderLoader(NamespaceLoader):
    """Loads a namespace package of which some folders are the program's."""

    def __init__(self, importer: Importer, name: str, folders: tuple[str, ...]) -> None:
        super().__init__(name, [importer.location_of(folder) for folder in folders], PathFinder.find_spec)
        self._importer = importer
        self._folders = folders

    def exec_module(self, module: ModuleType) -> None:
        """Say, as Python does, that there is no file."""
        module.__file__ = None

    def get_resource_reader(self, name: object) -> TraversableResources:  # type: ignore[override]
        """Return what `importlib.resources` reads the program's files in it with."""
        from sealroom.enclave.code_resources import CodeResources

        return CodeResources(self._importer, self._folders)


def main_module(importer: Importer) -> ModuleType:
    """Make the module that the entry point runs in, with what a script's has."""
    module = ModuleType("__main__")
    module.__file__ = importer.location_of(ENTRY)
    module.__loader__ = SealedLoader(importer, "__main__", ENTRY)
    vars(module).update(__builtins__=builtins, __annotations__={}, __cached__=None)
    return module


def _add_parents(folders: dict[str, set[str]], path: str) -> None:
    folder, _, name = path.rpartition("/")
    if folder not in folders:
        folders[folder] = set()
        _add_parents(folders, folder)
    folders[folder].add(name)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
