"""`sealroom computation`: what an owner does."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.addresses import server_address, server_options
from sealroom.cli.contract_options import chosen_limits, chosen_logs, contract_options
from sealroom.cli.groups import Group
from sealroom.cli.options import OUTPUT_FILE, EmailType, Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.cli.status import computation_document, print_computation
from sealroom.client.computation import Computation
from sealroom.client.member import KeyHolder
from sealroom.client.private_files import write_private
from sealroom.client.roles import ComputationDraft, ComputationOwner
from sealroom.client.session import Client
from sealroom.core.wire.terms import Tee


@click.group("computation", cls=Group)
def command() -> None:
    """Create a computation, list and end your computations."""


@command.command("create")
@server_options
@click.option("--name", required=True, help="A name for people to recognise it by.")
@click.option("--code-provider", type=EmailType(), required=True, help="Who brings the program.")
@click.option(
    "--data-provider", type=EmailType(), multiple=True, help="Who brings data; once for each, in order."
)
@click.option(
    "--result-consumer", type=EmailType(), multiple=True, help="Who gets results; once for each, in order."
)
@click.option(
    "--tee", type=click.Choice([tee.value for tee in Tee]), required=True, help="What it must run on."
)
@contract_options
@click.option(
    "--invitation",
    type=OUTPUT_FILE,
    required=True,
    help="Where to write the invitation; only you can read the file.",
)
@command_options
def create(
    invocation: Invocation, /, server: str, server_cert: bytes | None, invitation: Path, **choices: object
) -> None:
    """Create a computation and its invitation.

    The invitation holds three words that only the participants may know. Hand it to them by another channel
    than the server: a call, a message, a meeting. Every choice here is measured into the enclave.
    """
    _check_new_file(invitation, option="--invitation")
    draft = _draft(choices)
    address = server_address(server, server_cert)
    with Client(home=invocation.open_home(), server=address, identity=invocation.signing_key) as client:
        owner = ComputationOwner.create(client, draft)
        _write_invitation(owner, invitation)
        found = owner.status()

    def render() -> None:
        click.echo(f"invitation written to {invitation}: hand it on, by any channel but the server")
        print_computation(invocation, found)

    document = computation_document(found) | {"invitation_file": str(invitation)}
    invocation.console.result(document, render)


@command.command("list")
@server_options
@command_options
def list_computations(invocation: Invocation, server: str, server_cert: bytes | None) -> None:
    """List the computations that your account has a part in."""
    with Client(home=invocation.open_home(), server=server_address(server, server_cert)) as client:
        client.account  # noqa: B018 - raises where there is none, before the server is asked
        found = client.computations()
    rows = [
        (str(c.computation), c.name, c.state.value, ", ".join(r.value for r in c.my_roles)) for c in found
    ]
    invocation.console.result(
        {"computations": [computation_document(computation) for computation in found]},
        lambda: invocation.console.table(
            ("computation", "name", "state", "my roles"), rows, empty="you have no part in any computation"
        ),
    )


@command.command("invitation")
@click.argument("computation", type=UuidType())
@click.option("--to", type=OUTPUT_FILE, required=True, help="A new file; only you can read it.")
@command_options
def invitation(invocation: Invocation, computation: UUID, to: Path) -> None:
    """Write the invitation of COMPUTATION once more, as this home has it. The server is not asked."""
    _check_new_file(to, option="--to")
    with open_client(invocation, computation) as client:
        _write_invitation(ComputationOwner(client, computation), to)
    invocation.console.result(
        {"invitation_file": str(to)},
        lambda: click.echo(f"invitation written to {to}: hand it on, by any channel but the server"),
    )


@command.command("cancel")
@click.argument("computation", type=UuidType())
@click.option("--reason", default="", help="A sentence for the participants.")
@command_options
def cancel(invocation: Invocation, computation: UUID, reason: str) -> None:
    """End COMPUTATION for good (owner). A waiting enclave ends with a signed refusal."""
    with open_client(invocation, computation) as client:
        _show(invocation, ComputationOwner(client, computation).cancel(reason))


@command.command("relaunch")
@click.argument("computation", type=UuidType())
@command_options
def relaunch(invocation: Invocation, computation: UUID) -> None:
    """Launch COMPUTATION again (owner). Everybody verifies and delivers again; uploaded data stays."""
    with open_client(invocation, computation) as client:
        _show(invocation, ComputationOwner(client, computation).relaunch())


@command.command("archive")
@click.argument("computation", type=UuidType())
@command_options
def archive(invocation: Invocation, computation: UUID) -> None:
    """Put an ended COMPUTATION away (owner): its data is removed from the server, receipts stay."""
    with open_client(invocation, computation) as client:
        _show(invocation, ComputationOwner(client, computation).archive())


@command.command("withdraw")
@click.argument("computation", type=UuidType())
@click.option("--reason", default="", help="A sentence for the others.")
@command_options
def withdraw(invocation: Invocation, computation: UUID, reason: str) -> None:
    """Leave COMPUTATION for good (any participant); it cannot go on without you."""
    with open_client(invocation, computation) as client:
        _show(invocation, KeyHolder(client, computation).withdraw(reason))


def _write_invitation(owner: ComputationOwner, path: Path) -> None:
    write_private(path, owner.invitation_file or (owner.invitation_line + "\n").encode())


def _check_new_file(path: Path, *, option: str) -> None:
    """Fail before the server is asked: an invitation that cannot be written would be made for nothing."""
    if path.exists():
        raise click.BadParameter(f"{path} exists already", param_hint=option)
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{path.parent} is not a folder that is there", param_hint=option)


def _draft(choices: dict[str, object]) -> ComputationDraft:
    return ComputationDraft(
        name=str(choices["name"]),
        code_provider=str(choices["code_provider"]),
        data_providers=_texts(choices["data_provider"]),
        result_consumers=_texts(choices["result_consumer"]),
        tee=Tee(choices["tee"]),
        logs=chosen_logs(choices),
        limits=chosen_limits(choices),
    )


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, tuple):
        raise TypeError("click gave an e-mail option another type")
    return tuple(map(str, values))


def _show(invocation: Invocation, found: Computation) -> None:
    invocation.console.result(computation_document(found), lambda: print_computation(invocation, found))
