"""`sealroom status`: where a computation stands, and what comes next."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click

from sealroom.cli.options import Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.cli.waiting import missing_people
from sealroom.client.computation import Computation, ParticipantStatus, ProtectionNotice, Run, State
from sealroom.core.wire.participants import Role

# What a server says of a run whose process died; the others stand in a closing.
_UNSIGNED = frozenset({"lost", "cancelled"})
NEXT = {
    State.CREATED: "everybody registers: sealroom join INVITATION",
    State.REGISTERING: "everybody registers, and the code is sent: sealroom join INVITATION",
    State.LAUNCHING: "the enclave starts; ask again in a moment",
    State.AWAITING_KEYS: "sealroom evidence verify {uuid} --policy POLICY, then sealroom key deliver {uuid} "
    "--policy POLICY",
    State.RUNNING: "the program runs; ask again in a moment",
    State.SUCCEEDED: "sealroom receipt verify {uuid} --policy POLICY",
    State.FAILED: "sealroom logs {uuid}; the owner may launch again: sealroom computation relaunch {uuid}",
    State.REFUSED: "the owner may launch again: sealroom computation relaunch {uuid}",
    State.EXPIRED: "the owner may launch again: sealroom computation relaunch {uuid}",
    State.WITHDRAWN: "nothing is left to do: somebody left, this computation is over",
    State.CANCELLED: "nothing is left to do: the owner ended it",
    State.ARCHIVED: "nothing is left to do: it is archived",
}


@click.command("status")
@click.argument("computation", type=UuidType())
@command_options
def command(invocation: Invocation, computation: UUID) -> None:
    """Show where COMPUTATION stands, as the server says.

    What the server says decides nothing: evidence and receipts do.
    """
    with open_client(invocation, computation) as client:
        found = client.computation(computation)
    invocation.console.result(computation_document(found), lambda: print_computation(invocation, found))


def print_computation(invocation: Invocation, found: Computation) -> None:
    """Print a computation for a person."""
    console = invocation.console
    click.secho(f"{console.foreign(found.name)}: {found.state.value}", bold=True)
    owner = console.foreign(found.owner)
    click.echo(f"computation {found.computation}, owner {owner}, launch {found.epoch}, {found.tee.value}")
    if found.refusal is not None:
        who, why = console.foreign(found.refusal.by), console.foreign(found.refusal.reason)
        click.echo(f"refused by {who}: {why}")
    rows = [
        (p.role.value, p.email, _time(p.registered_at), _sent(p), _time(p.delivered_at))
        for p in found.participants
    ]
    console.table(("role", "e-mail", "registered", "sent", "key delivered"), rows)
    for run in found.runs:
        click.echo(f"run of launch {run.epoch}: {_run_in_words(run)}")
    if found.launch is not None and found.launch.protections:
        _print_protections(invocation, found.launch.protections)
    console.next_step(_next(found))


def _run_in_words(run: Run) -> str:
    """Say how a run ended, and whose word that is: a lost run has no closing that an enclave signed."""
    if run.outcome is None:
        return "not ended yet"
    if run.outcome in _UNSIGNED:
        return f"{run.outcome}: the server's claim, its receipt has no closing"
    return f"{run.outcome}, says the server; the receipt has it from the enclave"


def _print_protections(invocation: Invocation, protections: tuple[ProtectionNotice, ...]) -> None:
    """Print what holds the program in, as the operator says."""
    rows = [(held.name, "on" if held.on else "OFF", held.detail) for held in protections]
    invocation.console.table(("around the program", "", "as the operator says"), rows)


def computation_document(found: Computation) -> dict[str, object]:
    """Return a computation as JSON."""
    return {
        "computation": str(found.computation),
        "name": found.name,
        "state": found.state.value,
        "epoch": found.epoch,
        "owner": found.owner,
        "tee": found.tee.value,
        "logs": found.logs.value,
        "my_roles": [role.value for role in found.my_roles],
        "participants": [
            {
                "role": p.role.value,
                "index": p.index,
                "email": p.email,
                "public_key": None if p.public_key is None else p.public_key.hex(),
                "registered_at": _iso(p.registered_at),
                "sent_at": _iso(p.sent_at),
                "delivered_at": _iso(p.delivered_at),
            }
            for p in found.participants
        ],
        "launches": [
            {
                "epoch": launch.epoch,
                "mrenclave": None if launch.mrenclave is None else launch.mrenclave.hex(),
                "launched_at": _iso(launch.launched_at),
                "ended_at": _iso(launch.ended_at),
                "protections": [
                    {"name": held.name, "on": held.on, "detail": held.detail} for held in launch.protections
                ],
            }
            for launch in found.launches
        ],
        "runs": [
            {
                "epoch": run.epoch,
                "outcome": run.outcome,
                "exit_code": run.exit_code,
                "started_at": _iso(run.started_at),
                "ended_at": _iso(run.ended_at),
            }
            for run in found.runs
        ],
        "refusal": None
        if found.refusal is None
        else {"by": found.refusal.by, "reason": found.refusal.reason, "epoch": found.refusal.epoch},
        "next": _next(found),
    }


def _next(found: Computation) -> str:
    following = NEXT[found.state].format(uuid=found.computation)
    missing = missing_people(found) if found.state is State.REGISTERING else None
    if missing is not None:
        return f"waiting {missing}; each by sealroom join INVITATION"
    if found.state is State.SUCCEEDED and Role.RESULT_CONSUMER in found.my_key_roles:
        return f"sealroom results get {found.computation}, then {following}"
    return following


def _sent(participant: ParticipantStatus) -> str:
    return "" if participant.role is Role.RESULT_CONSUMER else _time(participant.sent_at)


def _time(moment: datetime | None) -> str:
    if moment is None:
        return "not yet"
    here = moment.astimezone()
    today = here.date() == datetime.now().astimezone().date()
    return here.strftime("%H:%M:%S" if today else "%d %b %H:%M")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
