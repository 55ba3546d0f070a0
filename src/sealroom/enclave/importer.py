"""The import hook: modules and packages of the code list, decrypted in memory when they are imported.

A traceback through such a module has its file and line and no source: `get_source` gives none for a sealed
file, and a syntax error loses its text. Must never write a plaintext anywhere, nor find a file that is not on
the code list. Spec: docs/spec/enclave-session.md, "Importing".
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import PurePosixPath
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, cast

from sealroom.core.wire.terms import ENTRY
from sealroom.enclave.program_code import ProgramCode

if TYPE_CHECKING:
    from importlib.abc import Loader

_PACKAGE_FILE = "__init__.py"


class Importer:
    """Finds modules among the files of one program. `root` is where the code folder is said to be."""

    def __init__(self, code: ProgramCode, root: str) -> None:
        self._code = code
        self._root = PurePosixPath(root)
        self._folders = frozenset(
            str(parent) for path in code.paths for parent in PurePosixPath(path).parents
        )
        self.lines_of: dict[str, int] = {}

    def install(self) -> None:
        """Look here as Python would look into the folder of a script: before all other folders.

        Folders without `__init__.py` come last, since a real package of that name anywhere has precedence.
        """
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
        sys.meta_path.insert(place, self)
        sys.meta_path.append(_FolderFinder(self))

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module file or a package; `None` leaves the name to other finders."""
        for folder in self._own_folders(path):
            base = folder / name.rpartition(".")[2]
            for file, is_package in (
                (base / _PACKAGE_FILE, True),
                (base.with_name(f"{base.name}.py"), False),
            ):
                if str(file) in self._code.paths:
                    return self._spec(name, str(file), is_package=is_package)
        return None

    def find_folder(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Find a folder without `__init__.py`: a namespace package."""
        for folder in self._own_folders(path):
            base = folder / name.rpartition(".")[2]
            if str(base) in self._folders:
                spec = ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = [str(self._root / base)]
                return spec
        return None

    def load_code(self, path: str) -> CodeType:
        """Decrypt and compile a file of the code list.

        Raises `SyntaxError` without the text of the line.
        """
        source = self._code.read(path)
        self.lines_of[path] = source.count(b"\n") + source.count(b"\r") + 1
        try:
            return compile(source, path, "exec", dont_inherit=True)
        except SyntaxError as exc:
            raise SyntaxError(exc.msg, (path, exc.lineno, exc.offset, None)) from None

    def public_source(self, path: str) -> str | None:
        """Return the source of a file that travels in the clear, and `None` for a sealed one."""
        raw = self._code.clear.get(path)
        return None if raw is None else raw.decode("utf-8", "replace")

    def read_file(self, location: str) -> bytes:
        """Return any file of the code list by its place below `root`; raises `OSError` when there is none."""
        try:
            return self._code.read(str(PurePosixPath(location).relative_to(self._root)))
        except (KeyError, ValueError) as exc:
            raise FileNotFoundError(f"{location}: not in the code list") from exc

    def loader_of(self, path: str) -> Loader:
        """Return the loader of the file at `path`."""
        return cast("Loader", SealedLoader(self, path))

    def location_of(self, path: str) -> str:
        """Return the place that `__file__` names."""
        return str(self._root / path)

    def _own_folders(self, path: Sequence[str] | None) -> list[PurePosixPath]:
        """Return which of the folders that are searched belong to the program, relative to the root."""
        if path is None:
            return [PurePosixPath()]
        places = [PurePosixPath(entry) for entry in path]
        return [place.relative_to(self._root) for place in places if place.is_relative_to(self._root)]

    def _spec(self, name: str, path: str, *, is_package: bool) -> ModuleSpec:
        location = self.location_of(path)
        spec = ModuleSpec(name, self.loader_of(path), origin=location, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [str(PurePosixPath(location).parent)]
        return spec


class SealedLoader:
    """Loads one file of the code list as a module."""

    def __init__(self, importer: Importer, path: str) -> None:
        self._importer = importer
        self._path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave making the module to Python."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code in its namespace."""
        exec(self.get_code(module.__name__), vars(module))  # noqa: S102 - this is what importing means

    def get_code(self, name: str) -> CodeType:
        """Return the compiled module."""
        return self._importer.load_code(self._path)

    def get_source(self, name: str) -> str | None:
        """Return the source of a clear file; of a sealed one nothing, so that no traceback shows it."""
        return self._importer.public_source(self._path)

    def get_filename(self, name: str) -> str:
        """Return what `__file__` says."""
        return self._importer.location_of(self._path)

    def is_package(self, name: str) -> bool:
        """Say whether the file is a package's `__init__.py`."""
        return PurePosixPath(self._path).name == _PACKAGE_FILE

    def get_data(self, path: str) -> bytes:
        """Return a file of the program's, decrypted, as `pkgutil.get_data` asks for it."""
        return self._importer.read_file(path)


class _FolderFinder:
    """The last of all finders: folders of the program that are no regular package."""

    def __init__(self, importer: Importer) -> None:
        self._importer = importer

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a namespace package."""
        return self._importer.find_folder(name, path)


def main_module(importer: Importer) -> ModuleType:
    """Make the module that the entry point runs in."""
    module = ModuleType("__main__")
    module.__file__ = importer.location_of(ENTRY)
    module.__loader__ = importer.loader_of(ENTRY)
    module.__builtins__ = __builtins__  # type: ignore[attr-defined]
    return module
