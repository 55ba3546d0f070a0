"""`sealroom contact`: public keys of people you know."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from sealroom.cli.exit_codes import CommandError
from sealroom.cli.groups import Group
from sealroom.cli.options import EmailType, Invocation, command_options
from sealroom.client.contacts import Contact, Contacts
from sealroom.core.errors import MalformedError

KEY_HEX_DIGITS = 64


@click.group("contact", cls=Group)
def command() -> None:
    """Keep public keys of people you know.

    A key that you compared with its owner is *pinned*: a verdict then says that this very person takes part.
    """


@command.command("add")
@click.argument("email", type=EmailType())
@click.argument("public_key")
@click.option("--replace", is_flag=True, help="Pin another key to an address that is pinned already.")
@command_options
def add(invocation: Invocation, email: str, public_key: str, replace: bool) -> None:
    """Pin PUBLIC_KEY (64 hexadecimal digits, as keygen prints it) to EMAIL.

    Compare the fingerprint that this prints with the person, by a call or a meeting.
    """
    key = _parse_key(public_key)
    contact = Contacts(invocation.open_home()).pin(email, key, now=datetime.now(UTC), replace=replace)
    invocation.console.result(
        _document(contact), lambda: click.echo(f"pinned {contact.email} to {contact.fingerprint}")
    )


@command.command("list")
@command_options
def list_contacts(invocation: Invocation) -> None:
    """List the contacts of this home."""
    contacts = Contacts(invocation.open_home()).all()
    rows = [(c.email, "pinned" if c.pinned else "seen before", c.fingerprint) for c in contacts]
    invocation.console.result(
        {"contacts": [_document(contact) for contact in contacts]},
        lambda: invocation.console.table(
            ("e-mail", "known how", "fingerprint"), rows, empty="this home knows nobody yet"
        ),
    )


@command.command("remove")
@click.argument("email", type=EmailType())
@command_options
def remove(invocation: Invocation, email: str) -> None:
    """Forget EMAIL and its key."""
    contacts = Contacts(invocation.open_home())
    if contacts.find(email) is None:
        raise CommandError(f"contact {email}: not in the contacts file", code="unknown_contact")
    contacts.remove(email)
    invocation.console.result(
        {"removed": email}, lambda: click.echo(f"removed {invocation.console.foreign(email)}")
    )


def _parse_key(text: str) -> bytes:
    if len(text) != KEY_HEX_DIGITS:
        raise MalformedError(
            f"public key: got {len(text)} characters, expected {KEY_HEX_DIGITS} hexadecimal digits"
        )
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise MalformedError("public key: got other characters than hexadecimal digits") from error


def _document(contact: Contact) -> dict[str, object]:
    return {
        "email": contact.email,
        "public_key": contact.public_key.hex(),
        "fingerprint": contact.fingerprint,
        "pinned": contact.pinned,
    }
