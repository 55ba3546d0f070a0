"""`sealroom receipt`: what the enclave signed about its run, verified against its evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli.console import read_file
from sealroom.cli.evidence import POLICY_HELP, Evidence, open_evidence
from sealroom.cli.exit_codes import CommandError
from sealroom.cli.groups import Group
from sealroom.cli.moments import MomentType
from sealroom.cli.options import (
    INPUT_FILE,
    INPUT_FOLDER,
    OUTPUT_FILE,
    Invocation,
    TargetType,
    UuidType,
    command_options,
)
from sealroom.cli.receipt_contents import Contents, contents_document, print_contents
from sealroom.cli.sessions import open_client
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.client.archives import Archive, read_archive
from sealroom.client.invitations import read_terms
from sealroom.client.member import Member
from sealroom.client.opened import (
    FolderOfSealedFiles,
    SealedFiles,
    ServerOfSealedFiles,
    open_named,
    save_sealed,
)
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.verification import ROOTS, known_wheels, own_release
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.archive import ArchivedRun, appraise_archive
from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.policy import Policy
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.receipt_file import MAX_RECEIPT_BYTES

EPOCH_HELP = "The launch; the current one unless told."
RECEIPT_FILE, EVIDENCE_FILE, SEALED_FOLDER = "receipt.json", "evidence.json", "sealed"


@click.group("receipt", cls=Group)
def command() -> None:
    """Verify, show, fetch and hand on what an enclave signed about its run."""


@command.command("fetch")
@click.argument("computation", type=UuidType())
@click.option("--epoch", type=click.IntRange(min=1), help=EPOCH_HELP)
@click.option("--save", type=OUTPUT_FILE, required=True, help="Write the receipt to this file.")
@command_options
def fetch(invocation: Invocation, computation: UUID, epoch: int | None, save: Path) -> None:
    """Fetch the receipt of COMPUTATION, signed by an enclave that you delivered to."""
    with open_client(invocation, computation) as client:
        record = Member(client, computation).receipt(epoch=epoch)
    save.write_bytes(record.raw)
    document = {"file": str(save), "mrenclave": record.enclave.mrenclave.hex()}
    invocation.console.result(document, lambda: click.echo(f"receipt written to {save}"))


@command.command("show")
@click.argument("computation", type=UuidType())
@click.option("--epoch", type=click.IntRange(min=1), help=EPOCH_HELP)
@command_options
def show(invocation: Invocation, computation: UUID, epoch: int | None) -> None:
    """Show what was signed about COMPUTATION by the enclave that you delivered to.

    The keys are those that you verified when you delivered. For files, or for somebody who delivered nothing,
    `receipt verify` shows the same after its verdict.
    """
    with open_client(invocation, computation) as client:
        record = Member(client, computation).receipt(epoch=epoch)
    contents = Contents(opening=record.opening, closing=record.closing, refusal=record.refusal)

    def render() -> None:
        print_contents(contents, invocation.console)
        invocation.console.next_step(f"sealroom receipt verify {computation} --policy POLICY")

    document = {"mrenclave": record.enclave.mrenclave.hex(), "receipt": contents_document(contents)}
    invocation.console.result(document, render)


@command.command("export")
@click.argument("computation", type=UuidType())
@click.option("--epoch", type=click.IntRange(min=1), help=EPOCH_HELP)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder to write into, made where it is missing.",
)
@click.option(
    "--sealed",
    is_flag=True,
    help="Also your results and the log, still sealed, for `receipt verify --open --sealed`.",
)
@command_options
def export(invocation: Invocation, computation: UUID, epoch: int | None, to: Path, sealed: bool) -> None:
    """Write the receipt of COMPUTATION and its enclave's evidence to files that anybody can check.

    Whoever gets the two needs no account, no home and no network: `sealroom receipt verify`. Neither holds a
    secret. Names, addresses and sizes stand in them, as in the contract.
    """
    with open_client(invocation, computation) as client:
        archive = read_archive(client, computation, epoch=epoch)
        if sealed:
            _export_sealed(invocation, client, computation, epoch, to / SEALED_FOLDER)
    to.mkdir(parents=True, exist_ok=True)
    receipt, evidence = to / RECEIPT_FILE, to / EVIDENCE_FILE
    receipt.write_bytes(archive.receipt)
    evidence.write_bytes(archive.bundle)
    following = f"sealroom receipt verify {receipt} --bundle {evidence} --policy POLICY"

    def render() -> None:
        click.echo(f"receipt written to {receipt}, its enclave's evidence to {evidence}")
        invocation.console.next_step(following)

    invocation.console.result({"receipt": str(receipt), "evidence": str(evidence), "next": following}, render)


def _export_sealed(
    invocation: Invocation, client: Client, computation: UUID, epoch: int | None, to: Path
) -> None:
    record = Member(client, computation).receipt(epoch=epoch)
    if record.closing is None or record.arguments is None:
        raise VerificationError("receipt: it has no closing, so nothing says which containers are the run's")
    folder = ComputationFolder(client.home, computation)
    with invocation.console.transfers() as progress:
        files = ServerOfSealedFiles(client=client, folder=folder, epoch=epoch, progress=progress)
        save_sealed(client, record.closing, record.arguments, files, to=to)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is to be judged, and how."""

    receipt: bytes
    evidence: Evidence
    policy: Policy
    now: datetime

    def answer(self) -> ArchivedRun:
        return appraise_archive(
            self.receipt,
            self.evidence.raw,
            policy=self.policy,
            expected=self.evidence.expected,
            release=self.evidence.release,
            wheels=self.evidence.wheels,
            roots=ROOTS,
            now=self.now,
        )


