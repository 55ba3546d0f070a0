"""`sealroom account`: the account on a server."""

from __future__ import annotations

import click

from sealroom.cli.addresses import server_address, server_options
from sealroom.cli.groups import Group
from sealroom.cli.options import EmailType, Invocation, command_options
from sealroom.client.accounts import Account, Accounts
from sealroom.client.session import Client


@click.group("account", cls=Group)
def command() -> None:
    """Make an account on a server, or show the ones you have."""


@command.command("create")
@server_options
@click.option(
    "--email", type=EmailType(), required=True, help="The address that computations will name you by."
)
@command_options
def create(invocation: Invocation, server: str, server_cert: bytes | None, email: str) -> None:
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
        lambda: _print(invocation, accounts),
    )


def _print(invocation: Invocation, accounts: tuple[Account, ...]) -> None:
    if accounts:
        invocation.console.table(("e-mail", "server"), [(a.email, a.server) for a in accounts])
    else:
        click.echo(f"no account in {invocation.open_home().root}")
        invocation.console.next_step(
            "sealroom account create --server ADDRESS --server-cert SHA256 --email YOU@EXAMPLE.ORG"
        )
