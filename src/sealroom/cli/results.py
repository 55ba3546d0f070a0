"""`sealroom results`: download and decrypt results."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.groups import Group
from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.client.roles import ResultConsumer


@click.group("results", cls=Group)
def command() -> None:
    """Download and decrypt results."""


@command.command("get")
@click.argument("computation", type=UuidType())
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write into. Default: the computation's folder in your home.",
)
@click.option("--epoch", type=click.IntRange(min=1), help="The launch; the current one unless told.")
@command_options
def get(invocation: Invocation, computation: UUID, to: Path | None, epoch: int | None) -> None:
    """Download your results, compare them with the receipt, and decrypt them (Result Consumer)."""
    with open_client(invocation, computation) as client, invocation.console.transfers() as progress:
        results = ResultConsumer(client, computation).results(to, epoch=epoch, progress=progress)
    document = {
        "results": [
            {"name": r.name, "path": str(r.path), "size": r.size, "sha256": r.sha256.hex()} for r in results
        ]
    }

    def render() -> None:
        rows = [(result.name, str(result.size), str(result.path)) for result in results]
        invocation.console.table(("result", "bytes", "written to"), rows)
        invocation.console.next_step(f"sealroom receipt verify {computation} --policy POLICY")

    invocation.console.result(document, render)
