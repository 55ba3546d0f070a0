"""`sealroom account`: the account on a server."""

from __future__ import annotations

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.client.accounts import Accounts
from sealroom.client.session import Client
from sealroom.client.transport import ServerAddress
from sealroom.core.wire.byte_fields import DIGEST_SIZE, parse_hex


@click.group("account")
def command() -> None:
    """Make an account on a server, or show the ones you have."""


@command.command("create")
@click.option("--server", required=True, help="The server's address, https://HOST[:PORT].")
@click.option(
    "--server-cert",
    help="SHA-256 of the server's certificate, 64 hexadecimal digits. Without it the system's trust decides.",
)
@click.option("--email", required=True, help="The address that computations will name you by.")
@command_options
def create(invocation: Invocation, server: str, server_cert: str | None, email: str) -> None:
    """Make an account at a server; its token is kept in your home folder."""
    address = server_address(server, server_cert)
    with Client(home=invocation.open_home(), server=address) as client:
        account = client.create_account(email)

    def render() -> None:
        click.echo(f"account {account.email} at {account.server}")
        invocation.console.next_step(
            "sealroom join INVITATION when you got one, or sealroom computation create to make one"
        )

    invocation.console.result({"email": account.email, "server": account.server}, render)


@command.command("list")
@command_options
def list_accounts(invocation: Invocation) -> None:
    """List the accounts of this home, without their tokens."""
    accounts = Accounts(invocation.open_home()).all()
    invocation.console.result(
        {"accounts": [{"email": account.email, "server": account.server} for account in accounts]},
        lambda: invocation.console.table(("e-mail", "server"), [(a.email, a.server) for a in accounts]),
    )


def server_address(server: str, server_cert: str | None) -> ServerAddress:
    """Make an address of --server and --server-cert, or fail as wrong usage."""
    digest = None if server_cert is None else parse_hex(server_cert, field="--server-cert", size=DIGEST_SIZE)
    try:
        return ServerAddress(url=server, certificate_sha256=digest)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
