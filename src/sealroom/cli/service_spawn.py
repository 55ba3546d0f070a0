"""`sealroom service spawn`: an enclave that waits for the key of the package in it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import INPUT_FILE, Invocation, UuidType, command_options
from sealroom.cli.service_hosting import DATA, describe, failure_of, service_errors, wait_while
from sealroom.cli.sgx_options import chosen_sgx, sgx_options
from sealroom.client.locking import fetch_from_index
from sealroom.client.wheel_store import WheelStore
from sealroom.core.wire.service_arguments import CertificateMode, Interface, ServiceLogs
from sealroom.core.wire.service_spool import MAX_CHAIN_BYTES
from sealroom.core.wire.terms import Tee
from sealroom.server.config import SgxSettings
from sealroom.server.hosting.folder import HostedState, Hosting
from sealroom.server.hosting.launching import SimulatedServiceLauncher
from sealroom.server.hosting.spawning import (
    DEFAULT_BOOTSTRAP_SECONDS,
    DEFAULT_HOSTS,
    DEFAULT_LIFETIME_DAYS,
    Choices,
    make_plan,
    open_package,
    requirements_of,
)
from sealroom.server.launchers.folders import FolderLauncher
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher

_SIMULATED, _SGX = "simulated", "gramine-sgx"


@click.command("spawn")
@click.argument("package", type=INPUT_FILE)
@click.option("--service", type=UuidType(), required=True, help="The id that the code provider names.")
@DATA
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8443,
    show_default=True,
    help="Where the enclave listens.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=DEFAULT_HOSTS,
    show_default=True,
    help="A name or address that callers use; the certificate has them all. May be given several times.",
)
@click.option(
    "--certificate",
    type=click.Choice([mode.value for mode in CertificateMode]),
    default=CertificateMode.RA_TLS.value,
    show_default=True,
    help="What the application is served with: the attested certificate; one of the code provider's own, "
    "whose key is delivered sealed; or nothing, behind a proxy that then reads everything.",
)
@click.option(
    "--chain", type=INPUT_FILE, help="With --certificate own: the certificates, PEM, first its own."
)
@click.option(
    "--lifetime-days",
    type=click.IntRange(1, 3650),
    default=DEFAULT_LIFETIME_DAYS,
    show_default=True,
    help="How long the attested certificate is valid.",
)
@click.option(
    "--bootstrap-seconds",
    type=click.IntRange(1, 604_800),
    default=DEFAULT_BOOTSTRAP_SECONDS,
    show_default=True,
    help="How long the enclave waits for its key.",
)
@click.option(
    "--logs",
    type=click.Choice([choice.value for choice in ServiceLogs]),
    default=ServiceLogs.NONE.value,
    show_default=True,
    help="Whether what the application prints comes to you, in the clear. It is measured: callers see it.",
)
@click.option(
    "--interface",
    type=click.Choice([choice.value for choice in Interface]),
    help="How the application is called, where the package does not say it.",
)
@click.option(
    "--launcher",
    type=click.Choice([_SIMULATED, _SGX]),
    default=_SIMULATED,
    show_default=True,
    help="What runs the enclave. The first is simulated and protects nothing from you; gramine-sgx needs SGX "
    "and the options --sgx-...: docs/deploy-sgx.md.",
)
@sgx_options
@command_options
@service_errors
def command(
    invocation: Invocation,
    /,
    package: Path,
    service: UUID,
    data: Path,
    launcher: str,
    chain: Path | None,
    port: int,
    **choices: object,
) -> None:
    """Start an enclave with PACKAGE, which waits for the code provider's key.

    Everything chosen here is measured. Others see it in the evidence before they trust the service with
    anything. The packages that the application needs are fetched from the index that this machine is set to.
    """
    if (chain is not None) is not (choices["certificate"] == CertificateMode.OWN.value):
        raise click.UsageError("--certificate own and --chain FILE go together")
    opened = open_package(package)
    chosen = _choices(choices, service=service, launcher=launcher, chain=chain, port=port)
    store = WheelStore(invocation.open_home())
    with invocation.console.transfers(unit="files") as progress:
        fetch_from_index(requirements_of(opened), store, progress=progress)
    plan = make_plan(package, opened, chosen, store.open)
    sgx = chosen_sgx(choices, wanted=launcher == _SGX)
    name = plan.arguments.name
    invocation.console.say(f"spawning {name}: {len(plan.wheels)} packages, {len(opened.code.files)} files")
    try:
        Hosting(data).spawn(plan, _launcher(data, sgx))
    except FileExistsError as failure:
        raise CommandError(
            f"service {name}: it is here already", code="service_exists", exit_code=ExitCode.USAGE
        ) from failure
    found = wait_while(invocation.console, data, name, (HostedState.SPAWNED,), "waiting: for the enclave")
    if found.state is HostedState.FAILED:
        raise failure_of(found)

    def render() -> None:
        invocation.console.say(f"{name} waits for its key on port {port}, in {found.folder}")
        if chosen.tee is Tee.SIMULATED:
            click.secho("this enclave is SIMULATED: it protects nothing from you", fg="yellow")
        if chosen.certificate is CertificateMode.PLAIN:
            click.secho(
                "certificate plain: whoever runs the proxy in front reads every request and answer",
                fg="yellow",
            )
        invocation.console.next_step(
            f"sealroom service evidence {name} writes what the code provider and callers verify"
        )

    invocation.console.result(describe(found), render)


def _choices(
    given: dict[str, object], *, service: UUID, launcher: str, chain: Path | None, port: int
) -> Choices:
    hosts, interface = given.pop("hosts"), given.pop("interface")
    certificate, logs = str(given.pop("certificate")), str(given.pop("logs"))
    lifetime, patience = given.pop("lifetime_days"), given.pop("bootstrap_seconds")
    if not isinstance(hosts, tuple) or not isinstance(lifetime, int) or not isinstance(patience, int):
        raise TypeError("click gave an option another type")
    return Choices(
        service=service,
        tee=Tee.SGX if launcher == _SGX else Tee.SIMULATED,
        port=port,
        hosts=hosts,
        certificate=CertificateMode(certificate),
        lifetime_days=lifetime,
        bootstrap_seconds=patience,
        logs=ServiceLogs(logs),
        interface=None if interface is None else Interface(interface),
        chain=None if chain is None else read_chain(chain),
    )


def read_chain(path: Path) -> bytes:
    """Read certificates in PEM."""
    from sealroom.cli.console import read_file

    return read_file(path, max_bytes=MAX_CHAIN_BYTES)


def _launcher(data: Path, sgx: SgxSettings | None) -> FolderLauncher:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return SimulatedServiceLauncher(data) if sgx is None else GramineSgxLauncher(data, sgx)
