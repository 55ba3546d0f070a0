"""`sealroom args show`: read the measured arguments, the contract of a computation."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.console import read_file
from sealroom.cli.groups import Group
from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES, Arguments, parse_arguments


@click.group("args", cls=Group)
def command() -> None:
    """Read measured arguments, the contract of a computation."""


@command.command("show")
@click.argument("file", type=INPUT_FILE)
@command_options
def show(invocation: Invocation, file: Path) -> None:
    """Show every choice in FILE, the measured argument file of an enclave.

    MRENCLAVE covers this file: whoever checked MRENCLAVE checked each line below. The terms' digest is what
    the owner's invitation carries; the agreement is what deliveries and receipts name.
    """
    arguments = parse_arguments(read_file(file, max_bytes=MAX_ARGUMENTS_BYTES))
    invocation.console.result(arguments_document(arguments), lambda: _print(invocation, arguments))


def arguments_document(arguments: Arguments) -> dict[str, object]:
    """Return the arguments as JSON."""
    terms, limits = arguments.terms, arguments.terms.limits
    return {
        "computation": str(terms.computation),
        "tee": terms.tee.value,
        "delivery": terms.delivery.value,
        "owner": terms.owner,
        "participants": [
            {
                "role": participant.role.value,
                "index": participant.index,
                "email": participant.email,
                "public_key": participant.public_key.hex(),
            }
            for participant in arguments.participants
        ],
        "logs": terms.logs.value,
        "max_output_bytes": limits.max_output_bytes,
        "max_log_bytes": limits.max_log_bytes,
        "max_seconds": limits.max_seconds,
        "max_memory": limits.max_memory,
        "entry": arguments.entry,
        "code": arguments.code_digest.hex(),
        "packages": arguments.packages_digest.hex(),
        "launch": arguments.launch.hex(),
        "agreement": arguments.agreement.hex(),
        "terms": arguments.terms_digest.hex(),
    }


def _print(invocation: Invocation, arguments: Arguments) -> None:
    document = arguments_document(arguments)
    people = [
        (participant.role.value, str(participant.index), participant.email, participant.public_key.hex())
        for participant in arguments.participants
    ]
    rows = [(name, str(value)) for name, value in document.items() if name != "participants"]
    invocation.console.table(("choice", "value"), rows)
    invocation.console.table(("role", "index", "e-mail", "public key"), people)
