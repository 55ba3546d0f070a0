"""Files of the program as `importlib.resources` wants them: folders to walk, files to open.

A file is decrypted while it is read, chunk by chunk. `importlib.resources.as_file` makes a copy in the
temporary folder, which is memory of the enclave. Spec: docs/spec/enclave-session.md, "Importing".
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from importlib.resources.abc import Traversable, TraversableResources
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sealroom.enclave.importer import Importer


class CodeResources(TraversableResources):
    """The files beside a module. A namespace package can have several folders."""

    def __init__(self, importer: Importer, folders: tuple[str, ...]) -> None:
        self._importer = importer
        self._folders = folders

    def files(self) -> Traversable:
        """Return the folder, which need not be one on any disk."""
        return CodePath(self._importer, self._folders)


class CodePath(Traversable):
    """A path of the code list, or what several folders have under one name; the first file of it counts."""

    def __init__(self, importer: Importer, paths: tuple[str, ...]) -> None:
        self._importer = importer
        self._paths = paths

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._paths[0].rpartition("/")[2]

    def is_file(self) -> bool:
        """Say whether the code list has this file."""
        return any(map(self._importer.is_file, self._paths))

    def is_dir(self) -> bool:
        """Say whether files of the code list lie below."""
        return any(map(self._importer.is_folder, self._paths))

    def iterdir(self) -> Iterator[Traversable]:
        """Give what lies in this folder, each name once, sorted."""
        folders = [path for path in self._paths if self._importer.is_folder(path)]
        if not folders:
            raise NotADirectoryError(errno.ENOTDIR, "no folder of the code list", self._paths[0])
        return map(self.joinpath, sorted(set().union(*map(self._importer.names_in, folders))))

    def joinpath(self, *descendants: str | os.PathLike[str]) -> Traversable:
        """Return what lies below, whether or not it is there."""
        paths = self._paths
        for descendant in descendants:
            for part in os.fspath(descendant).split("/"):
                paths = tuple(_below(path, part) for path in paths)
        return CodePath(self._importer, paths)

    def __truediv__(self, child: str | os.PathLike[str]) -> Traversable:
        return self.joinpath(child)

    def read_bytes(self) -> bytes:
        """Return the content."""
        with self.open("rb") as file:
            return bytes(file.read())

    def read_text(self, encoding: str | None = None) -> str:
        """Return the content as text, of UTF-8 unless told."""
        with self.open("r", encoding=encoding) as file:
            return str(file.read())

    # Any: the signature that Traversable asks for.
    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> IO[Any]:  # noqa: ANN401
        """Open for reading: `"r"` for text, with the arguments of `io.TextIOWrapper`, `"rb"` for bytes."""
        if mode not in ("r", "rb", "rt"):
            raise ValueError(f"mode {mode!r}: files of the program are only read")
        path = next(filter(self._importer.is_file, self._paths), self._paths[0])
        file = self._importer.open_file(path)
        return file if mode == "rb" else io.TextIOWrapper(file, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<CodePath {self._paths[0]!r}>"


def _below(path: str, part: str) -> str:
    # As a file system would: a dot stays, two go up, and not beyond the program.
    if part in ("", "."):
        return path
    if part == "..":
        return path.rpartition("/")[0]
    return f"{path}/{part}" if path else part
