"""Options that commands share, and the value a command gets from them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

import click

from sealroom.cli.console import Console

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_HOME = Path.home() / ".local" / "share" / "sealroom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """How this command was called: where its home is, and how it talks."""

    home: Path
    console: Console


def command_options(function: Callable[Concatenate[Invocation, P], R]) -> Callable[P, R]:
    """Add --home and --json to a command; its function gets an `Invocation` first."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="SEALROOM_HOME",
        default=DEFAULT_HOME,
        help="Your own folder: keys, contacts, journal. Default: $SEALROOM_HOME or ~/.local/share/sealroom.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        home, as_json = kwargs.pop("home"), kwargs.pop("as_json")
        if not isinstance(home, Path) or not isinstance(as_json, bool):
            raise TypeError("click gave --home or --json another type")
        return function(Invocation(home=home, console=Console(as_json=as_json)), *args, **kwargs)

    return command


class UuidType(click.ParamType[UUID]):
    """A computation's UUID."""

    name = "uuid"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Parse `value`, or fail as click expects."""
        if isinstance(value, UUID):
            return value
        try:
            return UUID(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a UUID", param, ctx)


INPUT_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
INPUT_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
OUTPUT_FILE = click.Path(path_type=Path, dir_okay=False)
