"""What `evidence from-cert` and `evidence from-url` share: options, the appraisal, and what is shown of it.

Spec: docs/spec/ra-tls.md.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec

import click

from sealroom.adapters.collateral_cache import CollateralCache
from sealroom.adapters.policies import load_policy
from sealroom.adapters.provisioning import Source
from sealroom.cli.console import read_file
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.lone_quotes import issuer
from sealroom.cli.moments import MomentType
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, command_options
from sealroom.cli.sources import SourceType, fetch_documents
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.client.verification import ROOTS
from sealroom.core.attestation.pem import parse_pem
from sealroom.core.attestation.ratls import parse_ratls_certificate
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.certificate import appraise_certificate
from sealroom.core.wire.bundle import MAX_COLLATERAL_BYTES
from sealroom.core.wire.ra_tls import KeyBinding

P = ParamSpec("P")

_BINDING_HELP = (
    "How the service binds its TLS key into the quote: ask whoever runs it. It is never guessed from the "
    "certificate, for whoever made that could choose."
)
_POLICY_HELP = "What you accept: a TOML file that lists measurements, or insecure-any-status to look at it."

_OPTIONS = (
    click.option(
        "--binding", type=click.Choice([b.value for b in KeyBinding]), required=True, help=_BINDING_HELP
    ),
    click.option("--policy", required=True, help=_POLICY_HELP),
    click.option(
        "--collateral", type=INPUT_FILE, help="Intel's nine documents for the platform, as one JSON file."
    ),
    click.option(
        "--source",
        "sources",
        type=SourceType(),
        multiple=True,
        help="Fetch these documents: intel, azure, or the https address of a PCCS; several in order.",
    ),
    click.option(
        "--source-ca", type=INPUT_FILE, help="Trust these certificates (PEM), too, when asking a --source."
    ),
    click.option("--at", type=MomentType(), help="Judge as of this time, ISO 8601."),
    click.option(
        "--save", type=OUTPUT_FILE, help="If accepted, write the certificate as PEM, for `curl --cacert`."
    ),
    click.option(
        "--insecure-accept-simulated",
        "accept_simulated",
        is_flag=True,
        help="Exit 0 for a simulated enclave that passed everything else. It protects nothing from its "
        "operator.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateQuestion:
    """What a certificate is asked."""

    binding: KeyBinding
    policy: str
    collateral: Path | None
    sources: tuple[Source, ...]
    source_ca: Path | None
    at: datetime | None
    save: Path | None
    accept_simulated: bool


def certificate_options(
    function: Callable[Concatenate[Invocation, CertificateQuestion, P], int],
) -> Callable[..., int]:
    """Add the options of a question to a command; its function gets an `Invocation`, then the question."""

    def asked(invocation: Invocation, /, *args: P.args, **kwargs: P.kwargs) -> int:
        question = CertificateQuestion(
            binding=KeyBinding(str(kwargs.pop("binding"))),
            policy=str(kwargs.pop("policy")),
            collateral=_path(kwargs.pop("collateral")),
            sources=_sources(kwargs.pop("sources")),
            source_ca=_path(kwargs.pop("source_ca")),
            at=_moment(kwargs.pop("at")),
            save=_path(kwargs.pop("save")),
            accept_simulated=bool(kwargs.pop("accept_simulated")),
        )
        return function(invocation, question, *args, **kwargs)

    functools.update_wrapper(asked, function)
    command = command_options(asked)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def answer(invocation: Invocation, question: CertificateQuestion, certificate: bytes) -> int:
    """Judge a DER certificate, show the verdict, keep the certificate if asked; return the exit code."""
    now = question.at or datetime.now(UTC)
    verdict = appraise_certificate(
        certificate,
        _collateral(invocation, question, certificate, now),
        binding=question.binding,
        policy=load_policy(question.policy),
        roots=ROOTS,
        now=now,
    )
    exit_code = verdict_exit_code(verdict, accept_simulated=question.accept_simulated)
    if question.save is not None and exit_code is ExitCode.DONE:
        question.save.write_bytes(certificate_pem(certificate))

    def render() -> None:
        print_verdict(verdict, invocation.console)
        if exit_code is ExitCode.DONE:
            invocation.console.say(
                "The TLS key was made in this enclave. That a connection ends there is not proven by it."
            )
        elif verdict.passed_but_simulated:
            invocation.console.next_step("--insecure-accept-simulated, if a simulation is what you want")

    document = {"issuer": issuer(verdict), **verdict_document(verdict, of="certificate")}
    invocation.console.result(document, render)
    return exit_code


def _collateral(
    invocation: Invocation, question: CertificateQuestion, certificate: bytes, now: datetime
) -> bytes | None:
    """Return Intel's documents from a file or a source; `None` where neither was named."""
    if question.collateral is not None and question.sources:
        raise click.UsageError("expected --collateral or --source, not both")
    if question.source_ca is not None and not question.sources:
        raise click.UsageError("--source-ca goes with --source")
    if question.collateral is not None:
        return read_file(question.collateral, max_bytes=MAX_COLLATERAL_BYTES)
    if not question.sources:
        return None
    quote = parse_ratls_certificate(certificate).raw_quote
    cache = CollateralCache(folder=invocation.open_home().root / "collateral")
    found = fetch_documents(quote, question.sources, source_ca=question.source_ca, cache=cache, now=now)
    for warning in found.warnings:
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo(invocation.console.foreign(warning), err=True)
    return json.dumps(found.collateral.to_value()).encode("ascii")


def certificate_der(raw: bytes) -> bytes:
    """Return the one certificate in a file, PEM or DER."""
    if not raw.startswith(b"-----"):
        return raw
    blocks = parse_pem(raw)
    if len(blocks) != 1:
        raise MalformedError(f"certificate file: {len(blocks)} certificates, expected 1")
    return blocks[0]


def certificate_pem(der: bytes) -> bytes:
    """Return a DER certificate as PEM."""
    text = base64.b64encode(der)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join((b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""))


def _sources(value: object) -> tuple[Source, ...]:
    return tuple(source for source in value if isinstance(source, Source)) if isinstance(value, tuple) else ()


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
