"""Where an opened result goes, under a name that the Code Provider's program chose.

The program may be hostile to the consumer too: it must not name its way out of the folder, nor onto a file
that is there. Must never: write a plaintext outside the folder, or take the place of another file.
Spec: docs/spec/container.md, "Opened results".
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePath, PureWindowsPath
from typing import BinaryIO, TypeVar

from sealroom.client.file_sealing import Opened
from sealroom.client.private_files import placing
from sealroom.core.errors import VerificationError

_P = TypeVar("_P", bound=PurePath)


def result_path(folder: _P, name: str) -> _P:
    """Return the file for a result; raises `VerificationError` for a name that is no plain file's here."""
    path = folder / name
    if isinstance(path, PureWindowsPath):
        # A drive, a stream of a file, a device, or a second spelling of another name.
        is_plain = not set(name) & set('<>:"|?*\\') and not path.is_reserved() and name == name.rstrip(" .")
    else:
        is_plain = path.name == name
    if not is_plain or path.parent != folder:
        raise VerificationError(f"result {name}: this system takes the name for something else than a file")
    return path


def store_result(path: Path, fill: Callable[[BinaryIO], Opened]) -> Opened:
    """Write what `fill` puts into its file to `path`, whole or not at all, and return what it says of it.

    A file that is there already stays, and has to be the very same; raises `VerificationError` if not.
    """
    if not os.path.lexists(path):
        with placing(path) as plain:
            return fill(plain)
    with Path(os.devnull).open("wb") as nowhere:
        opened = fill(nowhere)
    if _digest(path) != opened.sha256:
        raise VerificationError(
            f"result {path.name}: another file of this name is in {path.parent}; choose an empty folder"
        )
    return opened


def _digest(path: Path) -> bytes | None:
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
