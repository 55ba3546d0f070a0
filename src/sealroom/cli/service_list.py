"""`sealroom service list`: all services of an operator."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.cli.service_hosting import DATA, check_data, describe
from sealroom.server.hosting.folder import DamagedService, HostedService, Hosting


@click.command("list")
@DATA
@command_options
def command(invocation: Invocation, data: Path) -> None:
    """Show all services of an operator's folder, and what each is doing."""
    check_data(data)
    services = Hosting(data).list()
    console = invocation.console

    def render() -> None:
        rows = [_row(each) for each in services]
        console.table(("name", "state", "port", "enclave", "start"), rows, empty="no services")
        for each in services:
            if isinstance(each, DamagedService):
                console.say(f"{each.name}: {each.reason}")
                console.next_step(f"sealroom service stop {each.name} --remove")

    console.result({"services": [_value(each) for each in services]}, render)


def _row(service: HostedService | DamagedService) -> tuple[str, ...]:
    if isinstance(service, DamagedService):
        return (service.name, "Damaged", "", "", "")
    arguments = service.arguments
    return (
        service.name,
        service.state.value,
        str(arguments.port),
        arguments.tee.value,
        str(service.start),
    )


def _value(service: HostedService | DamagedService) -> dict[str, object]:
    if isinstance(service, DamagedService):
        return {"name": service.name, "state": "Damaged", "reason": service.reason}
    return describe(service)
