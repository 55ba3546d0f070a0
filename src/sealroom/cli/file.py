"""`sealroom file`: encrypt and decrypt files at home, with your own data keys."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

import click

from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.groups import Group
from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.client.journal import Journal
from sealroom.client.own_files import OwnFiles
from sealroom.client.private_files import placing
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import progress_of
from sealroom.core.wire.participants import Role

STREAM = "-"
_ROLES = {"data": Role.DATA_PROVIDER, "code": Role.CODE_PROVIDER, "result": Role.RESULT_CONSUMER}


@click.group("file", cls=Group)
def command() -> None:
    """Encrypt and decrypt files at home, with your own data keys.

    Nothing is sent. A container takes constant memory, whatever its size; the whole-file form takes as much
    memory as the file has bytes.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What one call is about: from where to where, in which form, and whose key."""

    computation: UUID
    source: str
    target: str
    role: Role
    name: str | None
    whole_file: bool

    def bound_name(self, plain: str) -> str:
        """Return the name that the container is bound to: the one given, or that of the plain file."""
        if self.name is not None:
            return self.name
        if plain == STREAM:
            raise click.UsageError("--name is needed: what comes or goes by a pipe has no name of its own")
        return Path(plain).name

    def own_files(self, invocation: Invocation) -> OwnFiles:
        """Find the key: this home's registration says for which public key, and needs no passphrase."""
        if self.role is Role.RESULT_CONSUMER and not self.whole_file:
            raise click.UsageError(
                "--as result goes with --whole-file; containers of results: sealroom results get"
            )
        home = invocation.open_home()
        folder = ComputationFolder(home, self.computation)
        folder.load()
        with Journal(home) as journal:
            known = {entry.role: entry.public_key for entry in journal.registrations(self.computation)}
        public_key = known.get(self.role) or invocation.signing_key().public_key
        return OwnFiles(folder=folder, role=self.role, public_key=public_key)


def _file_command(function: Callable[[Invocation, _Request], None]) -> Callable[..., None]:
    @click.argument("computation", type=UuidType())
    @click.argument("source", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
    @click.argument("target", type=click.Path(dir_okay=False, allow_dash=True))
    @click.option(
        "--as",
        "role",
        type=click.Choice(list(_ROLES)),
        default="data",
        show_default=True,
        help="Which of your keys: as Data Provider, Code Provider or, with --whole-file, Result Consumer.",
    )
    @click.option(
        "--name",
        help="What a container is bound to: the input's name, or the path in the code archive. Default: the "
        "name of the plain file.",
    )
    @click.option(
        "--whole-file",
        is_flag=True,
        help="The published client's form (.enc) instead of a container: bound to no name and to no "
        "computation but by the key, and as much memory as the file has bytes.",
    )
    @command_options
    def wrapped(invocation: Invocation, /, *, role: str, **options: object) -> None:
        function(invocation, _Request(role=_ROLES[role], **options))  # type: ignore[arg-type]

    wrapped.__doc__ = function.__doc__
    return wrapped


@command.command("encrypt")
@_file_command
def encrypt(invocation: Invocation, request: _Request) -> None:
    """Encrypt SOURCE into TARGET, either of them - for a pipe, with your data key of COMPUTATION.

    A container is what `sealroom data send` and `sealroom code send` send. A file that is there is not
    replaced.
    """
    name = "" if request.whole_file else request.bound_name(request.source)
    own = request.own_files(invocation)
    with _streams(invocation, request) as (source, target), invocation.console.transfers() as progress:
        tell = progress_of(progress, "encrypting")
        if request.whole_file:
            sealed = own.seal_whole(source, target, tell=tell)
        else:
            sealed = own.seal(source, target, name=name, tell=tell)
    _show(invocation, request, sealed.plain_size)


@command.command("decrypt")
@_file_command
def decrypt(invocation: Invocation, request: _Request) -> None:
    """Decrypt SOURCE into TARGET, either of them - for a pipe, with your data key of COMPUTATION.

    A TARGET file is there whole or not at all, and replaces none. On a pipe, what comes before an error is
    authentic and may be the beginning only: look at the exit code.
    """
    name = "" if request.whole_file else request.bound_name(request.target)
    own = request.own_files(invocation)
    with _streams(invocation, request) as (source, target), invocation.console.transfers() as progress:
        tell = progress_of(progress, "decrypting")
        if request.whole_file:
            opened = own.open_whole(source, target, tell=tell)
        else:
            opened = own.open(source, target, name=name, tell=tell)
    _show(invocation, request, opened.size)


@contextmanager
def _streams(invocation: Invocation, request: _Request) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open both ends; a file that is written to gets its name when the block ends without an error."""
    if request.target == STREAM and invocation.console.as_json:
        raise click.UsageError("--json needs a TARGET file: both would go to standard output")
    with ExitStack() as stack:
        source = (
            sys.stdin.buffer
            if request.source == STREAM
            else stack.enter_context(Path(request.source).open("rb"))
        )
        if request.target == STREAM:
            yield source, sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        if os.path.lexists(request.target):
            raise _is_there(request.target)
        stack.enter_context(_as_command_error(request.target))
        yield source, stack.enter_context(placing(Path(request.target)))


@contextmanager
def _as_command_error(target: str) -> Iterator[None]:
    """Say the same of a file that came while this one was made as of one that was there before."""
    try:
        yield
    except FileExistsError as there:
        raise _is_there(target) from there


def _is_there(target: str) -> CommandError:
    return CommandError(f"{target}: is there already", code="file_exists", exit_code=ExitCode.MALFORMED)


def _show(invocation: Invocation, request: _Request, size: int) -> None:
    if request.target == STREAM:
        return
    document = {"target": request.target, "plain_size": size}
    invocation.console.result(document, lambda: click.echo(f"{request.target}: {size} bytes of plaintext"))
