"""What the commands of a service's operator share."""

from __future__ import annotations

import errno
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from sealroom.cli.console import Console
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.waiting import Steps
from sealroom.core.wire.service_spool import CERTIFICATE
from sealroom.server.hosting.folder import CONSOLE_PATH, HostedService, HostedState, Hosting
from sealroom.server.launchers.host_files import EndReason

P = ParamSpec("P")
R = TypeVar("R")

_LOOK_SECONDS = 0.1
_MAX_CONSOLE_BYTES = 4 << 20
# As Python writes the error of the system on which an enclave runs.
_PORT_TAKEN = f"service: [Errno {errno.EADDRINUSE}]".encode("ascii")

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("operator"),
    show_default=True,
    help="The operator's folder, with all of its services.",
)


def service_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Say of a service that is there, or is not, what to do next."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        from sealroom.server.launchers.base import LaunchError

        try:
            return function(*args, **kwargs)
        except LaunchError as failure:
            raise CommandError(str(failure), code="launcher") from failure

    return command


def check_data(data: Path) -> None:
    """Raise a `CommandError` where there is no such operator's folder: whoever only looks makes none."""
    if not data.is_dir():
        raise CommandError(f"{data}: there is no such folder", code="no_data", exit_code=ExitCode.USAGE)


def look(data: Path, name: str) -> HostedService:
    """Look at a service; a `CommandError` says where there is none."""
    check_data(data)
    try:
        return Hosting(data).look(name)
    except FileNotFoundError as failure:
        raise CommandError(str(failure), code="no_service", exit_code=ExitCode.USAGE) from failure


def wait_while(
    console: Console, data: Path, name: str, states: tuple[HostedState, ...], what: str
) -> HostedService:
    """Wait until a service is in none of `states`, and return what it is then."""
    with Steps(console) as steps:
        while (found := look(data, name)).state in states:
            steps.tell(what)
            time.sleep(_LOOK_SECONDS)
    return found


def describe(service: HostedService) -> dict[str, object]:
    """Return what is known of a service, as JSON has it."""
    arguments, failure = service.arguments, service.failure
    return {
        "name": service.name,
        "state": service.state.value,
        "service": str(arguments.service),
        "start": service.start,
        "tee": arguments.tee.value,
        "port": arguments.port,
        "hosts": list(arguments.hosts),
        "certificate": arguments.certificate.value,
        "logs": arguments.logs.value,
        "connect": arguments.connect.value,
        "folder": str(service.folder),
        "heartbeat_seconds": service.status.heartbeat_seconds,
        "exit_code": None if service.status.exit is None else service.status.exit.exit_code,
        "ended_because": None if service.status.exit is None else service.status.exit.reason.value,
        "failure": None
        if failure is None
        else {"type": failure.type, "file": failure.file, "line": failure.line},
    }


def failure_of(service: HostedService) -> CommandError:
    """Return the error of a command whose service failed; a port that is taken has a next step of its own."""
    if _port_is_taken(service):
        message = f"service {service.name}: port {service.arguments.port} is taken: something listens there"
        return CommandError(message, code="port_taken")
    return CommandError(f"service {service.name}: {why_failed(service)}", code="service_failed")


def _port_is_taken(service: HostedService) -> bool:
    """Tell by the console, where the enclave says why it gave up before it waited for a key."""
    ended, console = service.status.exit, service.folder / CONSOLE_PATH
    if ended is None or ended.reason is not EndReason.EXITED or not console.is_file():
        return False
    # From here on it listened, and the console may be its application's.
    if service.spool.has(CERTIFICATE):
        return False
    with console.open("rb") as file:
        lines = file.read(_MAX_CONSOLE_BYTES).splitlines()
    return any(line.startswith(_PORT_TAKEN) for line in lines)


def why_failed(service: HostedService) -> str:
    """Return one sentence about a service that failed."""
    if service.failure is not None and service.failure.type is not None:
        place = f"{service.failure.file}, line {service.failure.line}"
        return f"its application failed: {service.failure.type} at {place}"
    if service.failure is not None:
        return "its application failed, outside its own files"
    if service.status.exit is None:
        return "its process is gone"
    ended = service.status.exit
    return f"it ended: {ended.reason.value}" + (
        "" if ended.exit_code is None else f", code {ended.exit_code}"
    )
