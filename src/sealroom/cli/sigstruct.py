"""`sealroom sigstruct`: read what was signed, and make a key that signs."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sealroom.cli.console import read_file
from sealroom.cli.exit_codes import CommandError
from sealroom.cli.groups import Group
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, ask_passphrase, command_options
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.core.measurement.sigstruct import Sigstruct, mrsigner_of

MAX_FILE_BYTES = 1 << 20


@click.group("sigstruct", cls=Group)
def command() -> None:
    """Read the signatures of enclaves, and make a key for them."""


@command.command("show")
@click.argument("file", type=INPUT_FILE)
@command_options
def show(invocation: Invocation, file: Path) -> None:
    """Show FILE, a SIGSTRUCT, once its signature holds.

    Whether you trust the signer named in it is for you to say.
    """
    sigstruct = verify_sigstruct(read_file(file, max_bytes=MAX_FILE_BYTES))
    invocation.console.result(sigstruct_document(sigstruct), lambda: print_sigstruct(invocation, sigstruct))


@command.command("new-key")
@click.argument("file", type=OUTPUT_FILE)
@click.option(
    "--passphrase",
    "protect",
    is_flag=True,
    help="Protect the key; asked for, or taken from $SEALROOM_PASSPHRASE.",
)
@command_options
def new_key(invocation: Invocation, file: Path, protect: bool) -> None:
    """Make a key that signs enclaves, and write it to FILE, which must not be there yet."""
    from sealroom.core.measurement.signing_key import new_enclave_signing_key

    if file.exists():
        raise CommandError(f"{file} exists already", code="key_exists")
    passphrase = ask_passphrase(twice=True) if protect else None
    key = new_enclave_signing_key()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(file, flags, 0o600), "wb") as stream:
        stream.write(key.to_pem(passphrase=passphrase))
    mrsigner = mrsigner_of(key.modulus).hex()
    document = {"file": str(file), "mrsigner": mrsigner}
    invocation.console.result(document, lambda: click.echo(f"written   {file}\nmrsigner  {mrsigner}"))


def sigstruct_document(sigstruct: Sigstruct) -> dict[str, object]:
    """Return a SIGSTRUCT as JSON, numbers of bits in hexadecimal."""
    body = sigstruct.body
    return {
        "mrenclave": body.mrenclave.hex(),
        "mrsigner": sigstruct.mrsigner.hex(),
        "isv_prod_id": body.isv_prod_id,
        "isv_svn": body.isv_svn,
        "debug": body.debug,
        "date": body.date,
        "attribute_flags": f"{body.attribute_flags:#x}",
        "attribute_flags_mask": f"{body.attribute_flags_mask:#x}",
        "attribute_xfrm": f"{body.attribute_xfrm:#x}",
        "attribute_xfrm_mask": f"{body.attribute_xfrm_mask:#x}",
        "misc_select": f"{body.misc_select:#x}",
        "misc_mask": f"{body.misc_mask:#x}",
        "vendor": f"{body.vendor:#x}",
        "isv_family_id": body.isv_family_id.hex(),
        "isv_ext_prod_id": body.isv_ext_prod_id.hex(),
    }


def print_sigstruct(invocation: Invocation, sigstruct: Sigstruct) -> None:
    """Print a SIGSTRUCT as a table; a debug enclave is named as what it is."""
    rows = [(name, str(value)) for name, value in sigstruct_document(sigstruct).items()]
    invocation.console.table(("field", "value"), rows)
    if sigstruct.body.debug:
        click.secho("warning: ", fg="yellow", nl=False, err=True)
        click.echo("a debug enclave: its host reads and changes everything in it", err=True)
