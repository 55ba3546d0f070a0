"""The contacts file: which public key belongs to which e-mail address, as far as this person knows.

Must never: take a contact from a server, or replace a pinned key without being told to.
Spec: docs/spec/contacts.md.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.client.home import Home
from sealroom.client.json_values import JsonObject
from sealroom.client.private_files import read_bounded, write_private
from sealroom.core.errors import MalformedError, PolicyError, VerificationError
from sealroom.core.sealing.keys import fingerprint
from sealroom.core.wire.participants import check_email
from sealroom.core.wire.signatures import check_public_key

FORMAT = 1
MAX_CONTACTS = 10_000
_MAX_FILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One address and its key; `pinned` when a person compared the fingerprint."""

    email: str
    public_key: bytes
    pinned: bool
    noted_at: datetime

    def __post_init__(self) -> None:
        check_email(self.email)
        check_public_key(self.public_key)

    @property
    def fingerprint(self) -> str:
        """The 64 hex digits that two people compare."""
        return fingerprint(self.public_key)


class ContactConflictError(PolicyError):
    """The address or the key is known already, in another pairing."""


class Contacts:
    """The contacts of one home; every change is written before it is believed."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def all(self) -> tuple[Contact, ...]:
        """Return every contact, sorted by address."""
        return tuple(_read(self._home).values())

    def find(self, email: str) -> Contact | None:
        """Return the contact with this address, if there is one."""
        return _read(self._home).get(email)

    def pin(self, email: str, public_key: bytes, *, now: datetime, replace: bool = False) -> Contact:
        """Note that a person compared this key with the one who owns the address.

        Raises `ContactConflictError` when the address is pinned to another key and `replace` is not set, or
        when the key is known under another address.
        """
        contact = Contact(email=email, public_key=public_key, pinned=True, noted_at=now)

        def change(known: dict[str, Contact]) -> None:
            before = known.get(email)
            if before and before.pinned and before.public_key != public_key and not replace:
                raise ContactConflictError(
                    f"contact {email}: pinned to the key {before.fingerprint}; replacing it must be asked for"
                )
            known[email] = contact

        self._change(change)
        return contact

    def note_seen(self, keys: Mapping[str, bytes], *, now: datetime) -> None:
        """Note keys used under these addresses by an enclave that was verified and delivered to.

        Nothing known is replaced, and what would make one key belong to two addresses is left out.
        """

        def change(known: dict[str, Contact]) -> None:
            owned = {contact.public_key for contact in known.values()}
            for email, key in keys.items():
                if email not in known and key not in owned:
                    known[email] = Contact(email=email, public_key=key, pinned=False, noted_at=now)
                    owned.add(key)

        self._change(change)

    def remove(self, email: str) -> None:
        """Forget an address; raises `VerificationError` when it is not there."""

        def change(known: dict[str, Contact]) -> None:
            if known.pop(email, None) is None:
                raise VerificationError(f"contact {email}: not in the contacts file")

        self._change(change)

    def _change(self, change: Callable[[dict[str, Contact]], None]) -> None:
        with self._home.lock():
            known = _read(self._home)
            before = dict(known)
            change(known)
            _check_distinct_keys(known)
            if known != before:
                write_private(self._home.contacts, to_bytes(known))


def to_bytes(contacts: Mapping[str, Contact]) -> bytes:
    """Write the file's bytes."""
    entries = [
        {
            "email": contact.email,
            "noted_at": contact.noted_at.astimezone(UTC).isoformat(),
            "pinned": contact.pinned,
            "public_key": contact.public_key.hex(),
        }
        for _, contact in sorted(contacts.items())
    ]
    return json.dumps({"contacts": entries, "format": FORMAT}, indent=1, sort_keys=True).encode() + b"\n"


def parse_contacts(raw: bytes) -> dict[str, Contact]:
    """Read the file's bytes, or raise `MalformedError`."""
    root = JsonObject.from_bytes(raw, what="contacts file")
    root.check_names("contacts", "format")
    if root.number("format") != FORMAT:
        raise MalformedError(f"contacts file: format: expected {FORMAT}")
    entries = root.items("contacts")
    if len(entries) > MAX_CONTACTS:
        raise MalformedError(f"contacts file: more than {MAX_CONTACTS} contacts")
    contacts = [_parse_entry(entry) for entry in entries]
    found = {contact.email: contact for contact in contacts}
    if len(found) != len(contacts):
        raise MalformedError("contacts file: an address occurs twice")
    try:
        _check_distinct_keys(found)
    except ContactConflictError as error:
        raise MalformedError(f"contacts file: {error}") from error
    return dict(sorted(found.items()))


def _parse_entry(entry: JsonObject) -> Contact:
    entry.check_names("email", "noted_at", "pinned", "public_key")
    return Contact(
        email=entry.text("email"),
        public_key=entry.hexadecimal("public_key", length=32),
        pinned=entry.flag("pinned"),
        noted_at=entry.time("noted_at"),
    )


def _check_distinct_keys(contacts: Mapping[str, Contact]) -> None:
    owners: dict[bytes, str] = {}
    for contact in contacts.values():
        other = owners.setdefault(contact.public_key, contact.email)
        if other != contact.email:
            raise ContactConflictError(f"one key under two addresses: {other} and {contact.email}")


def _read(home: Home) -> dict[str, Contact]:
    try:
        raw = read_bounded(home.contacts, max_bytes=_MAX_FILE_BYTES, what="contacts file")
    except FileNotFoundError:
        return {}
    return parse_contacts(raw)
