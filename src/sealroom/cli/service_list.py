"""`sealroom service list`: all services of an operator."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.cli.service_hosting import DATA, describe
from sealroom.server.hosting.folder import Hosting


@click.command("list")
@DATA
@command_options
def command(invocation: Invocation, data: Path) -> None:
    """Show all services of an operator's folder, and what each is doing."""
    services = Hosting(data).list() if data.is_dir() else ()
    rows = [
        (each.name, each.state.value, str(each.arguments.port), each.arguments.tee.value, str(each.start))
        for each in services
    ]
    invocation.console.result(
        {"services": [describe(each) for each in services]},
        lambda: invocation.console.table(
            ("name", "state", "port", "enclave", "start"), rows, empty="no services"
        ),
    )
