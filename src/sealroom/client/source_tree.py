"""The files of a folder that leave home: found one by one, read through no link.

Must never: follow a link out of the folder, or give a name that two file systems could read differently.
"""

import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

from sealroom.core.errors import MalformedError
from sealroom.core.wire.names import check_path

_IGNORED_FOLDERS = frozenset({"__pycache__"})
_IGNORED_ENDINGS = (".pyc",)
_NATIVE_ENDINGS = (".so", ".pyd", ".dll", ".dylib")
# What a program imports from the enclave itself.
_TAKEN_NAMES = frozenset({"sealroom", "sealroom.py"})

Ignore = Callable[[str, bool], bool]
"""Told a path, and whether it is a folder: says whether it stays at home."""


def walk_files(folder: Path, *, what: str, ignore: Ignore) -> list[str]:
    """Return the relative paths of the files in `folder`, in no order.

    Hidden files, `__pycache__` and `.pyc` files are left out, and what `ignore` names. `what` stands in
    messages. Raises `MalformedError` for a link, for anything that is neither file nor folder, and for a name
    outside the format.
    """
    return _walk(folder, "", what, ignore)


def check_importable(path: str, *, what: str) -> None:
    """Refuse native code, which an enclave loads from measured packages alone, and names of sealroom's."""
    name = path.rpartition("/")[2]
    if name.endswith(_NATIVE_ENDINGS) or ".so." in name:
        raise MalformedError(
            f"{what}: {path} is native code, which an enclave loads from measured packages alone: name "
            "its package in requirements.txt, and leave the file out"
        )
    if path.partition("/")[0] in _TAKEN_NAMES:
        raise MalformedError(f"{what}: {path} is named like sealroom itself: give it another name")


def open_source(path: Path, *, what: str) -> BufferedReader:
    """Open a regular file, not through a link; raises `MalformedError` for anything else."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        raise MalformedError(f"{what}: {path.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise MalformedError(f"{what}: {path.name} is not a regular file")
    return file


def _walk(folder: Path, prefix: str, what: str, ignore: Ignore) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise MalformedError(f"{what}: {folder} cannot be read: {error.strerror}") from error
    found: list[str] = []
    for entry in listed:
        path = prefix + entry.name
        if ignore(path, entry.is_dir(follow_symlinks=False)):
            continue
        if entry.is_symlink():
            raise MalformedError(f"{what}: {path} is a link; only files and folders are sent")
        if entry.is_dir():
            if entry.name not in _IGNORED_FOLDERS:
                found += _walk(folder / entry.name, path + "/", what, ignore)
        elif not entry.is_file():
            raise MalformedError(f"{what}: {path} is neither a file nor a folder")
        elif not entry.name.endswith(_IGNORED_ENDINGS):
            check_path(path, field="code path")
            found.append(path)
    return found
