"""From the verdict to the delivered keys: shown, asked, sent. Used by `key deliver` and by `join`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from uuid import UUID

import click

from sealroom.cli.capabilities import capabilities_document, print_capabilities
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import Invocation
from sealroom.cli.verdicts import print_verdict, verdict_document, verdict_exit_code
from sealroom.client.delivering import DeliveryAnswer
from sealroom.client.delivery_journal import Consent
from sealroom.client.member import KeyHolder, Member
from sealroom.client.roles import key_holder
from sealroom.client.session import Client
from sealroom.core.evidence.capabilities import CapabilityReport
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.wire.arguments import parse_arguments
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the person at the terminal chose beforehand."""

    policy: Policy
    consent: Consent
    yes: bool
    accept_simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A verdict with its report, and the enclave's answers by role; none where nothing was delivered."""

    report: CapabilityReport
    answers: dict[Role, DeliveryAnswer]

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.report.verdict

    def exit_code(self, *, accept_simulated: bool) -> ExitCode:
        """Return what the shell is told."""
        if not self.answers:
            # A verdict that allows it, and a person who said no, is a refusal, too.
            refused = verdict_exit_code(self.verdict, accept_simulated=accept_simulated)
            return refused if refused is not ExitCode.DONE else ExitCode.REFUSED
        admitted = all(answer.admitted is not False for answer in self.answers.values())
        return ExitCode.DONE if admitted else ExitCode.REFUSED

    def show(self, invocation: Invocation, computation: UUID) -> None:
        """Print the answers, or that nothing was delivered; with --json, the verdict, too."""
        answers = {role.value: answer.text for role, answer in self.answers.items()}
        following = f"sealroom status {computation}"
        if not answers:
            following = f'sealroom key refuse {computation} --reason "..." tells the others why'
            if self.verdict.passed_but_simulated:
                following = f"--insecure-accept-simulated, if a simulation is what you want; or {following}"

        def render() -> None:
            for role, answer in answers.items():
                click.echo(f"{role}: {answer}")
            if not answers:
                click.echo("nothing was delivered")
            invocation.console.next_step(following)

        document: dict[str, object] = {
            "verdict": verdict_document(self.verdict, of="evidence"),
            **capabilities_document(self.report),
            "deliveries": answers,
            "next": following,
        }
        invocation.console.result(document, render)


def verify_and_deliver(
    invocation: Invocation, client: Client, computation: UUID, choice: Choice, roles: tuple[Role, ...]
) -> Delivered:
    """Verify the current enclave, show the verdict, ask, and deliver the key of each role."""
    with invocation.console.transfers() as progress:
        assessment = Member(client, computation).appraise(choice.policy, progress=progress)
    verdict = assessment.verdict
    if not invocation.console.as_json:
        print_verdict(verdict, invocation.console)
        print_capabilities(assessment.report, invocation.console)
    if verdict_exit_code(verdict, accept_simulated=choice.accept_simulated) is not ExitCode.DONE:
        return Delivered(report=assessment.report, answers={})
    _say_whose_code(invocation, client, assessment.bundle, asked=not choice.yes)
    if not _agreed(invocation, choice, roles):
        return Delivered(report=assessment.report, answers={})
    answers = {}
    for role in roles:
        holder = key_holder(client, computation, role)
        enclave = _verified(holder, choice, assessment.bundle)
        answers[role] = holder.deliver(
            enclave,
            consent=choice.consent,
            insecure_accept_simulated=computation if choice.accept_simulated else None,
        )
    return Delivered(report=assessment.report, answers=answers)


def _verified(holder: KeyHolder, choice: Choice, bundle: bytes) -> VerifiedEnclave | SimulatedEnclave:
    if choice.accept_simulated:
        return holder.insecure_verify_simulated(choice.policy, bundle=bundle)
    return holder.verify(choice.policy, bundle=bundle)


def _say_whose_code(invocation: Invocation, client: Client, raw_bundle: bytes, *, asked: bool) -> None:
    """Say whose program would see the data. The verdict holds: the bundle is what the enclave measured."""
    bundle = EvidenceBundle.from_bytes(raw_bundle)
    arguments = parse_arguments(bundle.arguments)
    provider = arguments.in_role(Role.CODE_PROVIDER)[0]
    known = client.contacts.find(provider.email)
    how = "pinned by you" if known is not None and known.pinned else "not pinned by you"
    say = invocation.console.say
    say(f"the program is signed by {provider.email}, key {provider.public_key.hex()} ({how})")
    when = "read it before you answer" if asked else "to read it"
    say(f"{when}: sealroom code show {arguments.computation}")


def _agreed(invocation: Invocation, choice: Choice, roles: tuple[Role, ...]) -> bool:
    if choice.yes:
        return True
    if invocation.console.as_json:
        raise click.UsageError("--json cannot ask: give --yes to deliver when the verdict allows it")
    if not sys.stdin.isatty():
        raise click.UsageError(
            "there is no terminal to ask at: give --yes to deliver when the verdict allows it"
        )
    as_whom = " and ".join(role.value for role in roles)
    return click.confirm(f"Deliver your key as {as_whom} to this enclave?", default=False)
