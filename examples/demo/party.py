"""One participant of the demonstration: a process with its own home and keys, that speaks in JSON lines.

Run as `python -m examples.demo.party SETTINGS.json`. It does what `sealroom join` does, through the Python
API, and says each thing that it did or saw.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from examples.ready_wheels import Program
from sealroom.adapters.policies import load_policy
from sealroom.client import (
    Client,
    CodeProvider,
    ComputationDraft,
    ComputationOwner,
    Consent,
    DataProvider,
    Home,
    ResultConsumer,
    ServerAddress,
    State,
    create_identity,
    gather_facts,
    next_steps,
    read_invitation,
)
from sealroom.client.code_archive import read_requirements
from sealroom.client.computation import Computation
from sealroom.client.join import Step, StepKind
from sealroom.client.member import Member
from sealroom.client.roles import key_holder
from sealroom.core.sealing.keys import fingerprint
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import Tee

POLL_SECONDS = 0.15
POLICY = "up-to-date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Who this is, what it brings, and where it finds or leaves the invitation."""

    home: str
    email: str
    server: str
    certificate: str
    invitation: str
    code: str | None = None
    data: str | None = None
    people: dict[str, list[str]] | None = None

    @classmethod
    def from_json(cls, path: Path) -> Settings:
        """Read the settings' file."""
        return cls(**json.loads(path.read_text()))


class Party:
    """Plays one participant to the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = Home.open(settings.home)
        self._address = ServerAddress(
            url=settings.server, certificate_sha256=bytes.fromhex(settings.certificate)
        )

    def play(self) -> None:
        """Make what is missing, join, and follow the computation to its end."""
        if not self._home.identity.exists():
            key = create_identity(self._home)
            say("identity", fingerprint=fingerprint(key.public_key))
        with Client(home=self._home, server=self._address) as client:
            if client.accounts.find(self._address.origin) is None:
                client.create_account(self._settings.email)
                say("account", email=self._settings.email)
            if self._settings.people is not None:
                self._create(client, self._settings.people)
            computation = self._join(client)
            self._follow(client, computation)

    def _create(self, client: Client, people: dict[str, list[str]]) -> None:
        draft = ComputationDraft(
            name="Two hospitals, one model",
            code_provider=people["code-provider"][0],
            data_providers=tuple(people["data-provider"]),
            result_consumers=tuple(people["result-consumer"]),
            tee=Tee.SIMULATED,
        )
        owner = ComputationOwner.create(client, draft)
        if owner.invitation_file is None:
            raise RuntimeError("the server's certificate is pinned, so the invitation names it")
        partial = Path(self._settings.invitation + ".tmp")
        partial.write_bytes(owner.invitation_file)
        partial.rename(self._settings.invitation)
        say("created", computation=str(owner.computation))

    def _join(self, client: Client) -> UUID:
        joined = read_invitation(self._settings.invitation, server=self._address)
        client.accept_invitation(joined)
        return joined.computation

    def _follow(self, client: Client, computation: UUID) -> None:
        state = None
        while True:
            found = client.computation(computation)
            if found.state is not state:
                state = found.state
                held = () if found.launch is None else found.launch.protections
                say("state", state=state.value, protections=[[one.name, one.on] for one in held])
            for step in next_steps(found, gather_facts(client, found)):
                if step.kind.is_end or step.kind in (StepKind.WAIT_FOR_OWNER, StepKind.DECIDE):
                    self._end(client, found)
                    return
                if step.kind.is_waiting:
                    time.sleep(POLL_SECONDS)
                else:
                    self._carry_out(client, found, step)

    def _carry_out(self, client: Client, found: Computation, step: Step) -> None:
        computation = found.computation
        match step.kind:
            case StepKind.REGISTER if step.role is not None:
                key_holder(client, computation, step.role).register()
                say("registered", role=step.role.value)
            case StepKind.SEND_CODE:
                self._send_code(CodeProvider(client, computation))
            case StepKind.SEND_DATA:
                self._send_data(DataProvider(client, computation))
            case StepKind.VERIFY_AND_DELIVER if step.role is not None:
                self._deliver(client, computation, step.role)
            case StepKind.VERIFY_RECEIPT:
                self._read_receipt(client, computation)
            case StepKind.GET_RESULTS:
                results = ResultConsumer(client, computation).results()
                say("results", files=[[result.name, str(result.path), result.size] for result in results])
            case _:
                raise RuntimeError(f"nothing in this demonstration leads to {step.kind.value}")

    def _send_code(self, provider: CodeProvider) -> None:
        program = Program(folder=Path(self._settings.code or "."))
        program.give_wheels_to(self._home)
        packages = [requirement.title for requirement in read_requirements(program.folder)]
        files = provider.send(program.folder)
        say("code", files=[[file.path, file.size] for file in files.files], packages=packages)

    def _send_data(self, provider: DataProvider) -> None:
        path = Path(self._settings.data or "")
        sealed = provider.send(path)
        commitment = provider.done()
        say(
            "data", name=path.name, plain=path.stat().st_size, sealed=sealed.size, commitment=commitment.hex()
        )

    def _deliver(self, client: Client, computation: UUID, role: Role) -> None:
        holder, policy = key_holder(client, computation, role), load_policy(POLICY)
        reviewed = holder.code()
        say("read", signer=reviewed.signer_email, lines=reviewed.code.entry_point.count(b"\n"))
        assessment = holder.appraise(policy)
        say("verdict", verdict=assessment.verdict.to_value())
        enclave = holder.insecure_verify_simulated(policy, bundle=assessment.bundle)
        answer = holder.deliver(enclave, consent=Consent(), insecure_accept_simulated=computation)
        say("delivered", role=role.value, answer=answer.text)

    def _read_receipt(self, client: Client, computation: UUID) -> None:
        member = Member(client, computation)
        record = member.receipt()
        if record.closing is None:
            return
        log = member.logs().text
        say(
            "receipt",
            mrenclave=record.enclave.mrenclave.hex(),
            outcome=record.closing.outcome.value,
            log=None if log is None else log.decode(),
        )

    def _end(self, client: Client, found: Computation) -> None:
        """Say how it ended: of a refusal, only what the enclave itself signed."""
        if found.state is State.SUCCEEDED:
            say("done")
            return
        record = Member(client, found.computation).receipt()
        if record.refusal is None:
            raise RuntimeError(f"the computation ended as {found.state.value} without a signed refusal")
        say("refused", reason=record.refusal.reason.value, identity_pk=record.enclave.identity_pk.hex())


def say(event: str, **details: object) -> None:
    """Tell the demonstration what happened."""
    print(json.dumps({"event": event, **details}), flush=True)


if __name__ == "__main__":
    Party(Settings.from_json(Path(sys.argv[1]))).play()
