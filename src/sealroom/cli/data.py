"""`sealroom data`: encrypt and send data, say done."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.exit_codes import CommandError
from sealroom.cli.groups import Group
from sealroom.cli.options import INPUT_FILE, Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.client.roles import DataProvider
from sealroom.core.wire.input_list import InputList


@click.group("data", cls=Group)
def command() -> None:
    """Encrypt and send data, say done."""


@command.command("send")
@click.argument("computation", type=UuidType())
@click.argument("files", type=INPUT_FILE, nargs=-1, required=True)
@command_options
def send(invocation: Invocation, computation: UUID, files: tuple[Path, ...]) -> None:
    """Encrypt FILES at home and upload them, in this order (Data Provider).

    Called again after an interruption, it goes on where it stopped. A file of the same name replaces the
    one sent before, until you say done.
    """
    with open_client(invocation, computation) as client, invocation.console.transfers() as progress:
        provider = DataProvider(client, computation)
        for file in files:
            provider.send(file, progress=progress)
        inputs = provider.inputs
    _show(invocation, inputs, f"sealroom data done {computation}", {})


@command.command("remove")
@click.argument("computation", type=UuidType())
@click.argument("name")
@command_options
def remove(invocation: Invocation, computation: UUID, name: str) -> None:
    """Take the file NAME back, here and at the server; possible until you say done."""
    with open_client(invocation, computation) as client:
        provider = DataProvider(client, computation)
        if name not in {file.name for file in provider.inputs.files}:
            raise CommandError(f"data {name}: not among the files that you sent", code="unknown_file")
        provider.remove(name)
        inputs = provider.inputs
    _show(invocation, inputs, f"sealroom data done {computation}", {})


@command.command("done")
@click.argument("computation", type=UuidType())
@click.option("--empty", is_flag=True, help="You bring no file at all, and mean it.")
@command_options
def done(invocation: Invocation, computation: UUID, empty: bool) -> None:
    """Say that your files are complete. The list is then final: your key delivery commits to it."""
    with open_client(invocation, computation) as client, invocation.console.transfers() as progress:
        provider = DataProvider(client, computation)
        if not provider.inputs.files and not empty:
            raise CommandError("you sent no file, and done is final", code="no_files")
        commitment = provider.done(progress=progress)
        inputs = provider.inputs
    _show(invocation, inputs, f"sealroom status {computation}", {"commitment": commitment.hex()})


def _show(invocation: Invocation, inputs: InputList, following: str, more: dict[str, object]) -> None:
    document = {
        "files": [{"name": f.name, "size": f.size, "sha256": f.sha256.hex()} for f in inputs.files]
    } | more

    def render() -> None:
        rows = [(file.name, str(file.size), file.sha256.hex()) for file in inputs.files]
        invocation.console.table(("file", "bytes, encrypted", "SHA-256, encrypted"), rows)
        if "commitment" in more:
            click.echo(f"commitment {more['commitment']}")
        invocation.console.next_step(following)

    invocation.console.result(document, render)
