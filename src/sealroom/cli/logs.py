"""`sealroom logs`: open what the program printed."""

from __future__ import annotations

from uuid import UUID

import click

from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.client.member import Member
from sealroom.core.wire.foreign_text import visible_lines


@click.command("logs")
@click.argument("computation", type=UuidType())
@click.option("--epoch", type=click.IntRange(min=1), help="The launch; the current one unless told.")
@command_options
def command(invocation: Invocation, computation: UUID, epoch: int | None) -> None:
    """Open the sealed log of a run: the one that the enclave's receipt names, and no other."""
    with open_client(invocation, computation) as client:
        log = Member(client, computation).logs(epoch=epoch)
    text = None if log.text is None else log.text.decode("utf-8", "replace")

    def render() -> None:
        if text is None:
            click.echo(f"no log leaves this computation: its owner chose logs={log.release.value}")
        else:
            for line in visible_lines(text.removesuffix("\n")):
                click.echo(line)

    invocation.console.result({"release": log.release.value, "text": text}, render)
