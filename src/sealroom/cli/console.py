"""What a person or a script sees: JSON on standard output, or text, tables and progress bars.

Text from other people (names, reasons, source code) goes through `visible`, which shows control and
bidirectional characters instead of obeying them.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, TypeAlias

import click

from sealroom.core.errors import MalformedError
from sealroom.core.wire.foreign_text import visible

Progress = Callable[[str, int, int], None]
Unit: TypeAlias = Literal["bytes", "files"]
Document = Mapping[str, object]

# Cells up to these widths stay whole on a narrow terminal: a UUID in front, else a role or a time.
_WHOLE_KEY = 36
_WHOLE_WORD = 15
_PIPED_WIDTH = 10_000
# Beside a label, however narrow the terminal is.
_NARROWEST = 24
LABEL_WIDTH = 14


class Console:
    """One command's output: either one JSON document, or lines for a person."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, document: Document, render: Callable[[], None]) -> None:
        """Print `document` where JSON was asked for; else call `render`."""
        if self.as_json:
            _print_json(document)
        else:
            render()

    def say(self, text: str) -> None:
        """Print one line of our own; nothing where JSON was asked for."""
        if not self.as_json:
            click.echo(text)

    def next_step(self, text: str) -> None:
        """Say what comes next."""
        if not self.as_json:
            click.secho("next: ", fg="cyan", nl=False)
            click.echo(text)

    def row(self, label: str, text: str, *, indent: int = 2, width: int = LABEL_WIDTH) -> None:
        """Print a label and what belongs to it, folded below itself where the terminal is narrow."""
        click.echo(f"{' ' * indent}{visible(label):<{width}} ", nl=False)
        self.fold(text, hang=indent + width + 1)

    def fold(self, text: str, *, hang: int) -> None:
        """Print somebody's text at column `hang`, further lines below it; what is piped is not folded."""
        room = self._columns() - hang
        lines = textwrap.wrap(visible(text), max(room, _NARROWEST), break_on_hyphens=False) or [""]
        click.echo(f"\n{' ' * hang}".join(lines))

    def _columns(self) -> int:
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPED_WIDTH

    def foreign(self, text: str) -> str:
        """Make `text` of somebody else safe to print."""
        return visible(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "none") -> None:
        """Print rows of cells, every cell shown literally; the sentence `empty` where there is no row."""
        if not rows:
            click.echo(empty)
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD)
        for number, column in enumerate(columns):
            longest = max(len(visible(row[number])) for row in rows)
            widest = _WHOLE_KEY if number == 0 else _WHOLE_WORD
            table.add_column(column, overflow="fold", min_width=min(longest, widest))
        for row in rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        # What is piped is read by programs: no line of it is folded.
        RichConsole(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)

    def error(self, message: str, *, code: str, hint: str | None) -> None:
        """Print an error on standard error, or as JSON on standard output."""
        if self.as_json:
            _print_json({"error": {"code": code, "message": message, "next": hint}})
            return
        click.secho("sealroom: ", fg="red", nl=False, err=True)
        click.echo(visible(message), err=True)
        if hint:
            click.secho("next: ", fg="cyan", nl=False, err=True)
            click.echo(hint, err=True)

    @contextmanager
    def transfers(self, *, unit: Unit = "bytes") -> Iterator[Progress]:
        """Show a bar on standard error for each thing that moves, counted in bytes or in files."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda label, done, total: None
            return
        from rich.console import Console as RichConsole
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            TaskID,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        count = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
        with Bars(*columns, console=RichConsole(stderr=True), transient=True) as bars:
            tasks: dict[str, TaskID] = {}

            def show(label: str, done: int, total: int) -> None:
                if label not in tasks:
                    tasks[label] = bars.add_task(escape(visible(label)), total=total)
                bars.update(tasks[label], completed=done, total=total)

            yield show


def _print_json(document: Document) -> None:
    import json

    click.echo(json.dumps(document, indent=2))


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Read a whole small file, or raise `MalformedError` where it is larger than `max_bytes`."""
    with path.open("rb") as stream:
        return read_stream(stream, name=str(path), max_bytes=max_bytes)


def read_stream(stream: IO[bytes], *, name: str, max_bytes: int) -> bytes:
    """Read all of `stream`, bounded by `max_bytes`."""
    content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise MalformedError(f"{name}: more than {max_bytes} bytes")
    return content
