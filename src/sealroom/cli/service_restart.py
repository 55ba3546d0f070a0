"""`sealroom service restart`: the same service in a new enclave."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.cli.service_hosting import DATA, describe, failure_of, look, service_errors, wait_while
from sealroom.server.hosting.folder import HostedState, Hosting
from sealroom.server.launchers.base import LaunchState


@click.command("restart")
@click.argument("name")
@DATA
@command_options
@service_errors
def command(invocation: Invocation, name: str, data: Path) -> None:
    """End the enclave of the service NAME and start it anew, from the files that were measured.

    MRENCLAVE stays; keys and certificate are new. So the code provider verifies and seals again, and callers
    verify the new certificate.
    """
    console = invocation.console
    # One that was never started, after a crash, has nobody to wait for.
    if look(data, name).status.state is LaunchState.ALIVE:
        Hosting(data).stop(name)
        running = (HostedState.SPAWNED, HostedState.WAITING, HostedState.RUNNING)
        wait_while(console, data, name, running, "waiting: for the former enclave to finish its requests")
    Hosting(data).restart(name)
    found = wait_while(console, data, name, (HostedState.SPAWNED,), "waiting: for the enclave")
    if found.state is HostedState.FAILED:
        raise failure_of(found)

    def render() -> None:
        console.say(f"{name} waits for its key: start {found.start}, port {found.arguments.port}")
        console.next_step(f"sealroom service evidence {name}, for the code provider to seal again")

    console.result(describe(found), render)
