"""Delivering, without a server: what is sent is what the journal holds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sealroom.client import delivering
from sealroom.client.computation import Launch
from sealroom.client.delivery_journal import (
    Consent,
    DeliveryBlockedError,
    DeliveryJournal,
    DeliveryKey,
    NotedDelivery,
)
from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.journal import Journal
from sealroom.client.roles import DataProvider, ResultConsumer
from sealroom.client.session import Client
from sealroom.client.store import JoinedComputation
from sealroom.client.transport import Request, ServerAddress
from sealroom.core.errors import MalformedError, PolicyError, TransportError, VerificationError
from sealroom.core.sealing.delivery import open_delivery
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.invitation import Invitation
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.sealing.words import derive_preshared_key
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.delivery import Delivery, DeliveryRefusal, verify_delivery_signature
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.input_list import InputList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

COMPUTATION = UUID("11111111-1111-4111-8111-111111111111")
BOX_KEY = BoxKey.generate()
WORDS = ("abandon", "ability", "able")
TERMS = Terms(
    tee=Tee.SIMULATED,
    delivery=DeliveryForm.V1,
    computation=COMPUTATION,
    owner="o@example.org",
    code_provider="c@example.org",
    data_providers=("me@example.org",),
    result_consumers=("me@example.org",),
    logs=LogRelease.NONE,
    limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
)


class Wire:
    """Stands where the server would be, and looks into the journal the moment something is sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sent: list[bytes] = []
        self.recorded: list[bytes | None] = []
        self.answer: bytes | Exception = b'{"admitted": true, "refused": null}'

    def send(self, request: Request, **_: object) -> bytes:
        assert isinstance(request.content, bytes)
        statement = Delivery.from_bytes(request.content).statement
        key = DeliveryKey(computation=COMPUTATION, mrenclave=statement.mrenclave, role=statement.role)
        noted = self.client.deliveries.delivery(key)
        self.recorded.append(None if noted is None else noted.wire)
        self.sent.append(request.content)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    home = Home.open(tmp_path / "home")
    create_identity(home)
    server = ServerAddress(url="https://127.0.0.1:9", certificate_sha256=bytes(32))
    with Client(home=home, server=server) as opened:
        invitation = Invitation(computation=COMPUTATION, terms_prefix=TERMS.digest[:16], words=WORDS)
        opened.accept_invitation(JoinedComputation(invitation=invitation, server=server))
        yield opened


