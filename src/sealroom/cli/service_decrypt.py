"""`sealroom service decrypt`: what is in a package, for whoever has its key."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.client.service.code_keys import load_code_key
from sealroom.client.service.packing import unpack


@click.command("decrypt")
@click.argument("package", type=INPUT_FILE)
@click.option("--key", type=INPUT_FILE, required=True, help="The code key that it was made with.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="A folder that is not there: the files go into it.",
)
@command_options
def command(invocation: Invocation, package: Path, key: Path, to: Path) -> None:
    """Open PACKAGE with its code key into a new folder.

    Each file is authentic, and is the one that was packed under its path; a package that was altered is
    refused.
    """
    code_key = load_code_key(key)
    with package.open("rb") as source, invocation.console.transfers(unit="files") as progress:
        opened = unpack(source, code_key, to, progress=progress)
    document = {
        "folder": str(to),
        "service": str(opened.service),
        "name": opened.package.config.name,
        "files": [member.path for member in opened.package.members],
    }
    invocation.console.result(
        document, lambda: invocation.console.say(f"{to}: {len(opened.package.members)} files")
    )
