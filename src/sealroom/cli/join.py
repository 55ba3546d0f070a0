"""`sealroom join`: one participant's whole part of a computation, resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli.delivery import Choice, verify_and_deliver
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import INPUT_FILE, INPUT_FOLDER, Invocation, command_options
from sealroom.cli.register import open_invitation, register
from sealroom.client.computation import Computation
from sealroom.client.delivery_journal import Consent
from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.join import Step, StepKind, gather_facts, next_steps
from sealroom.client.roles import CodeProvider, DataProvider, ResultConsumer, key_holder
from sealroom.client.session import AccountError, Client
from sealroom.core.evidence.policy import Policy

POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What this participant brings and chooses."""

    code: Path | None
    data: tuple[Path, ...]
    results: Path | None
    policy: Policy
    yes: bool
    accept_simulated: bool


@click.command("join")
@click.argument("invitation")
@click.option("--server", help="The server's address, with an invitation that is a bare line.")
@click.option("--server-cert", help="SHA-256 of the server's certificate, with a bare line.")
@click.option("--email", help="Your address, where this home has no account at the server yet.")
@click.option("--code", type=INPUT_FOLDER, help="The program's folder (Code Provider).")
@click.option(
    "--data", type=INPUT_FILE, multiple=True, help="A file to bring; once for each (Data Provider)."
)
@click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), help="Where results go (Result Consumer)."
)
@click.option(
    "--policy", required=True, help="What you accept of the enclave: a ready policy or a TOML file."
)
@click.option("--yes", is_flag=True, help="Do not ask; deliver when the verdict allows it.")
@click.option(
    "--insecure-accept-simulated",
    is_flag=True,
    help="Deliver to a simulated enclave, whose operator can read everything in it.",
)
@command_options
def command(
    invocation: Invocation,
    /,
    invitation: str,
    server: str | None,
    server_cert: str | None,
    email: str | None,
    policy: str,
    insecure_accept_simulated: bool,
    **brought: object,
) -> int:
    """Walk through your part of the computation that INVITATION (a file, or its line) names.

    Makes your identity and account where they are missing, registers, sends what you bring, waits for the
    enclave, shows the verdict, asks, delivers, waits for the run, and fetches what is yours. Interrupted at
    any step, the same command goes on there.
    """
    part = _part(brought, load_policy(policy), accept_simulated=insecure_accept_simulated)
    joined = open_invitation(invitation, server, server_cert)
    home = _home_with_identity(invocation)
    with Client(home=home, server=joined.server, identity=invocation.signing_key) as client:
        _account(client, email)
        found = register(client, joined)
        invocation.console.say(f"registered in {found.name}, {found.computation}")
        guide = _Guide(invocation, client, found, part)
        return guide.walk()


