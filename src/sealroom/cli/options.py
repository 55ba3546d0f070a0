"""Options that commands share, and the value a command gets from them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

import click

from sealroom.cli.console import Console
from sealroom.client.home import Home
from sealroom.client.identity import identity_has_passphrase, load_identity
from sealroom.core.sealing.keys import SigningKey

PASSPHRASE_VARIABLE = "SEALROOM_PASSPHRASE"  # noqa: S105 - the variable's name, not its value

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """How this command was called: where its home is, and how it talks."""

    home: Path | None
    console: Console

    def open_home(self) -> Home:
        """Open the home folder, making it where it is missing."""
        return Home.open(self.home)

    def signing_key(self) -> SigningKey:
        """Open this home's identity; asks for its passphrase where it has one."""
        home = self.open_home()
        passphrase = ask_passphrase() if identity_has_passphrase(home) else None
        return load_identity(home, passphrase=passphrase)


def command_options(function: Callable[Concatenate[Invocation, P], R]) -> Callable[P, R]:
    """Add --home and --json to a command; its function gets an `Invocation` first."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="Your own folder: keys, contacts, journal. Default: $SEALROOM_HOME or ~/.local/share/sealroom.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        home, as_json = kwargs.pop("home"), kwargs.pop("as_json")
        if not isinstance(home, Path | None) or not isinstance(as_json, bool):
            raise TypeError("click gave --home or --json another type")
        return function(Invocation(home=home, console=Console(as_json=as_json)), *args, **kwargs)

    return command


def ask_passphrase(*, twice: bool = False) -> str:
    """Take the passphrase from $SEALROOM_PASSPHRASE, or ask for it without showing it."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    answer = click.prompt("passphrase", hide_input=True, confirmation_prompt=twice, err=True)
    return str(answer)


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
