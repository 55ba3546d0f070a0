"""What a run teaches the contacts: keys that were seen, and only by an enclave that proves anything."""

from dataclasses import replace
from types import SimpleNamespace
from uuid import UUID

import pytest

from sealroom.client import runs
from sealroom.client.contacts import Contacts
from sealroom.client.home import Home
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Participant
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

TERMS = Terms(
    tee=Tee.SGX,
    delivery=DeliveryForm.V1,
    computation=UUID("11111111-1111-4111-8111-111111111111"),
    owner="o@example.org",
    code_provider="c@example.org",
    data_providers=("d@example.org",),
    result_consumers=(),
    logs=LogRelease.NONE,
    limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
)


@pytest.fixture
def contacts(home: Home) -> Contacts:
    return Contacts(home)


def note_run(contacts: Contacts, terms: Terms) -> dict[str, bytes]:
    """Note the people of a run under `terms`, as its verified receipt names them; return their keys."""
    keys = {email: SigningKey.generate().public_key for _, _, email in terms.roles()}
    arguments = Arguments(
        terms=terms,
        participants=tuple(
            Participant(role=role, index=index, email=email, public_key=keys[email])
            for role, index, email in terms.roles()
        ),
        code_digest=bytes(32),
        packages_digest=bytes(32),
        launch=bytes(16),
    )
    runs._note_people(SimpleNamespace(contacts=contacts), SimpleNamespace(arguments=arguments))
    return keys


def test_people_of_a_run_are_seen_and_not_pinned(contacts: Contacts) -> None:
    keys = note_run(contacts, TERMS)
    assert {(c.email, c.public_key, c.pinned) for c in contacts.all()} == {
        (email, key, False) for email, key in keys.items()
    }


def test_a_simulated_enclave_introduces_nobody(contacts: Contacts) -> None:
    note_run(contacts, replace(TERMS, tee=Tee.SIMULATED))
    assert tuple(contacts.all()) == ()


def test_a_key_seen_first_stays_when_another_appears(contacts: Contacts) -> None:
    first = note_run(contacts, TERMS)
    note_run(contacts, TERMS)
    assert {c.email: c.public_key for c in contacts.all()} == first
