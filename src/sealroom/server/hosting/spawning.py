"""From a package and an operator's choices to everything that decides a service's launch folder.

What the code provider decided stands in the package; what the operator decides is measured as well, and the
code provider sees it before a key is sealed. Spec: docs/spec/service-arguments.md.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.measurement.service_package import ServicePackage, read_package
from sealroom.core.wire.byte_fields import DIGEST_SIZE, sha256
from sealroom.core.wire.service_arguments import (
    SPAWN_SIZE,
    CertificateMode,
    Interface,
    ServiceArguments,
    ServiceLogs,
)
from sealroom.core.wire.terms import Tee
from sealroom.server.hosting.launching import ServicePlan
from sealroom.server.launchers.base import WheelSource

DEFAULT_HOSTS = ("localhost", "127.0.0.1")
DEFAULT_LIFETIME_DAYS = 90
DEFAULT_BOOTSTRAP_SECONDS = 24 * 3600

OpenWheel = Callable[[bytes], BinaryIO]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an operator chooses. `service` is the id that the code provider names.

    `interface` is asked for where the package does not say it. `chain` are the certificates that go with a
    TLS key of one's own: there with `certificate=own` and not otherwise.
    """

    service: UUID
    tee: Tee
    port: int
    hosts: tuple[str, ...] = DEFAULT_HOSTS
    certificate: CertificateMode = CertificateMode.RA_TLS
    lifetime_days: int = DEFAULT_LIFETIME_DAYS
    bootstrap_seconds: int = DEFAULT_BOOTSTRAP_SECONDS
    logs: ServiceLogs = ServiceLogs.NONE
    interface: Interface | None = None
    chain: bytes | None = None


def open_package(file: Path) -> ServicePackage:
    """Read a package from its file; raises `MalformedError` for what is none."""
    with file.open("rb") as source:
        return read_package(source)


def requirements_of(package: ServicePackage) -> tuple[Requirement, ...]:
    """Return the packages of others that a service needs."""
    return parse_requirements(package.requirements or b"")


def make_plan(file: Path, package: ServicePackage, choices: Choices, open_wheel: OpenWheel) -> ServicePlan:
    """Return the plan of one spawn; `open_wheel` opens a wheel by its SHA-256.

    Raises `MalformedError` for choices that no enclave takes.
    """
    wheels = tuple(
        WheelSource(requirement=requirement, open=partial(open_wheel, requirement.sha256))
        for requirement in requirements_of(package)
    )
    if (choices.chain is not None) is not (choices.certificate is CertificateMode.OWN):
        raise MalformedError("certificate: a chain goes with certificate=own, and with nothing else")
    return ServicePlan(
        arguments=make_arguments(package, choices),
        package_file=file,
        package=package,
        wheels=wheels,
        chain=choices.chain,
    )


def make_arguments(package: ServicePackage, choices: Choices) -> ServiceArguments:
    """Return the measured arguments of one spawn, another one at each call."""
    config = package.config
    interface = choices.interface or config.interface
    if interface is None:
        raise MalformedError("interface: the package does not say it; choose asgi or wsgi")
    if config.interface not in (None, interface):
        raise MalformedError(f"interface: the package says {config.interface.value}")
    return ServiceArguments(
        tee=choices.tee,
        service=choices.service,
        name=config.name,
        application=config.application,
        interface=interface,
        health=config.health,
        certificate=choices.certificate,
        hosts=choices.hosts,
        port=choices.port,
        lifetime_days=choices.lifetime_days,
        bootstrap_seconds=choices.bootstrap_seconds,
        connect=config.connect,
        logs=choices.logs,
        max_memory=config.max_memory,
        code_digest=package.code.digest,
        packages_digest=bytes(DIGEST_SIZE) if package.requirements is None else sha256(package.requirements),
        spawn=secrets.token_bytes(SPAWN_SIZE),
    )
