"""`sealroom service`: web applications in an enclave. Each command lives in a file of its own."""

from __future__ import annotations

import importlib

import click

from sealroom.cli.groups import Group

# The name of a command, and the module that has it.
_COMMANDS = {
    "decrypt": "service_decrypt",
    "evidence": "service_evidence",
    "list": "service_list",
    "logs": "service_logs",
    "new": "service_new",
    "package": "service_package",
    "restart": "service_restart",
    "run": "service_run",
    "seal": "service_seal",
    "spawn": "service_spawn",
    "status": "service_status",
    "stop": "service_stop",
    "test": "service_test",
    "verify": "service_verify",
}


class _ServiceCommands(Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        found = importlib.import_module(f"sealroom.cli.{_COMMANDS[cmd_name]}").command
        if not isinstance(found, click.Command):
            raise TypeError(f"sealroom service {cmd_name} is not a command")
        return found


@click.group("service", cls=_ServiceCommands)
def command() -> None:
    """Make, run, verify and call services: web applications in an enclave.

    A code provider makes a package that nobody else can read. An operator, who need not be trusted, spawns an
    enclave with it. The code provider verifies that enclave, and seals the code key and secrets to it. A
    caller verifies before talking.
    """
