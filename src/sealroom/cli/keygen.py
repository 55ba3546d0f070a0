"""`sealroom keygen`: make the identity key."""

from __future__ import annotations

import click

from sealroom.cli.exit_codes import CommandError
from sealroom.cli.options import Invocation, ask_passphrase, command_options
from sealroom.client.identity import create_identity
from sealroom.core.sealing.keys import fingerprint


@click.command("keygen")
@click.option(
    "--passphrase",
    "protect",
    is_flag=True,
    help="Protect the key; asked for, or taken from $SEALROOM_PASSPHRASE.",
)
@command_options
def command(invocation: Invocation, protect: bool) -> None:
    """Make your identity, an Ed25519 key pair, in your home folder. An existing key is never replaced."""
    home = invocation.open_home()
    if home.identity.exists():
        # Before a passphrase is asked for in vain.
        raise CommandError(f"identity: {home.identity} exists already", code="identity_exists")
    key = create_identity(home, passphrase=ask_passphrase(twice=True) if protect else None)
    document = {
        "public_key": key.public_key.hex(),
        "fingerprint": fingerprint(key.public_key),
        "file": str(home.identity),
    }

    def render() -> None:
        click.echo(f"identity written to {home.identity}")
        click.echo(f"public key   {document['public_key']}")
        click.echo(f"fingerprint  {document['fingerprint']}")
        invocation.console.next_step(
            "give the public key to people who want to pin you, then sealroom account create"
        )

    invocation.console.result(document, render)
