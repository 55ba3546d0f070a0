"""Whole computations by the Python API: the real server in this process, real simulated enclaves."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import pytest
import uvicorn

from sealroom.client import (
    Client,
    CodeProvider,
    ComputationDraft,
    ComputationOwner,
    Consent,
    DataProvider,
    DeliveryBlockedError,
    Home,
    ResultConsumer,
    ServerAddress,
    State,
    create_identity,
    gather_facts,
    load_policy,
    next_steps,
    read_invitation,
)
from sealroom.client.computation import Computation
from sealroom.client.delivering import DeliveryAnswer
from sealroom.client.join import StepKind
from sealroom.client.json_values import JsonObject
from sealroom.client.member import KeyHolder
from sealroom.client.store import JoinedComputation
from sealroom.core.errors import PolicyError, TransportError, VerificationError
from sealroom.core.sealing.invitation import Invitation
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.terms import Limits, LogRelease, Tee
from sealroom.server.app import create_app
from sealroom.server.config import ServerConfig
from sealroom.server.main import make_launcher, open_platform
from sealroom.server.reconcile import Reconciler
from sealroom.server.tls import load_or_make_certificate

pytestmark = pytest.mark.e2e

POLICY = load_policy("insecure-any-status")
LIMITS = Limits(max_output_bytes=4 << 20, max_log_bytes=1 << 16, max_seconds=60, max_memory=1 << 30)
PROGRAM = """
from sealroom.enclave import Enclave
import model


def main() -> int:
    with Enclave() as enclave:
        print("a line for the log")
        enclave.write(model.total(file.read() for file in enclave.read()))
    return 0


if __name__ == "__main__":
    main()
