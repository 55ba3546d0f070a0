"""Writing a folder of vectors, or comparing it with what its program makes: one folder a case."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol


class Case(Protocol):
    """One case: its name, and its files by their names."""

    name: str

    def contents(self) -> dict[str, bytes]:
        """Return the files."""


def write_or_check(folder: Path, makers: Iterable[Callable[[], Iterable[Case]]]) -> int:
    """Write every case below `folder`; with `--check`, compare instead. Returns the exit code."""
    wanted = _all_files(makers)
    present = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    if sys.argv[1:] == ["--check"]:
        wrong = sorted(n for n in wanted.keys() | present.keys() if wanted.get(n) != present.get(n))
        print("\n".join(wrong) if wrong else f"{len(wanted)} files are as they should be")
        return 1 if wrong else 0
    for name in present.keys() - wanted.keys():
        (folder / name).unlink()
    for name, raw in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    print(f"wrote {len(wanted)} files")
    return 0


def _all_files(makers: Iterable[Callable[[], Iterable[Case]]]) -> dict[str, bytes]:
    cases = [case for maker in makers for case in maker()]
    if len({case.name for case in cases}) != len(cases):
        raise SystemExit("two cases have one name")
    return {f"{case.name}/{name}": raw for case in cases for name, raw in case.contents().items()}