@command.command("verify")
@click.argument("target", type=TargetType())
@click.option("--bundle", type=INPUT_FILE, help="The evidence of its enclave, where TARGET is a file.")
@click.option(
    "--invitation",
    help="The owner's invitation (a file, or its line), to compare people and terms with; where TARGET is a "
    "file. Default: what this home knows, if it joined.",
)
@click.option("--policy", required=True, help=POLICY_HELP)
@click.option(
    "--at",
    type=MomentType(),
    help="Judge as of this time, ISO 8601, by the documents in the bundle: for a receipt of long ago.",
)
@click.option("--epoch", type=click.IntRange(min=1), help="The launch, where TARGET is a UUID.")
@click.option(
    "--open",
    "opens",
    is_flag=True,
    help="Also check that your results and the log are there and open with your keys. Needs your home.",
)
@click.option(
    "--sealed",
    type=INPUT_FOLDER,
    help="With --open: the containers are in this folder, as `receipt export --sealed` writes them. Default: "
    "the server's, where TARGET is a UUID.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --open: write the opened results into this folder.",
)
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="Exit 0 for a receipt of a simulated enclave. Whoever runs a simulation can sign what they like.",
)
@command_options
def verify(
    invocation: Invocation,
    /,
    target: UUID | Path,
    bundle: Path | None,
    invitation: str | None,
    policy: str,
    at: datetime | None,
    epoch: int | None,
    insecure_accept_simulated: bool,
    **opening: object,
) -> int:
    """Verify TARGET: a receipt in a file with --bundle, off line and without a home, or a computation's UUID.

    First the evidence, by every check that there is before a delivery: it proves the enclave's keys. Then the
    receipt: the contract, each participant's statement and signature, the inputs, and the closing. Without an
    invitation nobody can compare who the people are, and the verdict says so. Exit codes: 0 accepted,
    1 refused or simulated, 2 malformed, 3 collateral stale or missing.
    """
    chosen, now, what = load_policy(policy), at or datetime.now(UTC), _opening(opening, target, epoch)
    receipt, evidence = _read(invocation, target, bundle, invitation, epoch)
    found = _Question(receipt=receipt, evidence=evidence, policy=chosen, now=now).answer()
    if what is not None:
        found = _opened(invocation, found, what)
    verdict = found.verdict
    contents = Contents(opening=found.opening, closing=found.closing, refusal=found.refusal)

    def render() -> None:
        print_verdict(verdict, invocation.console)
        if verdict.accepted or verdict.passed_but_simulated:
            print_contents(contents, invocation.console)
        if found.anchor is None:
            click.echo("The evidence is not accepted. Without it nothing can be said of the receipt.")
        if verdict.passed_but_simulated and not insecure_accept_simulated:
            invocation.console.next_step("--insecure-accept-simulated, if a simulation is what you want")

    document = verdict_document(verdict, of="receipt") | {"receipt": contents_document(contents)}
    invocation.console.result(document, render)
    return verdict_exit_code(verdict, accept_simulated=insecure_accept_simulated)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """What --open was given; `sealed` is `None` for the server's containers of the launch `epoch`."""

    sealed: Path | None
    to: Path | None
    epoch: int | None


