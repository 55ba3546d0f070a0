import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sealroom.client.delivery_journal import (
    Consent,
    DeliveryBlockedError,
    DeliveryJournal,
    DeliveryKey,
    NotedDelivery,
)
from sealroom.client.home import Home
from sealroom.client.journal import Journal
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.dsse import Envelope, pae
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Refusal

COMPUTATION = UUID("11111111-1111-4111-8111-111111111111")
OTHER = UUID("22222222-2222-4222-8222-222222222222")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ATTENDED = Consent(max_deliveries=9, attended=True)


class Enclave:
    """An enclave that was delivered to, and can refuse."""

    def __init__(self, number: int) -> None:
        self.mrenclave = bytes([number]) * 32
        self.agreement = bytes([number + 100]) * 32
        self.key = SigningKey.generate()

    def delivery(
        self, role: Role = Role.DATA_PROVIDER, fill: int = 1, computation: UUID = COMPUTATION
    ) -> NotedDelivery:
        return NotedDelivery(
            key=DeliveryKey(computation=computation, mrenclave=self.mrenclave, role=role),
            agreement=self.agreement,
            identity_pk=self.key.public_key,
            wire=bytes([fill]) * 402,
            bundle_sha256=bytes(32),
            noted_at=NOW,
        )

    def refusal(self, reason: RefusalReason = RefusalReason.CANCELLED, **changed: bytes) -> Envelope:
        said = Refusal(
            agreement=self.agreement,
            mrenclave=self.mrenclave,
            identity_pk=self.key.public_key,
            reason=reason,
        )
        payload = replace(said, **changed).to_statement()
        return Envelope(payload=payload, signature=self.key.sign(pae(payload)))


@pytest.fixture
def deliveries(home: Home) -> Iterator[DeliveryJournal]:
    with Journal(home) as journal:
        journal.note_computation(COMPUTATION, bytes(16))
        journal.note_computation(OTHER, bytes(16))
        yield DeliveryJournal(journal)


def blocked(deliveries: DeliveryJournal, delivery: NotedDelivery, consent: Consent) -> DeliveryBlockedError:
    before = deliveries.deliveries(COMPUTATION)
    with pytest.raises(DeliveryBlockedError) as error:
        deliveries.note_delivery(delivery, consent)
    assert deliveries.deliveries(COMPUTATION) == before
    return error.value


def test_a_retry_sends_the_identical_bytes(deliveries: DeliveryJournal) -> None:
    enclave = Enclave(1)
    first = deliveries.note_delivery(enclave.delivery(fill=1), Consent())
    again = deliveries.note_delivery(enclave.delivery(fill=2), Consent())
    assert first == again == bytes([1]) * 402


def test_one_enclave_in_two_roles_counts_once(deliveries: DeliveryJournal) -> None:
    enclave = Enclave(1)
    deliveries.note_delivery(enclave.delivery(Role.DATA_PROVIDER), Consent())
    deliveries.note_delivery(enclave.delivery(Role.RESULT_CONSUMER, fill=2), Consent())
    assert len(deliveries.open_enclaves(COMPUTATION)) == 1


def test_a_second_enclave_needs_a_higher_limit(deliveries: DeliveryJournal) -> None:
    deliveries.note_delivery(Enclave(1).delivery(), Consent())
    error = blocked(deliveries, Enclave(2).delivery(), Consent())
    assert (error.code, error.enclaves) == ("too-many-enclaves", 2)


def test_killing_enclaves_is_no_button_for_another_run(deliveries: DeliveryJournal) -> None:
    deliveries.note_delivery(Enclave(1).delivery(), Consent())
    error = blocked(deliveries, Enclave(2).delivery(), Consent(max_deliveries=5))
    assert (error.code, error.enclaves) == ("attendance-needed", 2)


def test_a_person_may_allow_more_with_the_number(deliveries: DeliveryJournal) -> None:
    deliveries.note_delivery(Enclave(1).delivery(), Consent())
    deliveries.note_delivery(Enclave(2).delivery(), Consent(max_deliveries=2, attended=True))
    error = blocked(deliveries, Enclave(3).delivery(), Consent(max_deliveries=2, attended=True))
    assert (error.code, error.enclaves) == ("too-many-enclaves", 3)


