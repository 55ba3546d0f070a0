"""What `service verify`, `seal` and `run` share: options, and the verification that none of them can skip.

Spec: docs/spec/services.md, "Verifying".
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

import click

from sealroom.adapters.collateral_cache import CollateralCache
from sealroom.adapters.policies import load_policy
from sealroom.adapters.provisioning import Source
from sealroom.cli.console import read_file
from sealroom.cli.evidence_certificate import certificate_der
from sealroom.cli.options import INPUT_FILE, Invocation, UuidType, command_options
from sealroom.cli.sources import SourceType, fetch_documents
from sealroom.cli.verdicts import print_verdict
from sealroom.client.service.verification import ServiceQuestion, assess_service, fetch_service_wheels
from sealroom.core.attestation.ratls import parse_ratls_certificate
from sealroom.core.evidence.service import ServiceAppraisal
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.measurement.service_package import read_package
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES, MAX_COLLATERAL_BYTES
from sealroom.core.wire.service_evidence import ServiceEvidence

P = ParamSpec("P")
R = TypeVar("R")

ACCEPT_SIMULATED = "--insecure-accept-simulated"

_OPTIONS = (
    click.option(
        "--package",
        type=INPUT_FILE,
        required=True,
        help="The package, from its provider: what runs is compared with it.",
    ),
    click.option(
        "--policy",
        required=True,
        help="What you accept: strict, up-to-date, insecure-any-status, or a TOML file, which may list "
        "MRENCLAVEs or name a signer. There is no default.",
    ),
    click.option("--service", type=UuidType(), help="The application's id, if you know it."),
    click.option("--host", help="The DNS name or address that will be called."),
    click.option(
        "--collateral", type=INPUT_FILE, help="Intel's nine documents for the platform, as one JSON file."
    ),
    click.option(
        "--source",
        "sources",
        type=SourceType(),
        multiple=True,
        help="Fetch these documents: intel, azure, or the https address of a PCCS; several in order. Without "
        "it and --collateral, those in EVIDENCE are judged.",
    ),
    click.option(
        "--source-ca", type=INPUT_FILE, help="Trust these certificates (PEM), too, when asking a --source."
    ),
    click.option(
        ACCEPT_SIMULATED,
        "accept_simulated",
        is_flag=True,
        help="Accept a simulated enclave that passed everything else. It protects nothing from its operator.",
    ),
    click.option(
        "--insecure-accept-plain",
        "accept_plain",
        is_flag=True,
        help="Accept a service without TLS of its own: the operator's proxy reads what callers send.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceChoices:
    """What a command was told about the service that it verifies."""

    package: Path
    policy: str
    service: UUID | None
    host: str | None
    collateral: Path | None
    sources: tuple[Source, ...]
    source_ca: Path | None
    accept_simulated: bool
    accept_plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What was asked, and the appraisal; `decide_service` says whether it is accepted."""

    question: ServiceQuestion
    appraisal: ServiceAppraisal


def evidence_options(function: Callable[Concatenate[Invocation, EvidenceChoices, P], R]) -> Callable[..., R]:
    """Add the options to a command; its function gets an `Invocation`, then the choices."""

    def chosen(invocation: Invocation, /, *args: P.args, **kwargs: P.kwargs) -> R:
        names = tuple(EvidenceChoices.__dataclass_fields__)
        choices = EvidenceChoices(**{name: kwargs.pop(name) for name in names})  # type: ignore[arg-type]
        return function(invocation, choices, *args, **kwargs)

    functools.update_wrapper(chosen, function)
    command = command_options(chosen)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def verify_choices(
    invocation: Invocation, choices: EvidenceChoices, evidence: bytes, *, code_key: CodeKey | None = None
) -> Assessed:
    """Fetch what is missing, and make every check. Who has the code key knows the id by it."""
    with choices.package.open("rb") as file:
        package = read_package(file)
    now, home = datetime.now(UTC), invocation.open_home()
    question = ServiceQuestion(
        evidence=evidence,
        package=package,
        policy=load_policy(choices.policy),
        service=choices.service if code_key is None else service_id(code_key, package.config.name),
        host=choices.host,
        collateral=_collateral(invocation, choices, evidence, now),
        insecure_accept_plain=choices.accept_plain,
    )
    with invocation.console.transfers(unit="files") as progress:
        fetch_service_wheels(question, home, progress=progress)
    return Assessed(question=question, appraisal=assess_service(question, home, now=now))


def read_evidence(path: Path) -> bytes:
    """Read an evidence file; raises `MalformedError` for one that is too large."""
    return read_file(path, max_bytes=MAX_BUNDLE_BYTES)


def refuse(invocation: Invocation, verdict: Verdict) -> None:
    """Show a verdict that does not accept, and what is left to do."""
    print_verdict(verdict, invocation.console)
    if verdict.passed_but_simulated:
        invocation.console.next_step(f"{ACCEPT_SIMULATED}, if a simulation is what you want")


def _collateral(
    invocation: Invocation, choices: EvidenceChoices, evidence: bytes, now: datetime
) -> bytes | None:
    if choices.collateral is not None and choices.sources:
        raise click.UsageError("expected --collateral or --source, not both")
    if choices.source_ca is not None and not choices.sources:
        raise click.UsageError("--source-ca goes with --source")
    if choices.collateral is not None:
        return read_file(choices.collateral, max_bytes=MAX_COLLATERAL_BYTES)
    if not choices.sources:
        return None
    pem = ServiceEvidence.from_bytes(evidence).certificate.encode("ascii")
    quote = parse_ratls_certificate(certificate_der(pem)).raw_quote
    cache = CollateralCache(folder=invocation.open_home().root / "collateral")
    found = fetch_documents(quote, choices.sources, source_ca=choices.source_ca, cache=cache, now=now)
    for warning in found.warnings:
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(invocation.console.foreign(warning), err=True)
    return json.dumps(found.collateral.to_value()).encode("ascii")
