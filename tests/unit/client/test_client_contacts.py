import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.client.contacts import ContactConflictError, Contacts, parse_contacts, to_bytes
from sealroom.client.home import Home
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.keys import SigningKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = [SigningKey.from_seed(bytes([number]) * 32).public_key for number in range(1, 5)]


def test_a_pinned_contact_is_found_again(home: Home) -> None:
    Contacts(home).pin("ada@example.org", KEYS[0], now=NOW)
    found = Contacts(home).find("ada@example.org")
    assert found is not None
    assert (found.public_key, found.pinned, found.noted_at) == (KEYS[0], True, NOW)
    assert home.contacts.stat().st_mode & 0o777 == 0o600


def test_a_pinned_key_is_replaced_only_when_asked_for(home: Home) -> None:
    contacts = Contacts(home)
    contacts.pin("ada@example.org", KEYS[0], now=NOW)
    with pytest.raises(ContactConflictError, match=r"ada@example\.org"):
        contacts.pin("ada@example.org", KEYS[1], now=NOW)
    contacts.pin("ada@example.org", KEYS[1], now=NOW, replace=True)
    found = contacts.find("ada@example.org")
    assert found is not None
    assert found.public_key == KEYS[1]


def test_a_seen_key_never_replaces_anything(home: Home) -> None:
    contacts = Contacts(home)
    contacts.pin("ada@example.org", KEYS[0], now=NOW)
    contacts.note_seen({"ada@example.org": KEYS[1], "bo@example.org": KEYS[2]}, now=NOW)
    contacts.note_seen({"bo@example.org": KEYS[3]}, now=NOW)
    assert [(c.email, c.public_key, c.pinned) for c in contacts.all()] == [
        ("ada@example.org", KEYS[0], True),
        ("bo@example.org", KEYS[2], False),
    ]


def test_pinning_takes_the_place_of_a_seen_key(home: Home) -> None:
    contacts = Contacts(home)
    contacts.note_seen({"bo@example.org": KEYS[2]}, now=NOW)
    assert contacts.pin("bo@example.org", KEYS[3], now=NOW).pinned


def test_one_key_has_one_address(home: Home) -> None:
    contacts = Contacts(home)
    contacts.pin("ada@example.org", KEYS[0], now=NOW)
    with pytest.raises(ContactConflictError, match="two addresses"):
        contacts.pin("bo@example.org", KEYS[0], now=NOW)
    contacts.note_seen({"bo@example.org": KEYS[0]}, now=NOW)
    assert contacts.find("bo@example.org") is None


def test_a_contact_can_be_removed(home: Home) -> None:
    contacts = Contacts(home)
    contacts.pin("ada@example.org", KEYS[0], now=NOW)
    contacts.remove("ada@example.org")
    assert contacts.all() == ()
    with pytest.raises(VerificationError):
        contacts.remove("ada@example.org")


@pytest.mark.parametrize(
    ("email", "key"), [("Ada@example.org", KEYS[0]), ("ada", KEYS[0]), ("ada@example.org", bytes(32))]
)
def test_a_bad_address_or_key_is_refused(home: Home, email: str, key: bytes) -> None:
    with pytest.raises(MalformedError):
        Contacts(home).pin(email, key, now=NOW)
    assert not home.contacts.exists()


def entry(email: str = "ada@example.org", key: bytes = KEYS[0], **changed: object) -> dict[str, object]:
    return {
        "email": email,
        "noted_at": NOW.isoformat(),
        "pinned": True,
        "public_key": key.hex(),
    } | changed


@pytest.mark.parametrize(
    "document",
    [
        {"contacts": [], "format": 2},
        {"contacts": []},
        {"contacts": [], "format": 1, "more": 1},
        {"contacts": [entry(), entry()], "format": 1},
        {"contacts": [entry(), entry("bo@example.org")], "format": 1},
        {"contacts": [entry(more=1)], "format": 1},
        {"contacts": [entry(public_key=KEYS[0].hex().upper())], "format": 1},
        {"contacts": [entry(key=bytes(32))], "format": 1},
        {"contacts": [entry(noted_at="2026-01-01")], "format": 1},
        {"contacts": [entry(pinned=1)], "format": 1},
        {"contacts": {}, "format": 1},
        [],
    ],
)
def test_a_file_that_is_not_one_is_refused(document: object) -> None:
    with pytest.raises(MalformedError):
        parse_contacts(json.dumps(document).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_contacts_or_malformed(raw: bytes) -> None:
    with suppress(MalformedError):
        assert parse_contacts(raw) == {}


def test_what_is_written_is_read_again(home: Home) -> None:
    Contacts(home).pin("ada@example.org", KEYS[0], now=NOW)
    raw = home.contacts.read_bytes()
    assert to_bytes(parse_contacts(raw)) == raw
