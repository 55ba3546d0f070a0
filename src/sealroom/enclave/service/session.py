"""One service from start to end, as a numbered list.

Must never serve the application before its code was opened with the right key, write a key or a decrypted
source anywhere, or let what the application prints out where the arguments do not say so.
Spec: docs/spec/services.md, "In the enclave".
"""

from __future__ import annotations

import asyncio
import importlib
import io
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.wire import service_spool as names
from sealroom.core.wire.service_arguments import (
    CertificateMode,
    ServiceArguments,
    ServiceLogs,
    service_arguments_from_items,
)
from sealroom.core.wire.service_spool import PublicFailure, ServiceState
from sealroom.enclave import audit_hook, messages
from sealroom.enclave.audit_hook import Boundaries
from sealroom.enclave.failure import places_of_error, public_failure
from sealroom.enclave.host_writer import HostWriter
from sealroom.enclave.identity import attestation
from sealroom.enclave.identity.attestation import attest, device_folder
from sealroom.enclave.importer import Importer
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.service.challenge import Challenges
from sealroom.enclave.service.identity import ServiceIdentity, make_identity
from sealroom.enclave.service.listening import BACKLOG, listen
from sealroom.enclave.service.memory_files import make_memory_folder, write_other_files, write_secrets
from sealroom.enclave.service.network_rules import network_rules
from sealroom.enclave.service.provisioning import Provision, Provisioning
from sealroom.enclave.service.sealed_code import ServiceFiles, open_service_code, read_service_code
from sealroom.enclave.service.serving import Serving, as_asgi
from sealroom.enclave.service.tls import ServerTls, attested_tls
from sealroom.enclave.service.waiting_room import WaitingRoom

EXIT_ENDED = 0
EXIT_FAILED = 1
EXIT_BROKEN = 2

METRICS_SECONDS = 10.0

_LOOK_SECONDS = 0.25
_SPOOL, _CODE = "spool", "code"
_SOURCES = "src"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """A service that has its identity and listens."""

    base: Path
    spool: HostFolder
    arguments: ServiceArguments
    identity: ServiceIdentity
    tls: ServerTls
    challenges: Challenges
    sockets: tuple[socket.socket, ...]


def run_service(base: Path, items: Sequence[str]) -> int:
    """Run the service whose launch folder is `base`, with the measured `items`; returns its exit code.

    1. Read the arguments and the measured list of the code.
    2. Make both keys, have them quoted, make the certificate, listen.
    3. Publish the certificate, and wait for the key.
    4. Open all of the code, check the secrets, wipe code key and box key.
    5. Close what the application does not get: descriptors, processes, the host's folders.
    6. Load the application and serve it, until the host asks for the end.
    """
    writer = HostWriter()
    spool = HostFolder(base / _SPOOL, writer)
    try:
        arguments = service_arguments_from_items(items)
        service = _start(base, spool, arguments)
        provisioning = _provisioning(service)
        provision = asyncio.run(_wait_for_key(service, provisioning))
    except (SealroomError, OSError) as exc:
        print(f"service: {exc}", file=sys.stderr)
        return EXIT_BROKEN
    if provision is None:
        _say(spool, ServiceState.ENDED)
        return EXIT_FAILED
    return _serve(service, provision, writer)


def _start(base: Path, spool: HostFolder, arguments: ServiceArguments) -> _Service:
    """Do step 2; what waits for the certificate to appear finds the port open."""
    device = device_folder(arguments.tee, base)
    identity = make_identity(arguments, device=device, now=datetime.now(UTC))
    sockets = listen(arguments.port)
    return _Service(
        base=base,
        spool=spool,
        arguments=arguments,
        identity=identity,
        tls=attested_tls(identity.tls_key, identity.certificate),
        challenges=Challenges(partial(_quote, device, arguments)),
        sockets=sockets,
    )


def _quote(device: Path, arguments: ServiceArguments, report_data: bytes) -> bytes:
    return attest(device, tee=arguments.tee, report_data=report_data).raw_quote


def _provisioning(service: _Service) -> Provisioning:
    arguments, code = service.arguments, HostFolder(service.base / _CODE)
    listed = read_service_code(service.spool, arguments)
    own = arguments.certificate is CertificateMode.OWN
    return Provisioning(
        arguments,
        mrenclave=service.identity.mrenclave,
        box_key=service.identity.box_key,
        open_code=lambda key: open_service_code(listed, code, key=key, arguments=arguments),
        own_chain=service.spool.read(names.CHAIN, max_bytes=names.MAX_CHAIN_BYTES) if own else None,
    )


async def _wait_for_key(service: _Service, provisioning: Provisioning) -> Provision | None:
    """Do steps 3 and 4; `None` when nobody brought the key in time, or the host asked for the end."""
    room = WaitingRoom(service.tls, provisioning, service.challenges)
    loop = asyncio.get_running_loop()
    # Copies: closing the server must not close the port, on which callers may wait already.
    copies = [each.dup() for each in service.sockets]
    servers = [await loop.create_server(room.connection, sock=each, backlog=BACKLOG) for each in copies]
    service.spool.write(names.QUOTE, service.identity.quote)
    service.spool.write(names.CERTIFICATE, service.identity.certificate_pem)
    _say(service.spool, ServiceState.BOOTSTRAP)
    end = asyncio.ensure_future(_until_asked_to_end(service.spool))
    done = asyncio.ensure_future(room.done.wait())
    await asyncio.wait(
        (end, done), timeout=service.arguments.bootstrap_seconds, return_when=asyncio.FIRST_COMPLETED
    )
    for waiting in (end, done):
        waiting.cancel()
    for server in servers:
        server.close()
    await room.leave_all()
    provisioning.wipe()
    return provisioning.accepted


