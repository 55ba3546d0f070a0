"""The inputs as a read-only fsspec file system, which is how DuckDB takes files that lie nowhere on a disk.

Loaded only when a program asks for it: fsspec comes with the program's own packages and is no part of
sealroom. Must never list or open anything but the inputs. Spec: docs/spec/enclave-session.md, "Inputs".
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fsspec.spec import AbstractFileSystem

from sealroom.enclave.inputs import Input
from sealroom.enclave.threaded_reader import ThreadedReader

PROTOCOL = "inputs"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


# fsspec has no types.
class InputsFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """`inputs://<provider>/<name>`: a folder for each Data Provider, by its index."""

    protocol = PROTOCOL
    # One run, one set of inputs: nothing for fsspec to keep by its arguments.
    cachable = False

    def __init__(self, inputs: Iterable[Input], *, providers: int) -> None:
        super().__init__()
        self._inputs = {f"{file.provider}/{file.name}": file for file in inputs}
        self._folders: dict[str, list[str]] = {str(number): [] for number in range(providers)}
        for path, file in self._inputs.items():
            self._folders[str(file.provider)].append(path)

    def ls(self, path: str, detail: bool = True, **_: object) -> list[Any]:
        """List the providers, or the files of one."""
        path = self._strip_protocol(path).strip("/")
        if path in self._inputs:
            found = [path]
        elif path:
            found = self._folder(path)
        else:
            found = list(self._folders)
        return [self.info(each) for each in found] if detail else found

    def info(self, path: str, **_: object) -> dict[str, Any]:
        """Give name, size and type, as fsspec spells them."""
        path = self._strip_protocol(path).strip("/")
        if path in self._inputs:
            return {"name": path, "size": self._inputs[path].size, "type": "file"}
        if path:
            self._folder(path)
        return {"name": path, "size": 0, "type": "directory"}

    def modified(self, path: str) -> datetime:
        """Give one time for all: an input never changes."""
        self.info(path)
        return _NEVER

    def _folder(self, path: str) -> list[str]:
        try:
            return self._folders[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "no such input", path) from None

    def _open(self, path: str, mode: str = "rb", **_: object) -> ThreadedReader:
        if mode != "rb":
            raise OSError(errno.EROFS, "inputs can only be read", path)
        try:
            return ThreadedReader(self._inputs[self._strip_protocol(path).strip("/")])
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "no such input", path) from None
