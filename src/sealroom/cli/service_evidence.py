"""`sealroom service evidence`: what a service proves about itself, as one file."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.exit_codes import CommandError
from sealroom.cli.options import OUTPUT_FILE, Invocation, command_options
from sealroom.cli.service_hosting import DATA, look
from sealroom.server.hosting.evidence import compose_evidence


@click.command("evidence")
@click.argument("name")
@DATA
@click.option("--to", type=OUTPUT_FILE, default=Path("evidence.json"), show_default=True, help="The file.")
@command_options
def command(invocation: Invocation, name: str, data: Path, to: Path) -> None:
    """Write the evidence of the service NAME to a file, for its code provider and its callers.

    It has the certificate with the quote in it, Intel's documents where you have them, the manifest and all
    that is measured. Nobody needs to trust you for it: sealroom service verify checks it at home.
    """
    service = look(data, name)
    evidence = compose_evidence(service)
    if evidence is None:
        raise CommandError(f"service {name}: {service.state.value}, no certificate yet", code="not_attested")
    to.write_bytes(evidence.to_bytes())

    def render() -> None:
        invocation.console.say(f"{to}: the evidence of {name}, start {service.start}")
        invocation.console.row("SHA-256", evidence.sha256.hex())
        invocation.console.next_step(f"give {to} to the code provider, for sealroom service seal")

    invocation.console.result(
        {"evidence": str(to), "sha256": evidence.sha256.hex(), "start": service.start}, render
    )
