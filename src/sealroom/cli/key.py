"""`sealroom key`: deliver the keys to a verified enclave, or refuse it."""

from __future__ import annotations

from uuid import UUID

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli.delivery import Choice, verify_and_deliver
from sealroom.cli.evidence import POLICY_HELP
from sealroom.cli.exit_codes import CommandError
from sealroom.cli.groups import Group
from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.cli.status import computation_document, print_computation
from sealroom.client.delivery_journal import Consent
from sealroom.client.roles import key_holder


@click.group("key", cls=Group)
def command() -> None:
    """Deliver your keys to a verified enclave, or refuse it."""


@command.command("deliver")
@click.argument("computation", type=UuidType())
@click.option("--policy", required=True, help=POLICY_HELP)
@click.option("--yes", is_flag=True, help="Do not ask; deliver when the verdict allows it.")
@click.option(
    "--max-enclaves",
    type=click.IntRange(min=1),
    help="A person's decision: how many enclaves in all may hold your keys for this computation.",
)
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="Deliver to a simulated enclave, whose operator can read everything in it.",
)
@command_options
def deliver(
    invocation: Invocation,
    computation: UUID,
    policy: str,
    yes: bool,
    max_enclaves: int | None,
    insecure_accept_simulated: bool,
) -> int:
    """Verify the enclave of COMPUTATION now, show the verdict, and deliver your key in each of your roles.

    A key goes to one enclave once; repeated, the same bytes are sent. Another enclave is another chance for a
    run: it is asked of a person, with the number.
    """
    chosen = load_policy(policy)
    choice = Choice(
        policy=chosen,
        consent=Consent(
            max_deliveries=max_enclaves or chosen.max_deliveries, attended=max_enclaves is not None
        ),
        yes=yes,
        accept_simulated=insecure_accept_simulated,
    )
    with open_client(invocation, computation) as client:
        roles = client.computation(computation).my_key_roles
        if not roles:
            raise CommandError("you hold no key in this computation", code="no_key")
        delivered = verify_and_deliver(invocation, client, computation, choice, roles)
    delivered.show(invocation, computation)
    return delivered.exit_code(accept_simulated=insecure_accept_simulated)


@command.command("refuse")
@click.argument("computation", type=UuidType())
@click.option("--reason", required=True, help="A sentence for everybody.")
@command_options
def refuse(invocation: Invocation, computation: UUID, reason: str) -> None:
    """Refuse the enclave of COMPUTATION, with a reason; it ends with a signed refusal."""
    with open_client(invocation, computation) as client:
        role = next(iter(client.computation(computation).my_key_roles), None)
        if role is None:
            raise CommandError("you hold no key in this computation", code="no_key")
        found = key_holder(client, computation, role).refuse(reason)
    invocation.console.result(computation_document(found), lambda: print_computation(invocation, found))