"""
MODEL = "def total(files):\n    return str(sum(len(file) for file in files)).encode()\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    config = ServerConfig(data=tmp_path_factory.mktemp("server"), port=0)
    certificate = load_or_make_certificate(config.data / "tls", host="127.0.0.1")
    platform = open_platform(config, tee=Tee.SIMULATED)
    reconciler = Reconciler(platform, make_launcher(config))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(platform),
            ssl_certfile=str(certificate.certificate),
            ssl_keyfile=str(certificate.key),
            log_config=None,
            lifespan="off",
            ws="none",
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    reconciler.start()
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield ServerAddress(
        url=f"https://127.0.0.1:{listener.getsockname()[1]}",
        certificate_sha256=bytes.fromhex(certificate.sha256),
    )
    server.should_exit = True
    thread.join(timeout=20)
    reconciler.stop()
    listener.close()
    platform.store.close()


@dataclass
class Party:
    """Everybody in one computation, each with a home of their own."""

    owner: ComputationOwner
    code: CodeProvider
    first: DataProvider
    second: DataProvider
    consumer: ResultConsumer
    folder: Path
    clients: dict[str, Client] = field(default_factory=dict)

    @property
    def computation(self) -> UUID:
        return self.owner.computation

    @property
    def holders(self) -> tuple[KeyHolder, ...]:
        return (self.code, self.first, self.second, self.consumer)

    def wait(self, *states: State) -> Computation:
        return self.owner.wait(lambda now: now.state in states, timeout_seconds=90, poll_seconds=0.2)

    def steps(self, holder: KeyHolder) -> list[StepKind]:
        found = holder.status()
        return [step.kind for step in next_steps(found, gather_facts(holder.client, found))]

    def deliver(self, holder: KeyHolder, consent: Consent | None = None) -> DeliveryAnswer:
        return holder.deliver(
            self.verify(holder), consent=consent, insecure_accept_simulated=self.computation
        )

    def verify(self, holder: KeyHolder) -> SimulatedEnclave:
        return holder.insecure_verify_simulated(POLICY)


@pytest.fixture
def party(tmp_path: Path, address: ServerAddress) -> Iterator[Party]:
    """A computation whose enclave waits: all registered, code sent, data done."""
    with ExitStack() as stack:
        clients = {}
        for name in ("owner", "code", "first", "second", "consumer"):
            home = Home.open(tmp_path / name)
            create_identity(home)
            clients[name] = stack.enter_context(Client(home=home, server=address))
            clients[name].create_account(f"{name}.{tmp_path.name.lower()}@example.org")
        email = {name: client.account.email for name, client in clients.items()}
        draft = ComputationDraft(
            name="totals",
            code_provider=email["code"],
            data_providers=(email["first"], email["second"]),
            result_consumers=(email["consumer"],),
            tee=Tee.SIMULATED,
            logs=LogRelease.PARTICIPANTS,
            limits=LIMITS,
        )
        owner = ComputationOwner.create(clients["owner"], draft)
        (tmp_path / "invitation").write_bytes(owner.invitation_file or b"")
        for name in ("code", "first", "second", "consumer"):
            clients[name].accept_invitation(read_invitation(str(tmp_path / "invitation")))
        uuid = owner.computation
        made = Party(
            owner=owner,
            code=CodeProvider(clients["code"], uuid),
            first=DataProvider(clients["first"], uuid),
            second=DataProvider(clients["second"], uuid),
            consumer=ResultConsumer(clients["consumer"], uuid),
            folder=tmp_path,
            clients=clients,
        )
        _prepare(made)
        yield made
        if not owner.status().state.is_over:
            owner.cancel("the test is over")


def _prepare(party: Party) -> None:
    for holder in party.holders:
        assert party.steps(holder) == [StepKind.REGISTER]
        holder.register()
    for number, provider in enumerate((party.first, party.second), 1):
        path = party.folder / f"table-{number}.csv"
        path.write_bytes(b"x" * 1000 * number)
        provider.send(path)
        provider.done()
    assert party.steps(party.code) == [StepKind.SEND_CODE]
    program = party.folder / "program"
    program.mkdir()
    (program / "run.py").write_text(PROGRAM)
    (program / "model.py").write_text(MODEL)
    party.code.send(program)
    party.wait(State.AWAITING_KEYS)


def test_four_parties_play_a_whole_computation(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = party.owner.status(with_evidence=True).enclave.identity
    assert claimed is not None
    for holder in party.holders:
        assert party.steps(holder) == [StepKind.VERIFY_AND_DELIVER]
        assessment = holder.appraise(POLICY)
        assert assessment.verdict.passed_but_simulated
        enclave = holder.insecure_verify_simulated(POLICY, bundle=assessment.bundle)
        assert (claimed.measurement, claimed.identity_pk) == (enclave.mrenclave, enclave.identity_pk)
        assert holder.code(enclave=enclave).code.entry_point == PROGRAM.encode()
        answer = holder.deliver(enclave, insecure_accept_simulated=party.computation)
        assert answer.admitted is True
    assert party.wait(State.SUCCEEDED, State.FAILED).state is State.SUCCEEDED
    assert party.steps(party.consumer) == [StepKind.VERIFY_RECEIPT, StepKind.GET_RESULTS]
    _try_false_results(party, monkeypatch)
    (result,) = party.consumer.results(party.folder / "out")
    assert result.path.read_bytes() == b"3000"
    for holder in party.holders:
        assert holder.receipt().closing is not None
        assert holder.logs().text == b"a line for the log\n"
        assert party.steps(holder) == [StepKind.DONE]
    archived = party.owner.receipt(enclave=enclave)
    assert archived.arguments == claimed.arguments
    with pytest.raises(VerificationError, match="verified from this home"):
        party.owner.receipt()


def _try_false_results(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that changes a result, or withholds it, is found out, and no file is left."""
    transport = party.consumer.client.transport
    download, get_json = transport.download, transport.get_json

    def changed(path: str, sink: IO[bytes], **more: Any) -> int:
        size = download(path, sink, **more)
        sink.seek(size - 1)
        sink.write(b"!")
        return size

    def withheld(path: str) -> JsonObject:
        answer = get_json(path)
        if path.endswith("/results"):
            answer._members["results"] = []
        return answer

    for name, hostile, said in (("download", changed, "not the one"), ("get_json", withheld, "withholds")):
        with monkeypatch.context() as patch:
            patch.setattr(transport, name, hostile)
            with pytest.raises(VerificationError, match=said):
                party.consumer.results(party.folder / "out")
    assert list((party.folder / "out").iterdir()) == []


def test_a_simulated_enclave_is_refused_unless_its_computation_is_named(party: Party) -> None:
    with pytest.raises(VerificationError):
        party.first.verify(POLICY)
    enclave = party.verify(party.first)
    with pytest.raises(PolicyError, match="simulated"):
        party.first.deliver(enclave)
    with pytest.raises(PolicyError, match="simulated"):
        party.first.deliver(enclave, insecure_accept_simulated=UUID("11111111-1111-4111-8111-111111111111"))
    assert party.first.client.deliveries.deliveries(party.computation) == ()


