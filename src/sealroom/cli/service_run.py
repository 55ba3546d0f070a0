"""`sealroom service run`: what the code provider sealed goes to the enclave that this command verified."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.console import read_file
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.options import INPUT_FILE, Invocation
from sealroom.cli.service_evidence_options import EvidenceChoices, evidence_options, refuse, verify_choices
from sealroom.cli.service_hosting import DATA, describe, failure_of, look, service_errors, wait_while
from sealroom.cli.verdicts import verdict_document, verdict_exit_code
from sealroom.client.service.delivering import deliver
from sealroom.client.service.verification import decide_service
from sealroom.core.wire.bootstrap import MAX_BOOTSTRAP_BYTES
from sealroom.server.hosting.evidence import compose_evidence
from sealroom.server.hosting.folder import HostedState

_NEAR = ("127.0.0.1", "localhost", "::1")


@click.command("run")
@click.argument("name")
@click.argument("sealed", type=INPUT_FILE)
@DATA
@click.option("--url", help="Where the enclave is reached. Default: this machine, or its first host.")
@evidence_options
@service_errors
def command(
    invocation: Invocation,
    choices: EvidenceChoices,
    /,
    name: str,
    sealed: Path,
    data: Path,
    url: str | None,
) -> int:
    """Verify the service NAME, and pass SEALED on to it: the application runs.

    SEALED is what the code provider's sealroom service seal wrote. You cannot read it, and it opens in this
    one enclave. Sent over a connection that is proven to end there. Exit codes: 0 running, 1 refused,
    2 malformed, 3 collateral stale or missing, 4 not reached.
    """
    seen = look(data, name)
    if seen.state is HostedState.RUNNING:
        raise CommandError(f"service {name}: it has its key, and runs", code="already_runs")
    evidence = compose_evidence(seen)
    if evidence is None:
        raise CommandError(f"service {name}: no certificate yet", code="not_attested")
    assessed = verify_choices(invocation, choices, evidence.to_bytes())
    verdict = assessed.appraisal.verdict
    exit_code = verdict_exit_code(verdict, accept_simulated=choices.accept_simulated)
    if exit_code is not ExitCode.DONE:
        invocation.console.result(
            verdict_document(verdict, of="service"), lambda: refuse(invocation, verdict)
        )
        return exit_code
    service = decide_service(assessed.appraisal, insecure_accept_simulated=choices.accept_simulated)
    invocation.console.say(f"{name} is verified; passing on what was sealed to it")
    deliver(
        read_file(sealed, max_bytes=MAX_BOOTSTRAP_BYTES),
        to=service,
        url=url or _address(service.arguments.hosts, service.arguments.port),
        policy=assessed.question.policy,
        documents=assessed.question.documents,
        insecure_accept_simulated=choices.accept_simulated,
    )
    waiting = (HostedState.SPAWNED, HostedState.WAITING)
    found = wait_while(invocation.console, data, name, waiting, "waiting: for the application")
    if found.state is not HostedState.RUNNING:
        raise failure_of(found)

    def render() -> None:
        invocation.console.say(f"{name} runs on port {found.arguments.port}")
        invocation.console.next_step(
            "callers verify it: sealroom service verify EVIDENCE --package PACKAGE --policy POLICY"
        )

    invocation.console.result({**describe(found), "delivered": str(sealed)}, render)
    return ExitCode.DONE


def _address(hosts: tuple[str, ...], port: int) -> str:
    host = next((near for near in _NEAR if near in hosts), hosts[0])
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
