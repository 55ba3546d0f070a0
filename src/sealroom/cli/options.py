"""Options that commands share, and the value a command gets from them."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from sealroom.cli.console import Console
from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import DIGEST_SIZE, parse_hex

if TYPE_CHECKING:
    # Measuring takes no cryptography: what loads it is imported by those commands that need it.
    from uuid import UUID

    from sealroom.client.home import Home
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
        from sealroom.client.home import Home

        return Home.open(self.home)

    def existing_home(self) -> Home | None:
        """Open the home folder if it is there: what works without one should not leave one behind."""
        from sealroom.client.home import HOME_VARIABLE, default_home

        path = self.home or os.environ.get(HOME_VARIABLE) or default_home()
        return self.open_home() if Path(path).expanduser().exists() else None

    def signing_key(self) -> SigningKey:
        """Open this home's identity; asks for its passphrase where it has one."""
        from sealroom.client.identity import identity_has_passphrase, load_identity

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
        try:
            return function(Invocation(home=home, console=Console(as_json=as_json)), *args, **kwargs)
        except click.UsageError as wrong:
            # What a command finds out itself names its --help, too.
            wrong.ctx = wrong.ctx or click.get_current_context()
            raise

    return command


def ask_passphrase(*, twice: bool = False) -> str:
    """Take the passphrase from $SEALROOM_PASSPHRASE, or ask for it without showing it."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"a passphrase is needed, and there is no terminal: set ${PASSPHRASE_VARIABLE}"
        )
    answer = click.prompt("passphrase", hide_input=True, confirmation_prompt=twice, err=True)
    return str(answer)


class UuidType(click.ParamType["UUID"]):
    """A computation's UUID."""

    name = "uuid"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Parse `value`, or fail as click expects."""
        from uuid import UUID

        if isinstance(value, UUID):
            return value
        try:
            return UUID(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a UUID like 123e4567-e89b-42d3-a456-426614174000", param, ctx)


class TargetType(click.ParamType["UUID | Path"]):
    """A computation's UUID, or a file that is there; a file goes first."""

    name = "uuid or file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> UUID | Path:
        """Parse `value`, or fail as click expects."""
        from uuid import UUID

        if isinstance(value, UUID | Path):
            return value
        path = Path(str(value))
        if path.is_file():
            return path
        try:
            return UUID(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a computation's UUID nor a file that is there", param, ctx)


class EmailType(click.ParamType[str]):
    """An e-mail address as the protocol takes it."""

    name = "email"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check `value`, or fail as click expects."""
        from sealroom.core.wire.participants import check_email

        try:
            check_email(str(value))
        except MalformedError as error:
            self.fail(f"got {str(value)!r}, {error}", param, ctx)
        return str(value)


class Sha256Type(click.ParamType[bytes]):
    """A SHA-256, 64 hexadecimal digits."""

    name = "sha256"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Parse `value`, or fail as click expects."""
        if isinstance(value, bytes):
            return value
        try:
            return parse_hex(str(value).lower(), field="SHA-256", size=DIGEST_SIZE)
        except MalformedError:
            self.fail(f"got {str(value)!r}, expected 64 hexadecimal digits", param, ctx)


INPUT_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
INPUT_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
OUTPUT_FILE = click.Path(path_type=Path, dir_okay=False)
