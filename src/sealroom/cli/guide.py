"""The guide of `sealroom join`: carries out one step after the other and asks again what comes next.

What comes next is `client.join`'s to say. Must never: deliver without the verdict having been shown and,
unless told beforehand, agreed to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.delivery import Choice, verify_and_deliver
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.options import INPUT_FILE, INPUT_FOLDER, Invocation
from sealroom.cli.waiting import POLL_SECONDS, Waiting, missing_people
from sealroom.client.computation import Computation, State
from sealroom.client.delivery_journal import Consent
from sealroom.client.join import Step, StepKind, gather_facts, next_steps
from sealroom.client.roles import CodeProvider, DataProvider, ResultConsumer, key_holder
from sealroom.client.session import Client
from sealroom.core.errors import TransportError
from sealroom.core.evidence.policy import Policy

SILENCE_SECONDS = 300.0
# Beside the ends: what somebody else than this command must do.
_LAST = (StepKind.DECIDE, StepKind.WAIT_FOR_OWNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What this participant brings and chooses; `asks` where a person is there to be asked."""

    code: Path | None
    data: tuple[Path, ...]
    results: Path | None
    policy: Policy
    asks: bool
    yes: bool
    accept_simulated: bool


class Guide:
    """Walks one participant through one computation."""

    def __init__(self, invocation: Invocation, client: Client, computation: UUID, part: Part) -> None:
        self._invocation = invocation
        self._console = invocation.console
        self._client = client
        self._computation = computation
        self._part = part
        self._waiting = Waiting(invocation.console)

    def walk(self) -> int:
        """Go on until everything is done, somebody must decide, or the computation is over."""
        with self._waiting:
            while True:
                found = self._ask()
                for step in next_steps(found, gather_facts(self._client, found)):
                    if step.kind in _LAST or step.kind.is_end:
                        return self._end(step, found)
                    if step.kind.is_waiting:
                        self._waiting.wait(missing_people(found) or step.why)
                        continue
                    self._waiting.stop(f"now: {step.why}")
                    code = self._carry_out(step, found)
                    if code is not None:
                        return code

    def _ask(self) -> Computation:
        """Ask where the computation stands; while one only waits, a server may be started again."""
        ends = time.monotonic() + SILENCE_SECONDS
        while True:
            try:
                return self._client.computation(self._computation)
            except TransportError as error:
                if error.code is not None or not self._waiting.began or time.monotonic() >= ends:
                    raise
            self._waiting.wait("for the server, which does not answer", seconds=POLL_SECONDS)

    def _end(self, step: Step, found: Computation) -> int:
        done = step.kind is StepKind.DONE
        refusal = None if found.refusal is None else {"by": found.refusal.by, "reason": found.refusal.reason}
        following = self._following(step, found)
        document = {
            "computation": str(self._computation),
            "state": found.state.value,
            "step": step.kind.value,
            "why": step.why,
            "refusal": refusal,
            "next": following,
        }

        def render() -> None:
            self._waiting.stop(f"{step.kind.value}: {step.why}")
            if refusal is not None and not done:
                click.echo(
                    f"refused by {self._console.foreign(refusal['by'])}: "
                    f"{self._console.foreign(refusal['reason'])}"
                )
            self._console.next_step(following)

        self._console.result(document, render)
        return ExitCode.DONE if done else ExitCode.REFUSED

    def _following(self, step: Step, found: Computation) -> str:
        uuid = self._computation
        if step.kind is StepKind.DONE:
            return f"sealroom receipt verify {uuid} --policy POLICY"
        if step.kind is StepKind.DECIDE:
            return f"sealroom key deliver {uuid} --policy POLICY --max-enclaves N, if you decide so"
        if step.kind is StepKind.ENDED:
            return f"sealroom status {uuid}"
        log = f"sealroom logs {uuid}; " if found.state is State.FAILED else ""
        return f"{log}the owner can launch again: sealroom computation relaunch {uuid}; then join once more"

    def _carry_out(self, step: Step, found: Computation) -> int | None:
        """Carry out a step; an exit code where the walk ends with it."""
        actions: dict[StepKind, Callable[[Step, Computation], int | None]] = {
            StepKind.REGISTER: self._register,
            StepKind.SEND_CODE: self._send_code,
            StepKind.SEND_DATA: self._send_data,
            StepKind.VERIFY_AND_DELIVER: self._deliver,
            StepKind.DELIVER_AGAIN: self._deliver_again,
            StepKind.GET_RESULTS: self._get_results,
            StepKind.VERIFY_RECEIPT: self._verify_receipt,
        }
        return actions[step.kind](step, found)

    def _register(self, step: Step, _: Computation) -> None:
        if step.role is not None:
            key_holder(self._client, self._computation, step.role).register()

    def _send_code(self, _: Step, __: Computation) -> None:
        folder = self._part.code or self._ask_folder()
        with self._console.transfers() as progress:
            files = CodeProvider(self._client, self._computation).send(folder, progress=progress)
        self._console.say(f"sent {len(files.files)} files, signed; run.py is readable for everybody")

    def _send_data(self, _: Step, __: Computation) -> None:
        provider = DataProvider(self._client, self._computation)
        files = self._part.data or (() if provider.inputs.files else self._ask_files())
        with self._console.transfers() as progress:
            for file in files:
                provider.send(file, progress=progress)
            provider.done(progress=progress)
        for sent in provider.inputs.files:
            self._console.say(f"sent {self._console.foreign(sent.name)}, {sent.size} bytes, encrypted")

    def _ask_folder(self) -> Path:
        if not self._part.asks:
            raise click.UsageError("you are the Code Provider: give --code FOLDER")
        folder: Path = click.prompt("The folder of your program, with run.py", type=INPUT_FOLDER, err=True)
        return folder

    def _ask_files(self) -> tuple[Path, ...]:
        if not self._part.asks:
            raise click.UsageError("you are a Data Provider: give --data FILE, once for each file")
        files = [click.prompt("A file that you bring", type=INPUT_FILE, err=True)]
        while click.confirm("Another one?", default=False, err=True):
            files.append(click.prompt("A file that you bring", type=INPUT_FILE, err=True))
        return tuple(files)

    def _deliver(self, step: Step, found: Computation) -> int | None:
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
        if delivered.answers:
            return None
        delivered.show(self._invocation, self._computation)
        return delivered.exit_code(accept_simulated=choice.accept_simulated)

    def _deliver_again(self, step: Step, _: Computation) -> None:
        if step.role is not None:
            answer = key_holder(self._client, self._computation, step.role).send_again()
            if answer is not None:
                self._console.say(f"{step.role.value}: {answer.text}")

    def _get_results(self, _: Step, __: Computation) -> None:
        with self._console.transfers() as progress:
            consumer = ResultConsumer(self._client, self._computation)
            results = consumer.results(self._part.results, progress=progress)
        for result in results:
            name, path = self._console.foreign(result.name), self._console.foreign(str(result.path))
            self._console.say(f"result {name}, {result.size} bytes, in {path}")

    def _verify_receipt(self, _: Step, __: Computation) -> None:
        record = ResultConsumer(self._client, self._computation).receipt()
        self._console.say("the receipt is signed by the enclave that you delivered to")
        if record.refusal is not None:
            self._console.say(f"it is a refusal ({record.refusal.reason.value}): nothing ran")
        elif record.closing is None:
            self._console.say("it has no closing: how the run ended is the server's claim")
