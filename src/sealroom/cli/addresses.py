"""--server and --server-cert: where a server is, and which certificate it must show."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from sealroom.cli.options import Sha256Type
from sealroom.client.transport import ServerAddress

P = ParamSpec("P")
R = TypeVar("R")


def server_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --server, required, and --server-cert to a command."""
    certificate = click.option(
        "--server-cert",
        type=Sha256Type(),
        metavar="SHA256",
        help="SHA-256 of the server's certificate, as the server prints it. Without it the system's trust "
        "decides.",
    )
    address = click.option(
        "--server", required=True, metavar="ADDRESS", help="The server's address, https://HOST[:PORT]."
    )
    return address(certificate(function))


def invitation_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add both, optional: an invitation's file names its server, and a bare line does not."""
    certificate = click.option(
        "--server-cert",
        type=Sha256Type(),
        metavar="SHA256",
        help="SHA-256 of the server's certificate, with a bare line.",
    )
    address = click.option(
        "--server",
        metavar="ADDRESS",
        help="The server's address, https://HOST[:PORT], with an invitation that is a bare line.",
    )
    return address(certificate(function))


def server_address(server: str, server_cert: bytes | None) -> ServerAddress:
    """Make an address of both, or fail as wrong usage."""
    try:
        return ServerAddress(url=server, certificate_sha256=server_cert)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--server") from error
