"""`sealroom packages`: the wheels that a program needs, and which of them this home has."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.console import read_file
from sealroom.cli.groups import Group
from sealroom.cli.options import Invocation, TargetType, command_options
from sealroom.cli.sessions import open_client
from sealroom.client.home import Home
from sealroom.client.locking import fetch_from_index
from sealroom.client.member import Member
from sealroom.client.wheel_store import WheelStore
from sealroom.client.wheel_transfer import WheelCourier
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES, EvidenceBundle


@click.group("packages", cls=Group)
def command() -> None:
    """Show and fetch the wheels that a program needs."""


@command.command("show")
@click.argument("target", type=TargetType())
@command_options
def show(invocation: Invocation, target: UUID | Path) -> None:
    """Show the packages of TARGET, and which of their wheels are here.

    TARGET is a computation's UUID, a requirements.txt, or an evidence bundle.
    """
    requirements = _named(invocation, target)
    _print(invocation, requirements, invocation.open_home(), target)


@command.command("fetch")
@click.argument("target", type=TargetType())
@command_options
def fetch(invocation: Invocation, target: UUID | Path) -> None:
    """Fetch the wheels of TARGET that this home does not have, and list what is in them.

    TARGET is a computation's UUID: then they come from its server. Or it is a requirements.txt or an evidence
    bundle: then pip downloads them from the index that this machine is set to. Either way a wheel is kept
    only with the SHA-256 that its line names.
    """
    requirements = _named(invocation, target)
    home = invocation.open_home()
    store = WheelStore(home)
    with invocation.console.transfers() as progress:
        if isinstance(target, Path):
            fetch_from_index(requirements, store, progress=progress)
        else:
            with open_client(invocation, target) as client:
                courier = WheelCourier(transport=client.transport, computation=target, store=store)
                courier.fetch(requirements, progress=progress)
    _print(invocation, requirements, home, target)


def _named(invocation: Invocation, target: UUID | Path) -> tuple[Requirement, ...]:
    """Return the packages that a file names, or the code of a computation, as its provider signed it."""
    if isinstance(target, Path):
        raw = read_file(target, max_bytes=MAX_BUNDLE_BYTES)
        is_bundle = raw.startswith(b"{")
        return parse_requirements((EvidenceBundle.from_bytes(raw).requirements or b"") if is_bundle else raw)
    with open_client(invocation, target) as client, invocation.console.transfers() as progress:
        return parse_requirements(Member(client, target).code(progress=progress).code.requirements or b"")


def _print(
    invocation: Invocation, requirements: tuple[Requirement, ...], home: Home, target: UUID | Path
) -> None:
    known = WheelStore(home).known(requirements)
    rows = [
        (
            each.name,
            each.version,
            str(len(known[each.sha256].files)) if each.sha256 in known else "not here",
            each.sha256.hex(),
        )
        for each in requirements
    ]

    def render() -> None:
        invocation.console.table(("package", "version", "files", "SHA-256 of the wheel"), rows)
        if len(known) < len(requirements):
            invocation.console.next_step(f"sealroom packages fetch {target}")

    document = {
        "packages": [
            {
                "name": each.name,
                "version": each.version,
                "sha256": each.sha256.hex(),
                "files": len(known[each.sha256].files) if each.sha256 in known else None,
            }
            for each in requirements
        ]
    }
    invocation.console.result(document, render)
