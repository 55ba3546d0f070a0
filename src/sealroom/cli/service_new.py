"""`sealroom service new`: a project that passes its own tests."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.client.service.scaffold import scaffold
from sealroom.core.errors import MalformedError
from sealroom.core.wire.service_arguments import Interface, check_service_name


class NameType(click.ParamType[str]):
    """A service's name: a DNS label in lower case."""

    name = "name"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check `value`, or fail as click expects."""
        try:
            check_service_name(str(value))
        except MalformedError as error:
            self.fail(f"got {str(value)!r}, {error}", param, ctx)
        return str(value)


@click.command("new")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", type=NameType(), help="The service's name. Default: that of the folder.")
@click.option(
    "--interface",
    type=click.Choice([each.value for each in Interface]),
    default=Interface.ASGI.value,
    show_default=True,
    help="How the application is called: asgi like FastAPI and Starlette, wsgi like Flask.",
)
@command_options
def command(invocation: Invocation, folder: Path, name: str | None, interface: str) -> None:
    """Make a new service's project in FOLDER, which must not be there.

    It has an application that answers, tests for it, and files for secrets. Its tests pass at once: sealroom
    service test FOLDER.
    """
    chosen = name or NameType().convert(folder.absolute().name, None, click.get_current_context())
    project = scaffold(folder, name=chosen, interface=Interface(interface))
    document = {
        "folder": str(folder),
        "name": project.config.name,
        "application": project.config.application,
        "interface": interface,
    }

    def render() -> None:
        invocation.console.say(f"{folder}: the service {chosen}, whose application is src/app.py")
        invocation.console.next_step(f"sealroom service test {folder}")

    invocation.console.result(document, render)