def test_a_signed_refusal_frees_the_count(deliveries: DeliveryJournal) -> None:
    first = Enclave(1)
    deliveries.note_delivery(first.delivery(), Consent())
    noted = deliveries.note_refusal(COMPUTATION, first.refusal())
    assert noted is not None
    assert noted.reason == "cancelled"
    assert deliveries.open_enclaves(COMPUTATION) == frozenset()
    deliveries.note_delivery(Enclave(2).delivery(), Consent())


def test_a_refusal_signed_by_another_key_is_ignored(deliveries: DeliveryJournal) -> None:
    first, forger = Enclave(1), Enclave(1)
    deliveries.note_delivery(first.delivery(), Consent())
    assert deliveries.note_refusal(COMPUTATION, forger.refusal()) is None
    assert deliveries.note_refusal(COMPUTATION, forger.refusal(identity_pk=first.key.public_key)) is None
    assert blocked(deliveries, Enclave(2).delivery(), Consent()).enclaves == 2


@pytest.mark.parametrize("name", ["agreement", "mrenclave", "identity_pk"])
def test_a_refusal_about_something_else_is_ignored(deliveries: DeliveryJournal, name: str) -> None:
    first = Enclave(1)
    deliveries.note_delivery(first.delivery(), Consent())
    assert deliveries.note_refusal(COMPUTATION, first.refusal(**{name: bytes([9]) * 32})) is None
    assert len(deliveries.open_enclaves(COMPUTATION)) == 1


def test_an_enclave_that_refused_is_never_delivered_to(deliveries: DeliveryJournal) -> None:
    first = Enclave(1)
    deliveries.note_delivery(first.delivery(Role.DATA_PROVIDER), Consent())
    deliveries.note_refusal(COMPUTATION, first.refusal())
    error = blocked(deliveries, first.delivery(Role.RESULT_CONSUMER), ATTENDED)
    assert error.code == "enclave-refused"


def test_different_words_stop_an_unattended_client_for_good(deliveries: DeliveryJournal) -> None:
    first, second = Enclave(1), Enclave(2)
    deliveries.note_delivery(first.delivery(), Consent())
    deliveries.note_refusal(COMPUTATION, first.refusal(RefusalReason.WORDS_DIFFER))
    error = blocked(deliveries, second.delivery(), Consent(max_deliveries=9))
    assert (error.code, error.enclaves) == ("words-differ", 1)
    deliveries.note_delivery(second.delivery(), Consent(attended=True))
    deliveries.note_refusal(COMPUTATION, second.refusal())
    assert blocked(deliveries, Enclave(3).delivery(), Consent()).code == "words-differ"


def test_a_second_role_to_the_same_enclave_needs_no_second_decision(deliveries: DeliveryJournal) -> None:
    first, second = Enclave(1), Enclave(2)
    deliveries.note_delivery(first.delivery(), Consent())
    deliveries.note_refusal(COMPUTATION, first.refusal(RefusalReason.WORDS_DIFFER))
    deliveries.note_delivery(second.delivery(Role.DATA_PROVIDER), Consent(attended=True))
    deliveries.note_delivery(second.delivery(Role.RESULT_CONSUMER), Consent())


def test_computations_are_counted_apart(deliveries: DeliveryJournal) -> None:
    deliveries.note_delivery(Enclave(1).delivery(), Consent())
    deliveries.note_delivery(Enclave(2).delivery(computation=OTHER), Consent())
    assert len(deliveries.open_enclaves(COMPUTATION)) == 1


def test_one_mrenclave_gets_one_delivery_whatever_the_computation(deliveries: DeliveryJournal) -> None:
    enclave = Enclave(1)
    first = deliveries.note_delivery(enclave.delivery(fill=1), Consent())
    assert deliveries.note_delivery(enclave.delivery(fill=2, computation=OTHER), ATTENDED) == first


def test_an_answer_changes_and_the_delivery_does_not(deliveries: DeliveryJournal) -> None:
    delivery = Enclave(1).delivery()
    deliveries.note_delivery(delivery, Consent())
    deliveries.note_answer(delivery.key, "admitted")
    assert deliveries.delivery(delivery.key) == replace(delivery, answer="admitted")
    for statement in ("UPDATE delivery SET wire = zeroblob(402)", "DELETE FROM delivery"):
        with (
            pytest.raises(sqlite3.IntegrityError, match="does not forget"),
            deliveries._journal.transaction() as write,
        ):
            write.execute(statement)


def test_a_limit_of_zero_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Consent(max_deliveries=0)
