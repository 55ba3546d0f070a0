"""`sealroom service verify`: is this the service that I mean, and its certificate for `curl`."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.evidence_certificate import certificate_pem
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.lone_quotes import issuer
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation
from sealroom.cli.service_evidence_options import (
    EvidenceChoices,
    evidence_options,
    read_evidence,
    refuse,
    verify_choices,
)
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.core.wire.service_arguments import CertificateMode, ServiceArguments

CURL_CANNOT = (
    "curl and other clients that are given this certificate check that the server has its key. They cannot "
    "ask whether their own connection ends in the enclave: who got a copy of the key could stand between. "
    "sealroom.client.connect asks on every connection."
)


@click.command("verify")
@click.argument("evidence", type=INPUT_FILE)
@evidence_options
@click.option(
    "--save", type=OUTPUT_FILE, help="If accepted, write the certificate as PEM, for `curl --cacert`."
)
def command(invocation: Invocation, choices: EvidenceChoices, /, evidence: Path, save: Path | None) -> int:
    """Verify EVIDENCE, the operator's file about a service, against the package that you have.

    Needs neither SGX nor trust in the operator: manifest and MRENCLAVE are made again here from the package,
    its wheels and this release, and compared with what the processor signed. Exit codes: 0 accepted,
    1 refused or simulated, 2 malformed, 3 collateral stale or missing.
    """
    assessed = verify_choices(invocation, choices, read_evidence(evidence))
    appraisal = assessed.appraisal
    verdict, arguments = appraisal.verdict, appraisal.arguments
    exit_code = verdict_exit_code(verdict, accept_simulated=choices.accept_simulated)
    done = exit_code is ExitCode.DONE
    if done and save is not None and appraisal.certificate is not None:
        save.write_bytes(certificate_pem(appraisal.certificate))

    def render() -> None:
        if not done or arguments is None:
            refuse(invocation, verdict)
            return
        print_verdict(verdict, invocation.console)
        _say_next(invocation, arguments, save)

    document = {
        "issuer": issuer(verdict),
        **verdict_document(verdict, of="service"),
        **_contents(arguments),
        "curl_cannot_check": CURL_CANNOT,
    }
    invocation.console.result(document, render)
    return exit_code


def _say_next(invocation: Invocation, arguments: ServiceArguments, save: Path | None) -> None:
    console = invocation.console
    console.say(f"the service {arguments.name}, {arguments.service}, for {', '.join(arguments.hosts)}")
    if arguments.certificate is CertificateMode.RA_TLS:
        console.say(CURL_CANNOT)
        url = f"https://{_in_url(arguments.hosts[0])}:{arguments.port}{arguments.health or '/'}"
        saved = "service.pem" if save is None else str(save)
        first = "" if save is not None else f"this command with --save {saved}, then "
        console.next_step(f"{first}curl --cacert {saved} {url}")
    elif arguments.certificate is CertificateMode.OWN:
        console.say(
            "It is served with a certificate of its own once it has its key. That certificate proves a name; "
            "sealroom.client.connect has each connection prove the enclave."
        )
    else:
        console.say("It is served without TLS: the operator's proxy reads and can change everything.")


def _contents(arguments: ServiceArguments | None) -> dict[str, object]:
    if arguments is None:
        return {"service": None}
    return {
        "service": {
            "id": str(arguments.service),
            "name": arguments.name,
            "application": arguments.application,
            "certificate": arguments.certificate.value,
            "hosts": list(arguments.hosts),
            "port": arguments.port,
            "logs": arguments.logs.value,
            "connect": arguments.connect.value,
        }
    }


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
