"""`sealroom server`: the operator's command."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import Invocation, command_options
from sealroom.cli.sgx_options import chosen_sgx, sgx_options
from sealroom.server.config import Listening, ServerConfig
from sealroom.server.launchers.base import LaunchError
from sealroom.server.main import run_server

_ADDRESS_ERRORS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)


@click.command("server")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for database, blobs, launches and the certificate; made if it is missing.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="0: any free one."
)
@click.option(
    "--launcher",
    type=click.Choice(["simulated", "gramine-direct", "gramine-sgx"]),
    default="simulated",
    show_default=True,
    help="What starts enclaves. The first two are simulated; gramine-direct runs them in Gramine, for "
    "development. gramine-sgx needs SGX and the options --sgx-...: docs/deploy-sgx.md.",
)
@click.option(
    "--waiting-deadline",
    type=click.IntRange(min=1),
    default=24 * 3600,
    show_default=True,
    help="Seconds that an enclave waits for keys before it ends with a signed refusal.",
)
@click.option("--database", help="PostgreSQL by URL. Default: SQLite in the data folder.")
@sgx_options
@command_options
def command(
    invocation: Invocation,
    /,
    data: Path,
    host: str,
    port: int,
    launcher: str,
    waiting_deadline: int,
    database: str | None,
    **choices: object,
) -> None:
    """Run the platform server until it is told to stop (Ctrl-C, SIGTERM).

    It prints its address and the SHA-256 of its certificate, which participants pin. It can be stopped and
    started at any time: enclaves live on under their supervisors and are found again.
    """
    config = ServerConfig(
        data=data,
        host=host,
        port=port,
        launcher=launcher,
        waiting_deadline_seconds=waiting_deadline,
        database_url=database,
        sgx=chosen_sgx(choices, wanted=launcher == "gramine-sgx"),
    )

    def announce(listening: Listening) -> None:
        document = {
            "url": listening.url,
            "certificate_sha256": listening.certificate_sha256,
            "launcher": listening.launcher,
        }
        if invocation.console.as_json:
            click.echo(json.dumps(document))
        else:
            click.echo(f"listening on {listening.url}, launcher: {listening.launcher}")
            click.echo(f"certificate SHA-256: {listening.certificate_sha256}")
            invocation.console.next_step(
                f"sealroom account create --server {listening.url} "
                f"--server-cert {listening.certificate_sha256} --email YOU@EXAMPLE.ORG"
            )

    try:
        run_server(config, announce)
    except OSError as failure:
        raise _explained(failure, config) from failure
    except (SQLAlchemyError, ModuleNotFoundError) as failure:
        # The first line only: the others are the library's, and may quote the URL.
        said = (str(failure).splitlines() or [type(failure).__name__])[0]
        raise CommandError(f"database: {said}", code="database", exit_code=ExitCode.USAGE) from failure
    except LaunchError as failure:
        raise CommandError(str(failure), code="launcher") from failure
    except ValueError as failure:
        raise CommandError(str(failure), code="server_setting", exit_code=ExitCode.USAGE) from failure


def _explained(failure: OSError, config: ServerConfig) -> Exception:
    """Say of what the operator named the system complained."""
    if isinstance(failure, FileExistsError) and failure.errno is None:
        return CommandError(str(failure), code="data_folder")
    if isinstance(failure, socket.gaierror) or failure.errno in _ADDRESS_ERRORS:
        where = f"{config.host}:{config.port}"
        return CommandError(
            f"{where}: {failure.strerror or failure}", code="address", exit_code=ExitCode.TRANSPORT
        )
    return failure
