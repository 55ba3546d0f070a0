"""`sealroom service seal`: code key and secrets for one enclave, which this command verified itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from sealroom.cli.console import read_file
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import INPUT_FILE, INPUT_FOLDER, OUTPUT_FILE, Invocation
from sealroom.cli.service_evidence_options import (
    EvidenceChoices,
    evidence_options,
    read_evidence,
    refuse,
    verify_choices,
)
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.client.private_files import write_private
from sealroom.client.service.code_keys import load_code_key
from sealroom.client.service.project import CODE_KEY, SECRETS, SECRETS_TO_SEAL, read_secrets
from sealroom.client.service.verification import decide_service
from sealroom.core.errors import MalformedError
from sealroom.core.sealing.service_sealing import ServiceSecrets, seal_to_service

_MAX_TLS_KEY_BYTES = 64 * 1024


@click.command("seal")
@click.argument("evidence", type=INPUT_FILE)
@evidence_options
@click.option(
    "--project",
    type=INPUT_FOLDER,
    help="Take code.key, secrets.json and secrets_to_seal.json from this folder, unless named otherwise.",
)
@click.option("--key", type=INPUT_FILE, help="The code key.")
@click.option("--secrets", type=INPUT_FILE, help="JSON for the application, which the operator can read.")
@click.option("--sealed-secrets", type=INPUT_FILE, help="JSON for the application, and for nobody else.")
@click.option(
    "--tls-key",
    type=INPUT_FILE,
    help="The private key (PEM) of your own certificate, for a service spawned with --certificate own.",
)
@click.option("--to", type=OUTPUT_FILE, required=True, help="What the operator passes on.")
def command(
    invocation: Invocation,
    choices: EvidenceChoices,
    /,
    evidence: Path,
    project: Path | None,
    to: Path,
    **files: Path | None,
) -> int:
    """Seal the code key and secrets to the service in EVIDENCE, after verifying it; there is no skip.

    Only that enclave can open what is written, and only the one application of this code key is sealed to.
    Send it to the operator, for sealroom service run: whoever has it learns no more than the secrets that
    you meant for the operator. Exit codes: 0 sealed, 1 refused, 2 malformed, 3 collateral stale or missing.
    """
    places = _places(project, files)
    if places.key is None:
        raise click.UsageError("expected --project or --key: the code key is what is sealed")
    code_key = load_code_key(places.key)
    assessed = verify_choices(invocation, choices, read_evidence(evidence), code_key=code_key)
    verdict = assessed.appraisal.verdict
    exit_code = verdict_exit_code(verdict, accept_simulated=choices.accept_simulated)
    if exit_code is not ExitCode.DONE:
        refused = {**verdict_document(verdict, of="service"), "sealed": None}
        invocation.console.result(refused, lambda: refuse(invocation, verdict))
        return exit_code
    service = decide_service(assessed.appraisal, insecure_accept_simulated=choices.accept_simulated)
    secrets = ServiceSecrets(
        code_key=code_key,
        sealed=_secrets(places.sealed_secrets),
        for_operator=_secrets(places.secrets),
        tls_key=_tls_key(places.tls_key),
    )
    sealed = seal_to_service(
        secrets,
        to=service,
        now=datetime.now(UTC),
        insecure_accept_simulated=service.arguments.service if choices.accept_simulated else None,
    )
    write_private(to, sealed)
    name = service.arguments.name

    def render() -> None:
        print_verdict(verdict, invocation.console)
        invocation.console.say(f"{to}: sealed to {name}, {service.arguments.service}, in this enclave alone")
        invocation.console.next_step(f"give {to} to the operator, for sealroom service run {name} {to}")

    invocation.console.result({**verdict_document(verdict, of="service"), "sealed": str(to)}, render)
    return ExitCode.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where the parts of a delivery are; `None` for one that is left out."""

    key: Path | None
    secrets: Path | None
    sealed_secrets: Path | None
    tls_key: Path | None


def _places(project: Path | None, files: Mapping[str, Path | None]) -> _Places:
    def place(option: str, name: str) -> Path | None:
        named = files[option]
        if named is not None or project is None:
            return named
        return project / name if (project / name).exists() else None

    return _Places(
        key=place("key", CODE_KEY),
        secrets=place("secrets", SECRETS),
        sealed_secrets=place("sealed_secrets", SECRETS_TO_SEAL),
        tls_key=files["tls_key"],
    )


def _secrets(path: Path | None) -> dict[str, object]:
    return {} if path is None else read_secrets(path)


def _tls_key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return read_file(path, max_bytes=_MAX_TLS_KEY_BYTES).decode("ascii")
    except UnicodeDecodeError:
        # Not from it: its text quotes what could not be read.
        raise MalformedError("tls key: expected PEM") from None
