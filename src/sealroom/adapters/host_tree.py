"""The files of this machine, as the expansion of a manifest asks for them.

Spec: docs/spec/manifest.md, "Expansion".
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from sealroom.adapters.hashing import Progress, hash_files, no_progress
from sealroom.core.measurement.expansion import EntryKind, FolderEntry


class HostTree:
    """Files by the paths of a manifest; a relative one lies below `base`."""

    def __init__(self, base: Path, *, progress: Progress = no_progress) -> None:
        self._base = base
        self._progress = progress

    def kind(self, path: str) -> EntryKind:
        """Return what is at `path`, links followed."""
        return _kind(self._base / path)

    def entries(self, path: str) -> Sequence[FolderEntry]:
        """Return what is in a folder; nothing where it cannot be listed."""
        try:
            with os.scandir(self._base / path) as found:
                return [
                    FolderEntry(name=entry.name, kind=_entry_kind(entry), is_link=entry.is_symlink())
                    for entry in found
                ]
        except PermissionError:
            return ()

    def digests(self, paths: Sequence[str]) -> Sequence[bytes]:
        """Return the SHA-256 of each file, in the order of `paths`."""
        return hash_files([self._base / path for path in paths], progress=self._progress)


def _entry_kind(entry: os.DirEntry[str]) -> EntryKind:
    if entry.is_symlink():
        return _kind(Path(entry.path))
    if not os.access(entry.path, os.R_OK):
        return EntryKind.OTHER
    if entry.is_dir(follow_symlinks=False):
        return EntryKind.FOLDER
    return EntryKind.FILE if entry.is_file(follow_symlinks=False) else EntryKind.OTHER


def _kind(path: Path) -> EntryKind:
    try:
        mode = path.stat().st_mode
    except OSError:
        return EntryKind.OTHER
    if not os.access(path, os.R_OK):
        return EntryKind.OTHER
    if stat.S_ISDIR(mode):
        return EntryKind.FOLDER
    return EntryKind.FILE if stat.S_ISREG(mode) else EntryKind.OTHER
