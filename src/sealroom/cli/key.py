"""`sealroom key`: deliver the keys to a verified enclave, or refuse it."""

from __future__ import annotations

from uuid import UUID

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli.delivery import Choice, Delivered, verify_and_deliver
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.cli.status import computation_document, print_computation
from sealroom.cli.verdicts import verdict_exit_code
from sealroom.client.delivery_journal import Consent
from sealroom.client.roles import key_holder


@click.group("key")
def command() -> None:
    """Deliver your keys to a verified enclave, or refuse it."""


@command.command("deliver")
@click.argument("computation", type=UuidType())
@click.option(
    "--policy",
    required=True,
    help="What you accept: strict, up-to-date, insecure-any-status, or a TOML file. There is no default.",
)
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
        delivered = verify_and_deliver(invocation, client, computation, choice, roles)
    return _show(invocation, computation, delivered)


@command.command("refuse")
@click.argument("computation", type=UuidType())
@click.option("--reason", required=True, help="A sentence for everybody.")
@command_options
def refuse(invocation: Invocation, computation: UUID, reason: str) -> None:
    """Refuse the enclave of COMPUTATION, with a reason; it ends with a signed refusal."""
    with open_client(invocation, computation) as client:
        role = next(iter(client.computation(computation).my_key_roles), None)
        if role is None:
            raise click.UsageError("you hold no key in this computation")
        found = key_holder(client, computation, role).refuse(reason)
    invocation.console.result(computation_document(found), lambda: print_computation(invocation, found))


def _show(invocation: Invocation, computation: UUID, delivered: Delivered) -> int:
    answers = {role.value: answer.text for role, answer in delivered.answers.items()}

    def render() -> None:
        for role, answer in answers.items():
            click.echo(f"{role}: {answer}")
        if answers:
            invocation.console.next_step(f"sealroom status {computation}")
        else:
            click.echo("nothing was delivered")
            invocation.console.next_step(
                f'sealroom key refuse {computation} --reason "..." tells the others why'
            )

    document: dict[str, object] = {"verdict": delivered.verdict.to_value(), "deliveries": answers}
    invocation.console.result(document, render)
    if not answers:
        refused = verdict_exit_code(delivered.verdict, accept_simulated=False)
        return refused or ExitCode.REFUSED
    admitted = all(answer.admitted is not False for answer in delivered.answers.values())
    return ExitCode.DONE if admitted else ExitCode.REFUSED
