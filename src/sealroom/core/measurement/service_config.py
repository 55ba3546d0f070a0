"""What a service says of itself in `config.toml`, which travels in the clear.

Nothing of it is believed for what it says: the measured arguments decide, and a verifier compares. Spec:
docs/spec/service-package.md, "Project".
"""

import tomllib
from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import MAX_NUMBER, check_at_most, parse_choice
from sealroom.core.wire.service_arguments import (
    Connections,
    Interface,
    check_application,
    check_health,
    check_service_name,
)

MAX_CONFIG_BYTES = 64 * 1024
DEFAULT_MAX_MEMORY = 1 << 30

_KEYS = frozenset(
    {
        "name",
        "python_application",
        "healthcheck_endpoint",
        "tests_cmd",
        "tests_requirements",
        "interface",
        "connect",
        "max_memory",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """A service's own description. `interface` is `None` where it is to be found out."""

    name: str
    application: str
    health: str
    interface: Interface | None
    connect: Connections
    max_memory: int
    tests_command: str | None
    tests_requirements: tuple[str, ...]

    @classmethod
    def from_toml(cls, raw: bytes) -> "ServiceConfig":
        """Read `config.toml`; raises `MalformedError` for an unknown key or a value of another form."""
        check_at_most(raw, field="config.toml", max_bytes=MAX_CONFIG_BYTES)
        try:
            table = tomllib.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError) as exc:
            raise MalformedError("config.toml: not TOML") from exc
        if unknown := sorted(set(table) - _KEYS):
            raise MalformedError(f"config.toml: unknown key {unknown[0]!r}")
        interface = _text(table, "interface", default="")
        config = cls(
            name=_text(table, "name"),
            application=_text(table, "python_application"),
            health=_text(table, "healthcheck_endpoint", default=""),
            interface=parse_choice(Interface, interface, field="config.toml: interface")
            if interface
            else None,
            connect=parse_choice(
                Connections,
                _text(table, "connect", default=Connections.NONE.value),
                field="config.toml: connect",
            ),
            max_memory=_number(table, "max_memory", default=DEFAULT_MAX_MEMORY),
            tests_command=_text(table, "tests_cmd", default="") or None,
            tests_requirements=_texts(table, "tests_requirements"),
        )
        check_service_name(config.name)
        check_application(config.application)
        check_health(config.health)
        return config


def _text(table: dict[str, object], key: str, *, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise MalformedError(f"config.toml: {key}: {'missing' if value is None else 'expected a string'}")
    return value


def _texts(table: dict[str, object], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedError(f"config.toml: {key}: expected a list of strings")
    return tuple(value)


def _number(table: dict[str, object], key: str, *, default: int) -> int:
    value = table.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_NUMBER:
        raise MalformedError(f"config.toml: {key}: expected a number from 1")
    return value