def _opening(given: dict[str, object], target: UUID | Path, epoch: int | None) -> _Opening | None:
    sealed, to = given["sealed"], given["to"]
    if not isinstance(sealed, Path | None) or not isinstance(to, Path | None):
        raise TypeError("click gave a path another type")
    if not given["opens"]:
        if sealed is not None or to is not None:
            raise click.UsageError("--sealed and --to go with --open")
        return None
    if isinstance(target, Path) and sealed is None:
        raise click.UsageError("--open off line needs --sealed, the folder of the containers")
    return _Opening(sealed=sealed, to=to, epoch=epoch)


def _opened(invocation: Invocation, found: ArchivedRun, what: _Opening) -> ArchivedRun:
    """Add the checks of what the receipt names for this home; of no believed enclave anything is opened."""
    if found.anchor is None:
        return found
    arguments = found.anchor.arguments
    with (
        open_client(invocation, arguments.computation) as client,
        invocation.console.transfers() as progress,
    ):
        files: SealedFiles
        if what.sealed is not None:
            files = FolderOfSealedFiles(path=what.sealed)
        else:
            folder = ComputationFolder(client.home, arguments.computation)
            files = ServerOfSealedFiles(client=client, folder=folder, epoch=what.epoch, progress=progress)
        group = open_named(client, found, files, to=what.to)
    if not group.parts:
        raise CommandError("receipt: nothing of it is yours to open", code="nothing_to_open")
    return replace(found, verdict=replace(found.verdict, groups=(*found.verdict.groups, group)))


def _read(
    invocation: Invocation,
    target: UUID | Path,
    bundle: Path | None,
    invitation: str | None,
    epoch: int | None,
) -> tuple[bytes, Evidence]:
    if isinstance(target, UUID):
        if bundle is not None or invitation is not None:
            raise click.UsageError("--bundle and --invitation are for a receipt in a file")
        with open_client(invocation, target) as client:
            archive: Archive = read_archive(client, target, epoch=epoch)
            evidence = Evidence(
                raw=archive.bundle,
                expected=archive.expected,
                wheels=known_wheels(client.home, archive.bundle),
                release=own_release(client.home),
            )
        return archive.receipt, evidence
    if bundle is None:
        raise click.UsageError("a receipt in a file needs --bundle, the evidence of its enclave")
    if epoch is not None:
        raise click.UsageError("--epoch is for a computation's UUID")
    receipt = read_file(target, max_bytes=MAX_RECEIPT_BYTES)
    with open_evidence(invocation, bundle) as found:
        EvidenceBundle.from_bytes(found.raw)
    expected = found.expected if invitation is None else _invited(invitation)
    return receipt, Evidence(raw=found.raw, expected=expected, wheels=found.wheels, release=found.release)


def _invited(invitation: str) -> Expectations:
    """Return what an onlooker with the invitation expects: the terms, and no person in particular."""
    terms = read_terms(invitation)
    return Expectations(
        computation=terms.computation,
        terms_prefix=terms.terms_prefix,
        own_roles=(),
        contacts={},
        code_digest=None,
    )
