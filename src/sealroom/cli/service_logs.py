"""`sealroom service logs`: what an operator may read of a service."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.adapters.enclave_process import former_console
from sealroom.cli.console import read_file
from sealroom.cli.options import Invocation, command_options
from sealroom.cli.service_hosting import DATA, look
from sealroom.core.errors import MalformedError
from sealroom.core.wire.service_arguments import ServiceLogs
from sealroom.core.wire.service_spool import ACCESS_LOG, MAX_ACCESS_LOG_BYTES
from sealroom.server.hosting.folder import CONSOLE_PATH, SUPERVISOR_LOG_PATH, HostedService

_MAX_CONSOLE_BYTES = 4 << 20


@click.command("logs")
@click.argument("name")
@DATA
@click.option("--access", is_flag=True, help="Requests and bytes by class of status, second by second.")
@command_options
def command(invocation: Invocation, name: str, data: Path, access: bool) -> None:
    """Print what the service NAME let out: its start, and its output if it was spawned with --logs operator.

    With --access, the last busy seconds in numbers: no path, no address and no content of a request is in
    them, nor anywhere else on this machine.
    """
    service = look(data, name)
    if access:
        text = _access_log(service)
    else:
        console = service.folder / CONSOLE_PATH
        text = "".join(map(_file, (service.folder / SUPERVISOR_LOG_PATH, former_console(console), console)))

    def render() -> None:
        for line in text.splitlines():
            click.echo(invocation.console.foreign(line))
        if not access and service.arguments.logs is ServiceLogs.NONE:
            invocation.console.say(
                "what the application prints goes nowhere: it was spawned with --logs none"
            )

    invocation.console.result({"name": name, "lines": text.splitlines()}, render)


def _access_log(service: HostedService) -> str:
    try:
        raw = service.spool.read(ACCESS_LOG, max_bytes=MAX_ACCESS_LOG_BYTES)
    except (MalformedError, FileNotFoundError):
        raw = None
    return (raw or b"").decode("utf-8", "replace")


def _file(path: Path) -> str:
    if not path.is_file():
        return ""
    return read_file(path, max_bytes=_MAX_CONSOLE_BYTES).decode("utf-8", "replace")