@pytest.mark.slow
def test_wrong_words_end_in_a_signed_refusal_that_stops_unattended_clients(party: Party) -> None:
    joined = party.second.folder.load()
    mistyped = Invitation(
        computation=party.computation,
        terms_prefix=joined.invitation.terms_prefix,
        words=("zoo", "zone", "zero"),
    )
    party.second.client.accept_invitation(JoinedComputation(invitation=mistyped, server=joined.server))
    for holder in party.holders:
        party.deliver(holder)
    found = party.wait(State.REFUSED, State.SUCCEEDED, State.FAILED)
    assert found.state is State.REFUSED
    record = party.first.receipt()
    assert record.refusal is not None
    assert record.refusal.reason is RefusalReason.WORDS_DIFFER
    assert party.first.client.deliveries.open_enclaves(party.computation) == frozenset()

    party.second.client.accept_invitation(joined)
    party.owner.relaunch()
    party.wait(State.AWAITING_KEYS)
    assert party.steps(party.first) == [StepKind.DECIDE]
    with pytest.raises(DeliveryBlockedError) as blocked:
        party.deliver(party.first)
    assert (blocked.value.code, blocked.value.enclaves) == ("words-differ", 1)
    for holder in party.holders:
        party.deliver(holder, Consent(attended=True))
    assert party.wait(State.SUCCEEDED, State.FAILED, State.REFUSED).state is State.SUCCEEDED


@pytest.mark.slow
def test_killed_between_recording_and_sending_the_same_bytes_are_sent(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = party.first.client.transport
    enclave = party.verify(party.first)
    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", _killed)
        with pytest.raises(KeyboardInterrupt):
            party.first.deliver(enclave, insecure_accept_simulated=party.computation)
    (noted,) = party.first.client.deliveries.deliveries(party.computation)
    assert party.steps(party.first) == [StepKind.DELIVER_AGAIN]
    answer = party.first.send_again()
    assert answer is not None
    assert answer.admitted is True
    (sent,) = party.first.client.deliveries.deliveries(party.computation)
    assert sent.wire == noted.wire
    assert party.deliver(party.first).admitted is True
    assert party.steps(party.first) == [StepKind.WAIT_FOR_DELIVERIES]


def _killed(*_: object, **__: object) -> bytes:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_new_code_ends_the_enclave_and_frees_the_count_by_its_signed_refusal(party: Party) -> None:
    party.first.note_reviewed(party.first.code())
    party.deliver(party.first)
    (party.folder / "program" / "model.py").write_text(MODEL + "# another version\n")
    party.code.send(party.folder / "program")
    party.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS,
        timeout_seconds=90,
        poll_seconds=0.2,
    )
    assert party.steps(party.first) == [StepKind.VERIFY_AND_DELIVER]
    # The code that was looked at is not the code that would run.
    with pytest.raises(VerificationError):
        party.verify(party.first)
    party.first.note_reviewed(party.first.code())
    assert party.deliver(party.first).admitted is True
    assert [refusal.reason for refusal in party.first.client.deliveries.refusals(party.computation)] == [
        "cancelled"
    ]


@pytest.mark.slow
def test_a_participant_refuses_with_a_reason_for_all(party: Party) -> None:
    party.deliver(party.first)
    party.consumer.refuse("the program prints too much")
    found = party.wait(State.REFUSED)
    assert found.refusal is not None
    assert found.refusal.reason == "the program prints too much"
    assert party.steps(party.first) == [StepKind.VERIFY_RECEIPT]
    record = party.first.receipt()
    assert record.refusal is not None
    assert record.refusal.reason is RefusalReason.CANCELLED


@pytest.mark.slow
def test_other_terms_than_the_invitations_are_not_delivered_to(party: Party) -> None:
    joined = party.first.folder.load()
    other = Home.open(party.folder / "elsewhere")
    create_identity(other)
    forged = Invitation(computation=party.computation, terms_prefix=bytes(16), words=joined.invitation.words)
    with Client(home=other, server=joined.server) as client:
        account = party.first.client.account
        client.accounts.save(account)
        client.transport.use_token(account.token)
        client.accept_invitation(JoinedComputation(invitation=forged, server=joined.server))
        with pytest.raises(VerificationError):
            DataProvider(client, party.computation).insecure_verify_simulated(POLICY)


@pytest.mark.slow
def test_an_answer_is_not_there_before_it_is_asked_for(party: Party) -> None:
    with pytest.raises(TransportError) as error:
        party.first.receipt()
    assert error.value.code == "no_receipt"
    assert party.first.send_again() is None
