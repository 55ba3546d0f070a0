"""`sealroom service stop`: a service finishes its requests and ends."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.cli.service_hosting import DATA, describe, look, wait_while
from sealroom.core.errors import MalformedError
from sealroom.server.hosting.folder import HostedState, Hosting
from sealroom.server.launchers.base import LaunchState


@click.command("stop")
@click.argument("name")
@DATA
@click.option("--remove", is_flag=True, help="Remove its folder as well, with all of its starts.")
@command_options
def command(invocation: Invocation, name: str, data: Path, remove: bool) -> None:
    """Let the service NAME finish the requests that run, at most half a minute, and end it."""
    console, hosting = invocation.console, Hosting(data)
    try:
        found = look(data, name)
    except (MalformedError, OSError):
        # What cannot be read can still be removed.
        if not remove:
            raise
        hosting.remove(name)
        console.result({"name": name, "removed": True}, lambda: console.say(f"{name}: removed"))
        return
    hosting.stop(name)
    if found.status.state is LaunchState.ALIVE:
        running = (HostedState.SPAWNED, HostedState.WAITING, HostedState.RUNNING)
        found = wait_while(console, data, name, running, "waiting: for requests that run")
    if remove:
        hosting.remove(name)

    def render() -> None:
        console.say(f"{name}: {'removed' if remove else found.state.value}")
        if not remove:
            console.next_step(f"sealroom service restart {name} starts it anew")

    console.result(describe(found) | {"removed": remove}, render)
