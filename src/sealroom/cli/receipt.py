"""`sealroom receipt`: what the enclave signed about its run, verified against its evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from sealroom.adapters.policies import load_policy
from sealroom.adapters.release import load_release
from sealroom.cli.console import read_file
from sealroom.cli.evidence import POLICY_HELP, Evidence, open_evidence
from sealroom.cli.exit_codes import CommandError
from sealroom.cli.moments import MomentType
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, TargetType, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.client.member import Member
from sealroom.client.store import ComputationFolder
from sealroom.client.verification import ROOTS, expectations
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.receipt import appraise_receipt
from sealroom.core.evidence.verdict import RefusedEvidenceError, UnusableCollateralError, Verdict
from sealroom.core.evidence.verify import insecure_verify_simulated_evidence, verify_evidence
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.receipt import MAX_RECEIPT_BYTES


@click.group("receipt")
def command() -> None:
    """Fetch and verify the receipt of a run."""


@command.command("fetch")
@click.argument("computation", type=UuidType())
@click.option("--epoch", type=click.IntRange(min=1), help="The launch; the current one unless told.")
@click.option("--save", type=OUTPUT_FILE, required=True, help="Write the receipt to this file.")
@command_options
def fetch(invocation: Invocation, computation: UUID, epoch: int | None, save: Path) -> None:
    """Fetch the receipt of COMPUTATION, signed by an enclave that you delivered to."""
    with open_client(invocation, computation) as client:
        record = Member(client, computation).receipt(epoch=epoch)
    save.write_bytes(record.raw)
    document = {"file": str(save), "mrenclave": record.enclave.mrenclave.hex()}
    invocation.console.result(document, lambda: click.echo(f"receipt written to {save}"))


@command.command("verify")
@click.argument("target", type=TargetType())
@click.option("--evidence", type=INPUT_FILE, help="The enclave's bundle, where TARGET is a file.")
@click.option("--policy", required=True, help=POLICY_HELP)
@click.option("--at", type=MomentType(), help="Judge the evidence as of this time, ISO 8601.")
@click.option("--epoch", type=click.IntRange(min=1), help="The launch, where TARGET is a UUID.")
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="Exit 0 for a receipt of a simulated enclave. Whoever runs a simulation can sign what they like.",
)
@command_options
def verify(
    invocation: Invocation,
    target: UUID | Path,
    evidence: Path | None,
    policy: str,
    at: datetime | None,
    epoch: int | None,
    insecure_accept_simulated: bool,
) -> int:
    """Verify TARGET: a computation's UUID, or a receipt in a file with --evidence, off line.

    From the evidence to the enclave's keys, from the arguments to the agreement, then each participant's
    statement and signature, the inputs, and the closing. This home must have joined the computation.
    """
    chosen, now = load_policy(policy), at or datetime.now(UTC)
    raw, found = _read(invocation, target, evidence, epoch)
    enclave = _enclave(found, chosen, now, accept_simulated=insecure_accept_simulated)
    if isinstance(enclave, Verdict):
        return _show_refused_evidence(invocation, enclave)
    verdict = appraise_receipt(raw, enclave=enclave)
    invocation.console.result(
        verdict_document(verdict, of="receipt"), lambda: print_verdict(verdict, invocation.console)
    )
    return verdict_exit_code(verdict, accept_simulated=insecure_accept_simulated)


def _show_refused_evidence(invocation: Invocation, verdict: Verdict) -> int:
    """Show why the evidence is not accepted: its keys are what a receipt is checked with."""

    def render() -> None:
        print_verdict(verdict, invocation.console)
        click.echo("This is the verdict of the evidence. Without it nothing can be said of the receipt.")
        if verdict.passed_but_simulated:
            invocation.console.next_step("--insecure-accept-simulated, if a simulation is what you want")

    invocation.console.result(verdict_document(verdict, of="evidence"), render)
    # Also where the evidence would pass as simulated: the receipt was not looked at.
    return verdict_exit_code(verdict, accept_simulated=False)


def _read(
    invocation: Invocation, target: UUID | Path, evidence: Path | None, epoch: int | None
) -> tuple[bytes, Evidence]:
    if isinstance(target, Path):
        if evidence is None:
            raise click.UsageError("a receipt in a file needs --evidence, the bundle of its enclave")
        with open_evidence(invocation, evidence) as found:
            EvidenceBundle.from_bytes(found.raw)
            return read_file(target, max_bytes=MAX_RECEIPT_BYTES), found
    with open_client(invocation, target) as client:
        record = Member(client, target).receipt(epoch=epoch)
        folder = ComputationFolder(client.home, target)
        bundle = folder.evidence(record.enclave.mrenclave)
        if bundle is None:
            raise VerificationError("receipt: this home holds no evidence of the enclave that signed it")
        return record.raw, Evidence(raw=bundle, expected=expectations(client, folder))


def _enclave(
    evidence: Evidence, policy: Policy, now: datetime, *, accept_simulated: bool
) -> VerifiedEnclave | SimulatedEnclave | Verdict:
    if evidence.expected is None:
        raise CommandError(
            "receipt: this home never joined the computation, so it does not know whom to expect in it",
            code="not_joined",
        )
    verify_as = insecure_verify_simulated_evidence if accept_simulated else verify_evidence
    try:
        return verify_as(
            evidence.raw,
            policy=policy,
            expected=evidence.expected,
            release=load_release(),
            roots=ROOTS,
            now=now,
        )
    except (RefusedEvidenceError, UnusableCollateralError) as refused:
        return refused.verdict