def _serve(service: _Service, provision: Provision, writer: HostWriter) -> int:
    """Do steps 5 and 6."""
    files = ServiceFiles(provision.code)
    folder = make_memory_folder()
    write_secrets(folder, os.environ, secrets=provision.secrets, sealed=provision.sealed_secrets)
    write_other_files(folder / _SOURCES, files)
    importer = Importer(files, str(folder / _SOURCES))
    _redirect(service.arguments.logs)
    writer.take_over(writable=(tempfile.gettempdir(),))
    importer.install(explain=False)
    audit_hook.install(_boundaries(service))
    sys.argv = [""]
    os.chdir(folder / _SOURCES)
    try:
        asyncio.run(_serve_application(service, provision))
        code = EXIT_ENDED
    except BaseException as exc:
        _tell_failure(service.spool, exc, importer)
        code = EXIT_FAILED
    _say(service.spool, ServiceState.ENDED)
    return code


async def _serve_application(service: _Service, provision: Provision) -> None:
    arguments = service.arguments
    application = as_asgi(_load(arguments.application), arguments.interface)
    # In every mode but `plain` there is a key: the delivered one, or the enclave's own.
    attested = service.tls if provision.tls is None else provision.tls
    serving = Serving(
        application,
        tls=None if arguments.certificate is CertificateMode.PLAIN else attested,
        challenges=service.challenges,
    )
    beside = (_stop_when_asked, _announce, _meter)
    tasks = [asyncio.ensure_future(each(service, serving)) for each in beside]
    try:
        await serving.run(service.sockets)
    finally:
        for task in tasks:
            task.cancel()
        _write_meters(service.spool, serving)


def _load(application: str) -> Any:  # noqa: ANN401 - what a module has
    module, _, attributes = application.partition(":")
    found: Any = importlib.import_module(module)
    for name in attributes.split("."):
        found = getattr(found, name)
    return found


async def _announce(service: _Service, serving: Serving) -> None:
    await serving.started.wait()
    _say(service.spool, ServiceState.APPLICATION)


async def _stop_when_asked(service: _Service, serving: Serving) -> None:
    await _until_asked_to_end(service.spool)
    serving.stop()


async def _meter(service: _Service, serving: Serving) -> None:
    while True:
        _write_meters(service.spool, serving)
        await asyncio.sleep(METRICS_SECONDS)


def _write_meters(spool: HostFolder, serving: Serving) -> None:
    # A host whose disk is full has no metrics; its service goes on.
    with suppress(SealroomError, OSError):
        spool.write(names.METRICS, serving.meters.metrics())
        spool.write(names.ACCESS_LOG, serving.meters.access_log())


async def _until_asked_to_end(spool: HostFolder) -> None:
    while True:
        with suppress(MalformedError, OSError):
            if spool.read(names.END, max_bytes=names.MAX_END_BYTES) is not None:
                return
        await asyncio.sleep(_LOOK_SECONDS)


def _say(spool: HostFolder, state: ServiceState) -> None:
    with suppress(SealroomError, OSError):
        spool.write(names.STATE, state.value.encode())


def _tell_failure(spool: HostFolder, error: BaseException, importer: Importer) -> None:
    """Publish the built-in kind of an error and where in the application it was raised, and no message."""
    failure = public_failure(type(error), places_of_error(error), lines_of=importer.lines_of)
    told = PublicFailure(type=None, file=None, line=None)
    if failure is not None:
        told = PublicFailure(type=failure.type, file=failure.file, line=failure.line)
    with suppress(SealroomError, OSError):
        spool.write(names.FAILURE, told.to_bytes())
    # Into what the arguments say: the operator's console, or nowhere.
    sys.excepthook(type(error), error, error.__traceback__)


def _redirect(logs: ServiceLogs) -> None:
    """Close the host's console to the application, unless the arguments open it."""
    sys.stdout.flush()
    sys.stderr.flush()
    sink = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    if logs is ServiceLogs.OPERATOR and isinstance(sys.stdout, io.TextIOWrapper):
        # An operator who reads along wants lines when they are printed.
        sys.stdout.reconfigure(line_buffering=True)
    for descriptor in (0, 1, 2) if logs is ServiceLogs.NONE else (0,):
        os.dup2(sink, descriptor)
    os.close(sink)


def _boundaries(service: _Service) -> Boundaries:
    """Return what the application may load, write, read and connect to."""
    base, runtime = service.base, Path(os.__file__).parent.parent
    device = device_folder(service.arguments.tee, base)
    return Boundaries(
        measured=tuple(str(folder) for folder in (base / "lib", base / "packages", runtime)),
        scratch=(tempfile.gettempdir(),),
        closed=(str(base / _SPOOL), str(device)),
        own=(messages, attestation),
        instead=network_rules(service.arguments.connect),
    )
