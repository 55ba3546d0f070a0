"""From the verdict to the delivered keys: shown, asked, sent. Used by `key deliver` and by `join`."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import click

from sealroom.cli.options import Invocation
from sealroom.cli.verdicts import print_verdict, verdict_exit_code
from sealroom.client.delivering import DeliveryAnswer
from sealroom.client.delivery_journal import Consent
from sealroom.client.member import KeyHolder, Member
from sealroom.client.roles import key_holder
from sealroom.client.session import Client
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Verdict
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
    """A verdict, and the enclave's answers by role; no answers where nothing was delivered."""

    verdict: Verdict
    answers: dict[Role, DeliveryAnswer]


def verify_and_deliver(
    invocation: Invocation, client: Client, computation: UUID, choice: Choice, roles: tuple[Role, ...]
) -> Delivered:
    """Verify the current enclave, show the verdict, ask, and deliver the key of each role."""
    assessment = Member(client, computation).appraise(choice.policy)
    verdict = assessment.verdict
    if not invocation.console.as_json:
        print_verdict(verdict, invocation.console)
    if verdict_exit_code(verdict, accept_simulated=choice.accept_simulated) or not _agreed(
        invocation, choice
    ):
        return Delivered(verdict=verdict, answers={})
    answers = {}
    for role in roles:
        holder = key_holder(client, computation, role)
        enclave = _verified(holder, choice, assessment.bundle)
        answers[role] = holder.deliver(
            enclave,
            consent=choice.consent,
            insecure_accept_simulated=computation if choice.accept_simulated else None,
        )
    return Delivered(verdict=verdict, answers=answers)


def _verified(holder: KeyHolder, choice: Choice, bundle: bytes) -> VerifiedEnclave | SimulatedEnclave:
    if choice.accept_simulated:
        return holder.insecure_verify_simulated(choice.policy, bundle=bundle)
    return holder.verify(choice.policy, bundle=bundle)


def _agreed(invocation: Invocation, choice: Choice) -> bool:
    if choice.yes:
        return True
    if invocation.console.as_json:
        raise click.UsageError("--json cannot ask: give --yes to deliver when the verdict allows it")
    return click.confirm("Deliver your key to this enclave?", default=False)
