"""Services for tests: a package made here, an operator's folder, and callers that do as they please."""

import contextlib
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPSConnection
from pathlib import Path

from installed_wheels import SERVING, requirement_of, requirements_of, wheel_of
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.measurement.service_package import (
    ServicePackage,
    end_of_package,
    member_header,
    padding,
    read_package,
)
from sealroom.core.sealing.container_streams import seal_bytes_reproducibly
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.enclave_keys import seal_box
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.bootstrap import BootstrapDocument, BoundTo, SealedDocument
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.service_arguments import (
    CertificateMode,
    Connections,
    Interface,
    ServiceArguments,
    ServiceLogs,
)
from sealroom.core.wire.service_spool import CERTIFICATE, MAX_CERTIFICATE_BYTES, QUOTE
from sealroom.core.wire.terms import Tee
from sealroom.server.hosting.folder import HostedService, HostedState, Hosting
from sealroom.server.hosting.launching import ServicePlan, SimulatedServiceLauncher
from sealroom.server.launchers.base import WheelSource

CODE_KEY = bytes(range(32))
SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Project:
    """A service as its provider has it: sources by path, packages beside those that serve."""

    name: str
    sources: Mapping[str, str | bytes]
    application: str = "app:app"
    interface: Interface = Interface.ASGI
    packages: tuple[str, ...] = ()
    health: str = ""
    key: bytes = CODE_KEY

    def code_key(self) -> CodeKey:
        return CodeKey.from_bytes(self.key)

    @property
    def service(self):
        return service_id(self.code_key(), self.name)

    @property
    def requirement_names(self) -> tuple[str, ...]:
        return tuple(sorted({*SERVING, *self.packages}))

    def package(self, file: Path) -> ServicePackage:
        """Write the package to `file`, and read it."""
        members = {
            "config.toml": (
                f'name = "{self.name}"\npython_application = "{self.application}"\n'
                f'healthcheck_endpoint = "{self.health}"\n'
            ).encode(),
            "requirements.txt": requirements_of(*self.requirement_names),
        }
        for path, source in sorted(self.sources.items()):
            plain = source.encode() if isinstance(source, str) else source
            name = f"src/{path}"
            context = Context.service(service=self.service, path=name)
            members[name] = seal_bytes_reproducibly(plain, key=self.code_key(), context=context)
        parts = [
            part
            for path, content in members.items()
            for part in (member_header(path, len(content)), content, padding(len(content)))
        ]
        file.write_bytes(b"".join(parts) + end_of_package())
        with file.open("rb") as source:
            return read_package(source)

    def arguments(self, package: ServicePackage, **changes: object) -> ServiceArguments:
        made = ServiceArguments(
            tee=Tee.SIMULATED,
            service=self.service,
            name=self.name,
            application=self.application,
            interface=self.interface,
            health=self.health,
            certificate=CertificateMode.RA_TLS,
            hosts=("localhost", "127.0.0.1"),
            port=free_port(),
            lifetime_days=90,
            bootstrap_seconds=600,
            connect=Connections.NONE,
            logs=ServiceLogs.OPERATOR,
            max_memory=1 << 30,
            code_digest=package.code.digest,
            packages_digest=sha256(package.requirements or b""),
            spawn=bytes(16),
        )
        return replace(made, **changes)

    def plan(self, folder: Path, *, chain: bytes | None = None, **changes: object) -> ServicePlan:
        file = folder / f"{self.name}.tar"
        package = self.package(file)
        wheels = tuple(
            WheelSource(requirement=requirement_of(name), open=lambda name=name: io.BytesIO(wheel_of(name)))
            for name in self.requirement_names
        )
        arguments = self.arguments(package, **changes)
        return ServicePlan(
            arguments=arguments, package_file=file, package=package, wheels=wheels, chain=chain
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@dataclass(frozen=True)
class Hosted:
    """A service that was spawned, and its operator."""

    hosting: Hosting
    project: Project

    @property
    def seen(self) -> HostedService:
        return self.hosting.look(self.project.name)

    @property
    def port(self) -> int:
        return self.seen.arguments.port

    def wait_for(self, *states: HostedState) -> HostedService:
        ends = time.monotonic() + SECONDS
        while (seen := self.seen).state not in states:
            if time.monotonic() > ends or seen.state in (HostedState.FAILED, HostedState.STOPPED):
                raise AssertionError(f"{seen.state}, {seen.status}, {seen.failure}, {self.console()}")
            time.sleep(0.02)
        return seen

    def console(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.seen.folder / "host/console.log").read_text(errors="replace")
        return ""

    def certificate(self) -> bytes:
        raw = self.seen.spool.read(CERTIFICATE, max_bytes=MAX_CERTIFICATE_BYTES)
        assert raw is not None
        return raw

    def mrenclave(self) -> bytes:
        return self.quoted().mrenclave

    def box_key(self) -> bytes:
        return self.quoted().report_data[32:]

    def quoted(self) -> SgxReport:
        report = parse_quote(self.seen.spool.read(QUOTE, max_bytes=1 << 16) or b"").body
        assert isinstance(report, SgxReport)
        return report

    def box(self, *, to: bytes | None = None, **changes: object) -> bytes:
        """A sealed box as our own code provider makes it, unless told otherwise."""
        document = SealedDocument(
            code_key=self.project.key.hex(),
            tls_key=None,
            bound_to=BoundTo(service=self.project.service, mrenclave=self.mrenclave()),
            secrets={},
        )
        plain = replace(document, **changes).to_bytes()
        return seal_box(SecretBuffer.take(plain, len(plain)), to or self.box_key())

    def body(self, **changes: object) -> bytes:
        document = BootstrapDocument(
            service=self.project.service, secrets=None, sealed=None, code_key=None, tls_key=None
        )
        return replace(document, **changes).to_bytes()

    def provision(self, body: bytes | None = None) -> None:
        self.wait_for(HostedState.WAITING)
        status, _, _ = self.request("POST", "/", body=self.body(sealed=self.box()) if body is None else body)
        assert status == 200
        self.wait_for(HostedState.RUNNING)

    def trust(self, certificate: bytes | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=(certificate or self.certificate()).decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def request(self, method: str, path: str, *, body: bytes | None = None, trust=None, headers=None):
        connection = HTTPSConnection("127.0.0.1", self.port, context=trust or self.trust(), timeout=SECONDS)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def hosted(folder: Path, project: Project, **changes: object) -> Iterator[Hosted]:
    """Spawn a service, and end it behind the test."""
    hosting = Hosting(folder / "operator")
    hosting.spawn(project.plan(folder, **changes), SimulatedServiceLauncher(folder / "operator"))
    service = Hosted(hosting, project)
    try:
        yield service
    finally:
        hosting.remove(project.name)
