"""`sealroom register`: accept an invitation and register the public key."""

from __future__ import annotations

import click

from sealroom.cli.addresses import invitation_options, server_address
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import Invocation, command_options
from sealroom.cli.status import computation_document, print_computation
from sealroom.client.computation import Computation
from sealroom.client.invitations import read_invitation
from sealroom.client.roles import key_holder
from sealroom.client.session import Client
from sealroom.client.store import JoinedComputation
from sealroom.core.errors import MalformedError


@click.command("register")
@click.argument("invitation")
@invitation_options
@command_options
def command(invocation: Invocation, invitation: str, server: str | None, server_cert: bytes | None) -> None:
    """Accept INVITATION (a file, or its line) and register your public key in each of your roles."""
    joined = open_invitation(invitation, server, server_cert)
    with Client(home=invocation.open_home(), server=joined.server, identity=invocation.signing_key) as client:
        found = register(client, joined)
    invocation.console.result(computation_document(found), lambda: print_computation(invocation, found))


def open_invitation(invitation: str, server: str | None, server_cert: bytes | None) -> JoinedComputation:
    """Read an invitation in either form."""
    address = None if server is None else server_address(server, server_cert)
    try:
        return read_invitation(invitation, server=address)
    except MalformedError as error:
        raise CommandError(str(error), code="invitation", exit_code=ExitCode.MALFORMED) from error


def register(client: Client, joined: JoinedComputation) -> Computation:
    """Accept an invitation and register in each role that this account has in the computation."""
    client.accept_invitation(joined)
    found = client.computation(joined.computation)
    if not found.my_roles:
        raise CommandError(
            f"computation {joined.computation}: {client.account.email} has no part in it", code="no_part"
        )
    for role in found.my_key_roles:
        found = key_holder(client, joined.computation, role).register()
    return found
