"""`sealroom join`: one participant's whole part of a computation, resumable at any step."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli.addresses import invitation_options
from sealroom.cli.evidence import POLICY_HELP
from sealroom.cli.guide import Guide, Part
from sealroom.cli.options import INPUT_FILE, INPUT_FOLDER, EmailType, Invocation, command_options
from sealroom.cli.register import open_invitation, register
from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.session import AccountError, Client
from sealroom.core.evidence.policy import Policy


@click.command("join")
@click.argument("invitation")
@invitation_options
@click.option(
    "--email", type=EmailType(), help="Your address, where this home has no account at the server yet."
)
@click.option("--code", type=INPUT_FOLDER, help="The program's folder (Code Provider).")
@click.option(
    "--data", type=INPUT_FILE, multiple=True, help="A file to bring; once for each (Data Provider)."
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that results are written into (Result Consumer). Default: one in your home.",
)
@click.option("--policy", required=True, help=POLICY_HELP)
@click.option("--yes", is_flag=True, help="Do not ask; deliver when the verdict allows it.")
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="Deliver to a simulated enclave, whose operator can read everything in it.",
)
@command_options
def command(
    invocation: Invocation,
    /,
    invitation: str,
    server: str | None,
    server_cert: bytes | None,
    email: str | None,
    policy: str,
    insecure_accept_simulated: bool,
    **brought: object,
) -> int:
    """Walk through your part of the computation that INVITATION (a file, or its line) names.

    Makes your identity and account where they are missing, registers, sends what you bring, waits for the
    enclave, shows the verdict, asks, delivers, waits for the run, and fetches what is yours. What is missing
    is asked for where there is a terminal. Interrupted at any step, the same command goes on there.
    """
    part = _part(
        brought,
        load_policy(policy),
        asks=sys.stdin.isatty() and not invocation.console.as_json,
        accept_simulated=insecure_accept_simulated,
    )
    joined = open_invitation(invitation, server, server_cert)
    home = _home_with_identity(invocation)
    with Client(home=home, server=joined.server, identity=invocation.signing_key) as client:
        _account(invocation, client, email, asks=part.asks)
        found = register(client, joined)
        name = invocation.console.foreign(found.name)
        roles = " and ".join(role.value for role in found.my_roles)
        invocation.console.say(f"registered in {name}, {found.computation}, as {roles}")
        return Guide(invocation, client, found.computation, part).walk()


def _part(brought: dict[str, object], policy: Policy, *, asks: bool, accept_simulated: bool) -> Part:
    code, data, results = brought["code"], brought["data"], brought["results"]
    if (
        not isinstance(code, Path | None)
        or not isinstance(data, tuple)
        or not isinstance(results, Path | None)
    ):
        raise TypeError("click gave a path another type")
    return Part(
        code=code,
        data=data,
        results=results,
        policy=policy,
        asks=asks,
        yes=bool(brought["yes"]),
        accept_simulated=accept_simulated,
    )


def _home_with_identity(invocation: Invocation) -> Home:
    home = invocation.open_home()
    if not home.identity.exists():
        create_identity(home)
        invocation.console.say(f"made your identity, {home.identity}")
    return home


def _account(invocation: Invocation, client: Client, email: str | None, *, asks: bool) -> None:
    try:
        known = client.account.email
    except AccountError:
        if email is None and not asks:
            raise click.UsageError(
                f"you have no account at {client.server.origin}: give --email to make one"
            ) from None
        account = client.create_account(email or _ask_email(client.server.origin))
        invocation.console.say(f"account {account.email} at {account.server}")
        return
    if email is not None and email != known:
        raise click.UsageError(f"your account at {client.server.origin} is {known}, not {email}")


def _ask_email(server: str) -> str:
    address: str = click.prompt(
        f"You have no account at {server} yet. The address that the owner invited you by",
        type=EmailType(),
        err=True,
    )
    return address
