"""The ignore file of a service's `src/`: which files stay at home.

Spec: docs/spec/service-package.md, "What stays at home".
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from sealroom.client.private_files import read_bounded
from sealroom.core.errors import MalformedError

IGNORE_FILES = (".sealroomignore", ".mseignore")
_MAX_BYTES = 64 * 1024


def read_ignored(folder: Path) -> Callable[[str, bool], bool]:
    """Return what says of a path in `folder`, and of whether it is a folder, that it stays at home.

    Reads `.sealroomignore`, or without it `.mseignore`. Raises `MalformedError` for a line that has no
    meaning here.
    """
    patterns = tuple(_patterns(folder))
    return lambda path, is_folder: any(_matches(pattern, path, is_folder) for pattern in patterns)


def _patterns(folder: Path) -> list[str]:
    for name in IGNORE_FILES:
        try:
            raw = read_bounded(folder / name, max_bytes=_MAX_BYTES, what=name)
        except FileNotFoundError:
            continue
        try:
            lines = raw.decode("utf-8").splitlines()
        except UnicodeDecodeError as exc:
            raise MalformedError(f"{name}: expected UTF-8") from exc
        return [_checked(line.strip(), name) for line in lines if line.strip() and not line.startswith("#")]
    return []


def _checked(pattern: str, name: str) -> str:
    if pattern.startswith("!") or "**" in pattern or "\\" in pattern:
        raise MalformedError(f"{name}: {pattern}: !, ** and \\ have no meaning here")
    return pattern


def _matches(pattern: str, path: str, is_folder: bool) -> bool:
    wants_folder = pattern.endswith("/")
    if wants_folder and not is_folder:
        return False
    wanted = pattern.rstrip("/")
    if "/" in wanted:
        # From the top, and a star stays within one name.
        parts, found = wanted.lstrip("/").split("/"), path.split("/")
        return len(parts) == len(found) and all(map(fnmatchcase, found, parts))
    return fnmatchcase(path.rpartition("/")[2], wanted)
