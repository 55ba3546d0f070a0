"""`sealroom logs`: open what the program printed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

import click

from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.cli.refused import Explained, explain_refusals, print_refusals, refusal_rows
from sealroom.cli.sessions import open_client
from sealroom.client.member import Member
from sealroom.client.session import Client
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.refused_files import parse_refused_files
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.foreign_text import visible_lines


@click.command("logs")
@click.argument("computation", type=UuidType())
@click.option("--epoch", type=click.IntRange(min=1), help="The launch; the current one unless told.")
@command_options
def command(invocation: Invocation, computation: UUID, epoch: int | None) -> None:
    """Open the sealed log of a run: the one that the enclave's receipt names, and no other.

    Where the log says that a file was refused: which, the module and line that needed it, and the line that
    the manifest lacks. A file that is in no package and not in the code is in no computation's manifest.
    """
    with open_client(invocation, computation) as client:
        log = Member(client, computation).logs(epoch=epoch)
        text = None if log.text is None else log.text.decode("utf-8", "replace")
        refused = _refused(client, computation, epoch, text or "")

    def render() -> None:
        if text is None:
            click.echo(f"no log leaves this computation: its owner chose logs={log.release.value}")
        else:
            for line in visible_lines(text.removesuffix("\n")):
                click.echo(line)
        if refused:
            invocation.console.say("\nrefused files:")
            print_refusals(invocation.console, refused)

    document = {"release": log.release.value, "text": text, "refused": refusal_rows(refused)}
    invocation.console.result(document, render)


def _refused(client: Client, computation: UUID, epoch: int | None, text: str) -> tuple[Explained, ...]:
    """Explain refused files by the manifest that the server shows: advice, whatever it says."""
    if not parse_refused_files(text):
        return ()
    manifest: Mapping[str, object] = {}
    with suppress(TransportError, MalformedError):
        bundle = EvidenceBundle.from_bytes(client.fetch_evidence(computation, epoch=epoch))
        manifest = parse_manifest(bundle.manifest)
    return explain_refusals(text, manifest, is_file=lambda _: False)
