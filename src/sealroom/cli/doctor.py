"""`sealroom doctor`: what this machine can run, and what is missing."""

from __future__ import annotations

import click

from sealroom.adapters.host_checks import HostCheck, Purpose, examine, this_host
from sealroom.adapters.release import load_release
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import Invocation, command_options


@click.command("doctor")
@click.option(
    "--for",
    "purpose",
    type=click.Choice([purpose.value for purpose in Purpose]),
    help="Exit 1 unless everything is here for this kind of enclave.",
)
@command_options
def command(invocation: Invocation, purpose: str | None) -> int:
    """Say what this machine has for running enclaves, what is missing, and what brings it.

    Nothing is changed. A machine that looks complete proves nothing to a participant: `sealroom evidence
    verify` does. This release starts no enclaves on SGX yet; see docs/limits.md.
    """
    checks = examine(this_host(), pals=load_release().pals)
    ready = {kind: _is_ready(checks, kind) for kind in Purpose}
    document = {
        "ready": {kind.value: value for kind, value in ready.items()},
        "checks": [_row(check) for check in checks],
    }
    invocation.console.result(document, lambda: _print(invocation, checks))
    return ExitCode.DONE if purpose is None or ready[Purpose(purpose)] else ExitCode.REFUSED


def _is_ready(checks: tuple[HostCheck, ...], purpose: Purpose) -> bool:
    return all(check.present for check in checks if check.purpose is purpose)


def _row(check: HostCheck) -> dict[str, object]:
    return {
        "name": check.name,
        "present": check.present,
        "found": check.found,
        "for": check.purpose.value,
        "fix": None if check.present else check.fix,
    }


def _print(invocation: Invocation, checks: tuple[HostCheck, ...]) -> None:
    rows = [("ok" if c.present else "missing", c.name, c.purpose.value, c.found) for c in checks]
    invocation.console.table(("", "what", "for", "found"), rows)
    for check in checks:
        if not check.present:
            invocation.console.say(f"{check.name}: {check.fix}")
