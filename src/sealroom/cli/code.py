"""`sealroom code`: try the program, send it, or read what everybody may read of it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from sealroom.cli.code_test import test_command
from sealroom.cli.groups import Group
from sealroom.cli.options import INPUT_FOLDER, Invocation, UuidType, command_options
from sealroom.cli.sessions import open_client
from sealroom.client.member import Member, ReviewedCode
from sealroom.client.roles import CodeProvider
from sealroom.core.wire.code_list import CLEAR_PATHS, CodeList
from sealroom.core.wire.foreign_text import visible_lines


@click.group("code", cls=Group)
def command() -> None:
    """Try the program at home, send it, or show what everybody may read of it."""


command.add_command(test_command)


@command.command("send")
@click.argument("computation", type=UuidType())
@click.argument("folder", type=INPUT_FOLDER)
@command_options
def send(invocation: Invocation, computation: UUID, folder: Path) -> None:
    """Encrypt, sign and send the program in FOLDER (Code Provider).

    run.py and requirements.txt stay readable for everybody; each other file is encrypted under its own path.
    Hidden files, __pycache__ and requirements.in stay at home. The wheels that requirements.txt names go
    first, from your home folder or, where they are missing there, from the package index. New code while an
    enclave waits ends that enclave.
    """
    with open_client(invocation, computation) as client, invocation.console.transfers() as progress:
        files = CodeProvider(client, computation).send(folder, progress=progress)

    def render() -> None:
        _print_files(invocation, files)
        invocation.console.next_step(f"sealroom status {computation}")

    invocation.console.result(_document(files), render)


@command.command("show")
@click.argument("computation", type=UuidType())
@command_options
def show(invocation: Invocation, computation: UUID) -> None:
    """Show the readable code: the list that its provider signed, run.py and requirements.txt.

    It is noted that you looked at it: from then on an enclave with another program fails your verdict.
    """
    with open_client(invocation, computation) as client, invocation.console.transfers() as progress:
        member = Member(client, computation)
        reviewed = member.code(progress=progress)
        member.note_reviewed(reviewed)
    code = reviewed.code
    clear = {
        path: text
        for path, text in (("run.py", code.entry_point), ("requirements.txt", code.requirements))
        if text
    }
    document = _document(code.files) | {
        "signed_by": reviewed.signer_email,
        "signer": reviewed.signer.hex(),
        "signer_pinned": reviewed.signer_pinned,
        "clear": {path: text.decode("utf-8", "replace") for path, text in clear.items()},
    }

    def render() -> None:
        _print_review(invocation, reviewed, clear)
        invocation.console.next_step(f"sealroom evidence verify {computation} --policy POLICY")

    invocation.console.result(document, render)


def _print_review(invocation: Invocation, reviewed: ReviewedCode, clear: dict[str, bytes]) -> None:
    _print_files(invocation, reviewed.code.files)
    how = "pinned" if reviewed.signer_pinned else "not pinned"
    signer = invocation.console.foreign(reviewed.signer_email)
    click.echo(f"signed by {signer}, key {reviewed.signer.hex()} ({how})")
    for path, text in clear.items():
        click.secho(f"\n{path}", bold=True)
        for number, line in enumerate(visible_lines(text.decode("utf-8", "replace")), 1):
            click.echo(f"{number:4}  {line}")


def _print_files(invocation: Invocation, files: CodeList) -> None:
    rows = [
        (
            file.path,
            "readable" if file.path in CLEAR_PATHS else "encrypted",
            str(file.size),
            file.sha256.hex(),
        )
        for file in files.files
    ]
    invocation.console.table(("path", "", "bytes", "SHA-256"), rows)


def _document(files: CodeList) -> dict[str, object]:
    return {
        "digest": files.digest.hex(),
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256.hex()} for f in files.files],
    }