class _Guide:
    """Carries out one step after the other and asks again what comes next."""

    def __init__(self, invocation: Invocation, client: Client, found: Computation, part: Part) -> None:
        self._invocation = invocation
        self._console = invocation.console
        self._client = client
        self._computation = found.computation
        self._part = part
        self._said = ""

    def walk(self) -> int:
        """Go on until everything is done, somebody must decide, or the computation is over."""
        while True:
            found = self._client.computation(self._computation)
            for step in next_steps(found, gather_facts(self._client, found)):
                self._say(step)
                if step.kind is StepKind.DECIDE or step.kind is StepKind.WAIT_FOR_OWNER or step.kind.is_end:
                    return self._end(step, found)
                if step.kind.is_waiting:
                    time.sleep(POLL_SECONDS)
                elif not self._carry_out(step, found):
                    return ExitCode.REFUSED

    def _say(self, step: Step) -> None:
        if step.why != self._said:
            self._console.say(f"{step.kind.value}: {step.why}")
            self._said = step.why

    def _end(self, step: Step, found: Computation) -> int:
        done = step.kind is StepKind.DONE
        refusal = None if found.refusal is None else {"by": found.refusal.by, "reason": found.refusal.reason}
        document = {
            "computation": str(self._computation),
            "state": found.state.value,
            "step": step.kind.value,
            "why": step.why,
            "refusal": refusal,
        }

        def render() -> None:
            if refusal is not None and not done:
                click.echo(
                    f"refused by {self._console.foreign(refusal['by'])}: "
                    f"{self._console.foreign(refusal['reason'])}"
                )
            if step.kind is StepKind.DECIDE:
                self._console.next_step(
                    f"sealroom key deliver {self._computation} --policy ... --max-enclaves N"
                )
            else:
                self._console.next_step(f"sealroom receipt verify {self._computation} --policy ...")

        self._console.result(document, render)
        return ExitCode.DONE if done else ExitCode.REFUSED

    def _carry_out(self, step: Step, found: Computation) -> bool:
        actions: dict[StepKind, Callable[[Step, Computation], bool]] = {
            StepKind.REGISTER: self._register,
            StepKind.SEND_CODE: self._send_code,
            StepKind.SEND_DATA: self._send_data,
            StepKind.VERIFY_AND_DELIVER: self._deliver,
            StepKind.DELIVER_AGAIN: self._deliver_again,
            StepKind.GET_RESULTS: self._get_results,
            StepKind.VERIFY_RECEIPT: self._verify_receipt,
        }
        return actions[step.kind](step, found)

    def _register(self, step: Step, _: Computation) -> bool:
        if step.role is not None:
            key_holder(self._client, self._computation, step.role).register()
        return True

    def _send_code(self, _: Step, __: Computation) -> bool:
        if self._part.code is None:
            raise click.UsageError("you are the Code Provider: give --code FOLDER")
        with self._console.transfers() as progress:
            CodeProvider(self._client, self._computation).send(self._part.code, progress=progress)
        return True

    def _send_data(self, _: Step, __: Computation) -> bool:
        provider = DataProvider(self._client, self._computation)
        if not self._part.data and not provider.inputs.files:
            raise click.UsageError("you are a Data Provider: give --data FILE, once for each file")
        with self._console.transfers() as progress:
            for file in self._part.data:
                provider.send(file, progress=progress)
            provider.done(progress=progress)
        return True

    def _deliver(self, step: Step, found: Computation) -> bool:
        roles = tuple(role for role in found.my_key_roles if role is step.role)
        choice = Choice(
            policy=self._part.policy,
            consent=Consent(max_deliveries=self._part.policy.max_deliveries),
            yes=self._part.yes,
            accept_simulated=self._part.accept_simulated,
        )
        delivered = verify_and_deliver(self._invocation, self._client, self._computation, choice, roles)
        for role, answer in delivered.answers.items():
            self._console.say(f"{role.value}: {answer.text}")
        if not delivered.answers and self._console.as_json:
            self._console.result({"verdict": delivered.verdict.to_value(), "deliveries": {}}, lambda: None)
        return bool(delivered.answers)

    def _deliver_again(self, step: Step, _: Computation) -> bool:
        if step.role is not None:
            key_holder(self._client, self._computation, step.role).send_again()
        return True

    def _get_results(self, _: Step, __: Computation) -> bool:
        with self._console.transfers() as progress:
            consumer = ResultConsumer(self._client, self._computation)
            for result in consumer.results(self._part.results, progress=progress):
                self._console.say(f"{result.name}: {result.size} bytes, {result.path}")
        return True

    def _verify_receipt(self, _: Step, __: Computation) -> bool:
        ResultConsumer(self._client, self._computation).receipt()
        self._console.say("the receipt is signed by the enclave that you delivered to")
        return True


def _part(brought: dict[str, object], policy: Policy, *, accept_simulated: bool) -> Part:
    code, data, results = brought["code"], brought["data"], brought["results"]
    if (
        not isinstance(code, Path | None)
        or not isinstance(data, tuple)
        or not isinstance(results, Path | None)
    ):
        raise TypeError("click gave a path another type")
    return Part(
        code=code,
        data=data,
        results=results,
        policy=policy,
        yes=bool(brought["yes"]),
        accept_simulated=accept_simulated,
    )


def _home_with_identity(invocation: Invocation) -> Home:
    home = invocation.open_home()
    if not home.identity.exists():
        create_identity(home)
        invocation.console.say(f"made your identity, {home.identity}")
    return home


def _account(client: Client, email: str | None) -> None:
    try:
        known = client.account.email
    except AccountError:
        if email is None:
            raise click.UsageError("you have no account at this server: give --email to make one") from None
        client.create_account(email)
        return
    if email is not None and email != known:
        raise click.UsageError(f"your account at this server is {known}, not {email}")