@pytest.fixture
def wire(client: Client, monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire(client)
    monkeypatch.setattr(client.transport, "send", made.send)
    # Nothing to collect: there is no server here.
    monkeypatch.setattr("sealroom.client.runs.collect_refusals", lambda *_: None)
    return made


def enclave(client: Client, *, number: int = 1, terms: Terms = TERMS, **changed: Any) -> SimulatedEnclave:
    keys = {
        Role.CODE_PROVIDER: SigningKey.from_seed(bytes([1]) * 32).public_key,
        Role.DATA_PROVIDER: client.identity.public_key,
        Role.RESULT_CONSUMER: client.identity.public_key,
    }
    arguments = Arguments(
        terms=terms,
        participants=tuple(
            Participant(role=role, index=index, email=email, public_key=keys[role])
            for role, index, email in terms.roles()
        ),
        code_digest=bytes(32),
        packages_digest=bytes(32),
        launch=bytes([number]) * 16,
    )
    made = SimulatedEnclave(
        arguments=arguments,
        mrenclave=bytes([number]) * 32,
        identity_pk=SigningKey.from_seed(bytes([number]) * 32).public_key,
        box_pk=BOX_KEY.public_key,
        verified_at=datetime.now(UTC),
        policy_name="test",
        tcb_status="UpToDate",
        advisories=(),
        bundle_sha256=bytes(32),
    )
    return replace(made, **changed)


def consumer(client: Client) -> ResultConsumer:
    return ResultConsumer(client, COMPUTATION)


def test_a_delivery_is_recorded_before_it_is_sent(client: Client, wire: Wire) -> None:
    answer = consumer(client).deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    assert answer.admitted is True
    assert wire.recorded == wire.sent
    (noted,) = client.deliveries.deliveries(COMPUTATION)
    assert noted.answer == "admitted"


def test_what_is_delivered_are_the_words_key_and_this_roles_data_key(client: Client, wire: Wire) -> None:
    consumer(client).deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    delivery = Delivery.from_bytes(wire.sent[0])
    verify_delivery_signature(delivery)
    opened = open_delivery(delivery, box_key=BOX_KEY)
    assert opened.preshared_key.equals(derive_preshared_key(WORDS, computation=COMPUTATION))
    assert opened.data_key.equals(consumer(client).folder.data_key(Role.RESULT_CONSUMER))


def test_without_an_answer_the_identical_bytes_go_again(client: Client, wire: Wire) -> None:
    wire.answer = TransportError("no answer")
    target = enclave(client)
    with pytest.raises(TransportError):
        consumer(client).deliver(target, insecure_accept_simulated=COMPUTATION)
    wire.answer = b'{"admitted": null, "refused": null}'
    assert consumer(client).deliver(target, insecure_accept_simulated=COMPUTATION).admitted is None
    wire.answer = b'{"admitted": false, "refused": "signature"}'
    answer = consumer(client).deliver(target, insecure_accept_simulated=COMPUTATION)
    assert answer.refused is DeliveryRefusal.SIGNATURE
    assert wire.sent[0] == wire.sent[1] == wire.sent[2]


def test_evidence_of_ten_minutes_ago_is_too_old(client: Client, wire: Wire) -> None:
    old = enclave(client, verified_at=datetime.now(UTC) - timedelta(minutes=10))
    with pytest.raises(PolicyError, match="less than"):
        consumer(client).deliver(old, insecure_accept_simulated=COMPUTATION)
    assert wire.sent == []
    assert client.deliveries.deliveries(COMPUTATION) == ()


def test_an_enclave_of_another_computation_gets_nothing(client: Client, wire: Wire) -> None:
    other = UUID("22222222-2222-4222-8222-222222222222")
    target = enclave(client, terms=replace(TERMS, computation=other))
    with pytest.raises(VerificationError, match="another computation"):
        consumer(client).deliver(target, insecure_accept_simulated=other)
    assert wire.sent == []


@pytest.mark.parametrize(
    "terms",
    [
        replace(TERMS, logs=LogRelease.PUBLIC),
        replace(TERMS, result_consumers=("me@example.org", "eve@example.org")),
        replace(TERMS, owner="eve@example.org"),
    ],
)
def test_terms_that_the_owner_did_not_choose_get_nothing(client: Client, wire: Wire, terms: Terms) -> None:
    eve = SigningKey.from_seed(bytes([66]) * 32).public_key
    if len(terms.result_consumers) == 2:
        target = enclave(client)
        people = (
            *target.arguments.participants,
            Participant(role=Role.RESULT_CONSUMER, index=1, email="eve@example.org", public_key=eve),
        )
        target = replace(target, arguments=replace(target.arguments, terms=terms, participants=people))
    else:
        target = enclave(client, terms=terms)
    with pytest.raises(VerificationError, match="terms"):
        consumer(client).deliver(target, insecure_accept_simulated=COMPUTATION)
    assert wire.sent == []


def test_data_is_committed_before_its_key_leaves(client: Client, wire: Wire) -> None:
    provider = DataProvider(client, COMPUTATION)
    with pytest.raises(VerificationError, match="done first"):
        provider.deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    client.journal.note_commitment(COMPUTATION, bytes([5]) * 32, InputList(files=()))
    provider.deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    assert Delivery.from_bytes(wire.sent[0]).statement.commitment == bytes([5]) * 32


def test_the_two_roles_of_one_person_have_two_data_keys(client: Client, wire: Wire) -> None:
    client.journal.note_commitment(COMPUTATION, bytes([5]) * 32, InputList(files=()))
    target = enclave(client)
    for holder in (DataProvider(client, COMPUTATION), consumer(client)):
        holder.deliver(target, insecure_accept_simulated=COMPUTATION)
    first, second = (open_delivery(Delivery.from_bytes(raw), box_key=BOX_KEY) for raw in wire.sent)
    assert not first.data_key.equals(second.data_key)
    assert first.preshared_key.equals(second.preshared_key)


def test_a_second_enclave_is_stopped_before_anything_is_sealed_or_sent(client: Client, wire: Wire) -> None:
    consumer(client).deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    with pytest.raises(DeliveryBlockedError) as blocked:
        consumer(client).deliver(enclave(client, number=2), insecure_accept_simulated=COMPUTATION)
    assert blocked.value.enclaves == 2
    assert len(wire.sent) == 1
    consent = Consent(max_deliveries=2, attended=True)
    consumer(client).deliver(
        enclave(client, number=2), consent=consent, insecure_accept_simulated=COMPUTATION
    )
    assert len(client.deliveries.open_enclaves(COMPUTATION)) == 2


def test_a_delivery_by_another_process_while_this_one_sealed_stops_it(
    client: Client, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count is made again in the transaction that records: nothing passes between looking and writing."""
    monkeypatch.setattr(delivering, "seal_delivery", meanwhile(client))
    with pytest.raises(DeliveryBlockedError) as blocked:
        consumer(client).deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    assert (blocked.value.code, blocked.value.enclaves) == ("too-many-enclaves", 2)
    assert wire.sent == []


def meanwhile(client: Client) -> Callable[..., bytes]:
    """Seal, and before that deliver to another enclave by another opening of the same home."""

    def seal(**given: Any) -> bytes:
        other = enclave(client, number=2)
        noted = NotedDelivery(
            key=DeliveryKey(computation=COMPUTATION, mrenclave=other.mrenclave, role=given["role"]),
            agreement=other.arguments.agreement,
            identity_pk=other.identity_pk,
            wire=bytes(402),
            bundle_sha256=other.bundle_sha256,
            noted_at=datetime.now(UTC),
        )
        with Journal(client.home) as journal:
            DeliveryJournal(journal).note_delivery(noted, Consent())
        return seal_delivery(**given)

    return seal


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"admitted": 1}', b'{"refused": "because"}'])
def test_an_answer_of_another_form_is_malformed(client: Client, wire: Wire, answer: bytes) -> None:
    wire.answer = answer
    with pytest.raises(MalformedError):
        consumer(client).deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    assert len(client.deliveries.deliveries(COMPUTATION)) == 1


def test_sending_again_needs_a_delivery_to_the_current_enclave(
    client: Client, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = consumer(client)
    launch = Launch(epoch=1, launched_at=None, evidence_at=None, ended_at=None, mrenclave=bytes([1]) * 32)
    monkeypatch.setattr(client, "computation", lambda *_, **__: SimpleNamespace(launch=launch))
    assert holder.send_again() is None
    holder.deliver(enclave(client), insecure_accept_simulated=COMPUTATION)
    assert holder.send_again() is not None
    assert wire.sent[0] == wire.sent[1]
    launch = replace(launch, mrenclave=None)
    assert holder.send_again() is None
