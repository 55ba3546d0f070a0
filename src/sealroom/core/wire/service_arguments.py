"""The measured arguments of a service: what an enclave was told when it was spawned.

One parser and one serialiser for operator, verifier and enclave. Must never accept a second spelling of one
value, nor the arguments of a computation. Spec: docs/spec/service-arguments.md.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire.argument_items import Items, read_items, write_items
from sealroom.core.wire.byte_fields import DIGEST_SIZE, check_number, check_size, parse_choice, parse_hex
from sealroom.core.wire.terms import FORMAT_ITEM, Tee, parse_computation

KIND_ITEM = "kind=service"
MAX_SERVICE_ARGUMENTS_BYTES = 64 * 1024
MAX_HOSTS = 32
SPAWN_SIZE = 16

_FIXED_ITEMS = 18
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_APPLICATION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_HEALTH = re.compile(r"(?:/[A-Za-z0-9._~/%-]*)?")
_MAX_TEXT = 253
_ID_VERSION = 4


class Interface(Enum):
    """How the server calls the application."""

    ASGI = "asgi"
    WSGI = "wsgi"


class CertificateMode(Enum):
    """What the application is served behind: the attested certificate, one's own, or a proxy's."""

    RA_TLS = "ra-tls"
    OWN = "own"
    PLAIN = "plain"


class Connections(Enum):
    """Whom the application may connect to by itself; being connected to needs no permission."""

    NONE = "none"
    ANY = "any"


class ServiceLogs(Enum):
    """Whether what the application prints leaves the enclave; if it does, the operator can read it."""

    NONE = "none"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceArguments:
    """Everything that one spawned service was told. `packages_digest` is zeros without requirements.txt."""

    tee: Tee
    service: UUID
    name: str
    application: str
    interface: Interface
    health: str
    certificate: CertificateMode
    hosts: tuple[str, ...]
    port: int
    lifetime_days: int
    bootstrap_seconds: int
    connect: Connections
    logs: ServiceLogs
    max_memory: int
    code_digest: bytes
    packages_digest: bytes
    spawn: bytes

    def __post_init__(self) -> None:
        if self.service.version != _ID_VERSION:
            raise MalformedError(f"service: expected a UUID of version {_ID_VERSION}")
        check_service_name(self.name)
        check_application(self.application)
        check_health(self.health)
        if not 1 <= len(self.hosts) <= MAX_HOSTS or len(set(self.hosts)) != len(self.hosts):
            raise MalformedError(f"host: expected 1 to {MAX_HOSTS} distinct names")
        for host in self.hosts:
            check_host(host)
        check_number(self.port, field="port", minimum=1, maximum=0xFFFF)
        check_number(self.lifetime_days, field="lifetime-days", minimum=1, maximum=3650)
        check_number(self.bootstrap_seconds, field="bootstrap-seconds", minimum=1, maximum=604_800)
        check_number(self.max_memory, field="max-memory", minimum=1)
        check_size(self.code_digest, field="code", size=DIGEST_SIZE)
        check_size(self.packages_digest, field="packages", size=DIGEST_SIZE)
        check_size(self.spawn, field="spawn", size=SPAWN_SIZE)

    def items(self) -> tuple[str, ...]:
        """Return the items after the interpreter's arguments, in their one order."""
        return (
            FORMAT_ITEM,
            KIND_ITEM,
            f"tee={self.tee.value}",
            f"service={self.service}",
            f"name={self.name}",
            f"application={self.application}",
            f"interface={self.interface.value}",
            f"health={self.health}",
            f"certificate={self.certificate.value}",
            *(f"host={host}" for host in self.hosts),
            f"port={self.port}",
            f"lifetime-days={self.lifetime_days}",
            f"bootstrap-seconds={self.bootstrap_seconds}",
            f"connect={self.connect.value}",
            f"logs={self.logs.value}",
            f"max-memory={self.max_memory}",
            f"code={self.code_digest.hex()}",
            f"packages={self.packages_digest.hex()}",
            f"spawn={self.spawn.hex()}",
        )

    def to_bytes(self) -> bytes:
        """Return the whole measured file: the interpreter's arguments, then the items."""
        return write_items(self.items())


def parse_service_arguments(raw: bytes) -> ServiceArguments:
    """Read a whole measured arguments file; raises `MalformedError` for anything but its one encoding."""
    return service_arguments_from_items(read_items(raw, max_bytes=MAX_SERVICE_ARGUMENTS_BYTES))


def service_arguments_from_items(items: Sequence[str]) -> ServiceArguments:
    """Read the items that follow the interpreter's arguments, as an enclave finds them in `sys.argv[1:]`.

    Raises `MalformedError` for a missing, repeated, reordered, abbreviated or unknown item.
    """
    reader = Items(items, most=_FIXED_ITEMS + MAX_HOSTS)
    reader.literal(FORMAT_ITEM)
    reader.literal(KIND_ITEM)
    arguments = ServiceArguments(
        tee=parse_choice(Tee, reader.value("tee"), field="tee"),
        service=parse_computation(reader.value("service")),
        name=reader.value("name"),
        application=reader.value("application"),
        interface=parse_choice(Interface, reader.value("interface"), field="interface"),
        health=reader.value("health"),
        certificate=parse_choice(CertificateMode, reader.value("certificate"), field="certificate"),
        hosts=tuple(reader.values("host")),
        port=reader.number("port"),
        lifetime_days=reader.number("lifetime-days"),
        bootstrap_seconds=reader.number("bootstrap-seconds"),
        connect=parse_choice(Connections, reader.value("connect"), field="connect"),
        logs=parse_choice(ServiceLogs, reader.value("logs"), field="logs"),
        max_memory=reader.number("max-memory"),
        code_digest=parse_hex(reader.value("code"), field="code", size=DIGEST_SIZE),
        packages_digest=parse_hex(reader.value("packages"), field="packages", size=DIGEST_SIZE),
        spawn=parse_hex(reader.value("spawn"), field="spawn", size=SPAWN_SIZE),
    )
    reader.compare(arguments.items())
    return arguments


def check_service_name(name: str) -> None:
    """Refuse a service's name that is no DNS label in lower case."""
    if _NAME.fullmatch(name) is None:
        raise MalformedError("name: expected 1 to 63 of a-z, 0-9 and -, no - at either end")


def check_application(text: str) -> None:
    """Refuse what is not `module:variable`."""
    if len(text) > _MAX_TEXT or _APPLICATION.fullmatch(text) is None:
        raise MalformedError("application: expected module:variable")


def check_health(path: str) -> None:
    """Refuse a health check's path that is neither empty nor a plain path from `/`."""
    if len(path) > _MAX_TEXT or _HEALTH.fullmatch(path) is None:
        raise MalformedError("health: expected a path from /, or nothing")


def check_host(host: str) -> None:
    """Refuse what is neither a DNS name in lower case nor an IP address in its one spelling."""
    if is_address(host):
        return
    labels = host.split(".")
    if len(host) > _MAX_TEXT or not all(_NAME.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise MalformedError("host: expected a DNS name in lower case, or an IP address in its shortest form")


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, written as this protocol writes it."""
    try:
        # A zone (fe80::1%eth0) means something on one machine alone, and is in no certificate.
        return "%" not in host and str(ipaddress.ip_address(host)) == host
    except ValueError:
        return False
