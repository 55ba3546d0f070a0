"""`sealroom evidence`: what an enclave proves about itself, shown and verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli import evidence_from_cert, evidence_from_url
from sealroom.cli.capabilities import capabilities_document, print_capabilities
from sealroom.cli.console import read_file
from sealroom.cli.evidence_fetch import fetch
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.groups import Group
from sealroom.cli.lone_quotes import issuer, print_document, shows_lone_quotes, verifies_lone_quotes
from sealroom.cli.moments import MomentType
from sealroom.cli.options import OUTPUT_FILE, Invocation, TargetType, command_options
from sealroom.cli.sessions import open_client
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder, UnknownComputationError
from sealroom.client.verification import (
    ROOTS,
    expectations,
    fetch_wheels,
    known_wheels,
    own_inputs,
    own_release,
)
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.capabilities import CapabilityReport, appraise_capabilities
from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.policy import Policy
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES, EvidenceBundle
from sealroom.core.wire.input_list import InputList


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A bundle, and what this home knows: its inputs, and what it expects, `None` if never invited.

    `wheels` are the home's lists of the wheels that the bundle names, `release` is what is installed here.
    """

    raw: bytes
    expected: Expectations | None
    wheels: Wheels
    release: Release
    own_inputs: Mapping[bytes, InputList] = field(default_factory=dict)


POLICY_HELP = "What you accept: strict, up-to-date, insecure-any-status, or a TOML file. There is no default."


@click.group("evidence", cls=Group)
def command() -> None:
    """Show and verify what an enclave proves about itself."""


command.add_command(fetch)

command.add_command(evidence_from_cert.command)
command.add_command(evidence_from_url.command)


@command.command("verify")
@click.argument("target", type=TargetType(), required=False)
@click.option("--policy", required=True, help=POLICY_HELP)
@click.option(
    "--at", type=MomentType(), help="Judge as of this time, ISO 8601; such a verdict is not delivered to."
)
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="Exit 0 for a simulated enclave that passed everything else. It protects nothing from its operator.",
)
@command_options
@verifies_lone_quotes
def verify(
    invocation: Invocation,
    target: UUID | Path,
    policy: str,
    at: datetime | None,
    insecure_accept_simulated: bool,
) -> int:
    """Verify TARGET: a computation's UUID, or an evidence bundle in a file, off line. Or --quote alone.

    Every check is shown with what was observed. What your own invitation, contacts and journal say is
    compared where this home has joined the computation. Exit codes: 0 accepted, 1 refused or simulated,
    2 malformed, 3 collateral stale or missing.
    """
    chosen = load_policy(policy)
    with open_evidence(invocation, target, policy=chosen) as evidence:
        report = judge(evidence, chosen, at or datetime.now(UTC))
    verdict = report.verdict

    def render() -> None:
        print_verdict(verdict, invocation.console)
        print_capabilities(report, invocation.console)
        if verdict.accepted and isinstance(target, UUID):
            invocation.console.next_step(f"sealroom key deliver {target} --policy {policy}")
        elif verdict.passed_but_simulated and not insecure_accept_simulated:
            invocation.console.next_step("--insecure-accept-simulated, if a simulation is what you want")

    document = verdict_document(verdict, of="evidence") | capabilities_document(report)
    invocation.console.result(document, render)
    return verdict_exit_code(verdict, accept_simulated=insecure_accept_simulated)


@command.command("show")
@click.argument("target", type=TargetType(), required=False)
@click.option("--save", type=OUTPUT_FILE, help="Write the bundle to this file.")
@click.option("--save-arguments", type=OUTPUT_FILE, help="Write the measured arguments to this file.")
@click.option("--at", type=MomentType(), help="The TCB status as of this time, ISO 8601.")
@command_options
@shows_lone_quotes
def show(
    invocation: Invocation,
    target: UUID | Path,
    save: Path | None,
    save_arguments: Path | None,
    at: datetime | None,
) -> None:
    """Show what TARGET, a computation's UUID or a bundle in a file, says about itself, not verified."""
    with open_evidence(invocation, target) as evidence:
        bundle = EvidenceBundle.from_bytes(evidence.raw)
        verdict = judge(evidence, load_policy("insecure-any-status"), at or datetime.now(UTC)).verdict
    if save is not None:
        save.write_bytes(evidence.raw)
    if save_arguments is not None:
        save_arguments.write_bytes(bundle.arguments)
    document = {"issuer": issuer(verdict), **_summary(bundle, verdict.status)}
    print_document(invocation, document)


