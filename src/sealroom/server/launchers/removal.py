"""Removing a folder that code which nobody could read has filled: whatever it holds, at any depth.

A program can nest folders deeper than a recursion or a path reaches, and close them to everybody. So each
folder is opened by its own descriptor, and what is in it moves to the top.

Must never: follow a link, or touch what lies outside the folder.
Spec page: docs/spec/launch-folder.md, "Removal".
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

_AS_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def remove_folder(folder: Path) -> None:
    """Remove `folder` and all that is in it; what the system does not let go stays. Nothing there is fine."""
    with suppress(OSError):
        top = _enter(str(folder), None)
        try:
            _empty(top)
        finally:
            os.close(top)
    shutil.rmtree(folder, ignore_errors=True)


def _empty(top: int) -> None:
    # Names that nobody in there could have taken before.
    fresh = (f"{secrets.token_hex(8)}.{number}" for number in count())
    while names := os.listdir(top):
        for name in names:
            if _unlinked(name, top):
                continue
            inner = _enter(name, top)
            try:
                _move_up(inner, top, fresh)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)


def _move_up(inner: int, top: int, fresh: Iterator[str]) -> None:
    for name in os.listdir(inner):
        if not _unlinked(name, inner):
            # Moving a folder writes into it: opened, it lets us.
            os.close(_enter(name, inner))
            os.rename(name, next(fresh), src_dir_fd=inner, dst_dir_fd=top)


def _unlinked(name: str, folder: int) -> bool:
    """Remove what is no folder; says whether it was none."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True


def _enter(name: str, parent: int | None) -> int:
    """Open a folder of ours for reading and writing, whatever mode it was given."""
    place = os.open(name, _AS_PLACE, dir_fd=parent)
    try:
        Path(f"/proc/self/fd/{place}").chmod(0o700)
        return os.open(".", _AS_FOLDER, dir_fd=place)
    finally:
        os.close(place)
