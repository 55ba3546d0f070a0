"""`sealroom service status`: what one service is doing."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sealroom.cli.options import Invocation, command_options
from sealroom.cli.service_hosting import DATA, describe, look, why_failed
from sealroom.core.errors import MalformedError
from sealroom.core.wire.service_spool import MAX_METRICS_BYTES, METRICS
from sealroom.server.hosting.folder import HostedService, HostedState
from sealroom.server.hosting.health import probe_health

_NEXT = {
    HostedState.SPAWNED: "the same command in a moment",
    HostedState.WAITING: "sealroom service evidence {name}, then sealroom service run {name} SEALED",
    HostedState.RUNNING: None,
    HostedState.STOPPED: "sealroom service restart {name} starts it anew",
    HostedState.FAILED: "sealroom service logs {name} has what it said, if it may say anything",
}


@click.command("status")
@click.argument("name")
@DATA
@command_options
def command(invocation: Invocation, name: str, data: Path) -> None:
    """Show what the service NAME is doing, its port, what protects it, its health and its counts.

    State and counts are what the enclave says, health what it answers here, and no proof of anything.
    """
    service = look(data, name)
    metrics, health = _metrics(service), probe_health(service)
    document = describe(service) | {
        "health": health,
        "protections": [
            {"name": each.name, "on": each.on, "detail": each.detail} for each in service.protections
        ],
        "metrics": metrics,
    }

    def render() -> None:
        console, arguments = invocation.console, service.arguments
        console.say(f"{name}: {service.state.value}")
        if service.state is HostedState.FAILED:
            console.row("why", why_failed(service))
        console.row("service", str(arguments.service))
        console.row("reached at", f"{', '.join(arguments.hosts)}, port {arguments.port}")
        console.row("certificate", arguments.certificate.value)
        if service.state is HostedState.RUNNING and arguments.health:
            console.row("health", f"{arguments.health}: {'no answer' if health is None else health}")
        console.row("enclave", f"{arguments.tee.value}, start {service.start}")
        for each in service.protections:
            console.row(each.name, ("" if each.on else "OFF: ") + each.detail, width=22)
        for key, value in (metrics or {}).items():
            console.row(key, json.dumps(value), width=22)
        step = _NEXT[service.state]
        if step is not None:
            console.next_step(step.format(name=name))

    invocation.console.result(document, render)


def _metrics(service: HostedService) -> dict[str, object] | None:
    """Return the counts that the enclave wrote, `None` where there are none that can be read."""
    try:
        raw = service.spool.read(METRICS, max_bytes=MAX_METRICS_BYTES)
        value = None if raw is None else json.loads(raw)
    except (MalformedError, ValueError, FileNotFoundError):
        return None
    return value if isinstance(value, dict) else None
