"""Refused files, as commands print them: what was refused, who needed it, what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sealroom.cli.console import Console
from sealroom.core.measurement.refused_files import RefusedFile, Remedy, parse_refused_files, remedy_for

Explained = tuple[RefusedFile, Remedy]


def explain_refusals(
    text: str, manifest: Mapping[str, object], *, is_file: Callable[[str], bool]
) -> tuple[Explained, ...]:
    """Return what `text`, a log, says was refused, each with its remedy under `manifest`."""
    return tuple((file, remedy_for(file, manifest, is_file=is_file)) for file in parse_refused_files(text))


def refusal_rows(found: Sequence[Explained]) -> list[dict[str, object]]:
    """Return them as JSON."""
    return [
        {
            "file": file.name,
            "refusal": file.refusal.value,
            "needed_by": file.needed_by,
            "do": remedy.sentence,
            "key": remedy.key,
            "line": remedy.line,
        }
        for file, remedy in found
    ]


def print_refusals(console: Console, found: Sequence[Explained]) -> None:
    """Print them for a person. Every name in them is foreign text."""
    for file, remedy in found:
        console.say(f"{console.foreign(file.name)}  ({file.refusal.value})")
        if file.needed_by is not None:
            console.say(f"  needed by  {console.foreign(file.needed_by)}")
        console.say(f"  do         {remedy.sentence}")
        if remedy.line is not None:
            console.say(f"  add        {remedy.key}: {console.foreign(remedy.line)}")