@command.command("capabilities")
@click.argument("target", type=TargetType())
@click.option("--at", type=MomentType(), help="As of this time, ISO 8601.")
@command_options
def capabilities(invocation: Invocation, target: UUID | Path, at: datetime | None) -> int:
    """Say in plain words what the program of TARGET, a computation's UUID or a bundle in a file, could do.

    What it reads and whose, what may leave, how much and for whom, what it is made of, and its limits; from
    what the enclave measured and nothing that the server says. This does not say whether the enclave is
    genuine: `evidence verify` does. Exit codes: 0 where what would run is known, 1 where it is not.
    """
    policy = load_policy("insecure-any-status")
    with open_evidence(invocation, target, policy=policy) as evidence:
        report = judge(evidence, policy, at or datetime.now(UTC))

    def render() -> None:
        print_capabilities(report, invocation.console)
        invocation.console.next_step(f"sealroom evidence verify {target} --policy POLICY")

    invocation.console.result(capabilities_document(report), render)
    return ExitCode.DONE if report.capabilities is not None else ExitCode.REFUSED


@contextmanager
def open_evidence(
    invocation: Invocation, target: UUID | Path, *, policy: Policy | None = None
) -> Iterator[Evidence]:
    """Fetch the evidence of a computation, or read it from a file.

    With `policy`, wheels that its verdict needs are fetched from the computation's server, too.
    """
    if isinstance(target, Path):
        raw = read_file(target, max_bytes=MAX_BUNDLE_BYTES)
        yield _with_what_is_known(invocation, raw)
        return
    with open_client(invocation, target) as client:
        folder = ComputationFolder(client.home, target)
        raw = client.fetch_evidence(target)
        if policy is not None:
            with invocation.console.transfers() as progress:
                fetch_wheels(client, folder, policy, raw, progress=progress)
        yield _known(client, folder, raw)


def judge(evidence: Evidence, policy: Policy, now: datetime) -> CapabilityReport:
    """Run every check with what this home knows, and say what the program can do."""
    return appraise_capabilities(
        evidence.raw,
        policy=policy,
        expected=evidence.expected,
        own_inputs=evidence.own_inputs,
        release=evidence.release,
        wheels=evidence.wheels,
        roots=ROOTS,
        now=now,
    )


def _known(client: Client, folder: ComputationFolder, raw: bytes) -> Evidence:
    return Evidence(
        raw=raw,
        expected=expectations(client, folder),
        wheels=known_wheels(client.home, raw),
        release=own_release(client.home),
        own_inputs=own_inputs(client, folder),
    )


def _with_what_is_known(invocation: Invocation, raw: bytes) -> Evidence:
    """Add what this home knows of a bundle's computation; nothing where it never joined it."""
    home = invocation.existing_home()
    wheels = {} if home is None else known_wheels(home, raw)
    nothing = Evidence(raw=raw, expected=None, wheels=wheels, release=own_release(home))
    computation: UUID | None = None
    with suppress(MalformedError):
        computation = parse_arguments(EvidenceBundle.from_bytes(raw).arguments).computation
    if computation is None or home is None:
        return nothing
    try:
        client = Client.for_computation(computation, home=home)
    except UnknownComputationError:
        return nothing
    with client:
        return _known(client, ComputationFolder(home, computation), raw)


def _summary(bundle: EvidenceBundle, status: str | None) -> dict[str, object]:
    body = parse_quote(bundle.quote).body
    if not isinstance(body, SgxReport):
        raise MalformedError("quote: not of an SGX enclave")
    arguments = parse_arguments(bundle.arguments)
    return {
        "tee": arguments.terms.tee.value,
        "release": bundle.release,
        "mrenclave": body.mrenclave.hex(),
        "mrsigner": body.mrsigner.hex(),
        "product": body.isv_prod_id,
        "svn": body.isv_svn,
        "debug": body.debug,
        "tcb_status": status,
        "identity_pk": bundle.identity_pk.hex(),
        "box_pk": body.report_data[32:].hex(),
        "computation": str(arguments.computation),
        "agreement": arguments.agreement.hex(),
        "quote_bytes": len(bundle.quote),
        "manifest_bytes": len(bundle.manifest),
        "collateral": bundle.collateral is not None,
    }
