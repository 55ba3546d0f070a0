"""`sealroom manifest explain`: which files were refused, and the lines that the manifest lacks."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.adapters.host_tree import HostTree
from sealroom.cli.console import read_file
from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.manifest_files import BASE, BASE_HELP
from sealroom.cli.measured_inputs import read_manifest
from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.cli.refused import Explained, explain_refusals, print_refusals, refusal_rows
from sealroom.core.measurement.expansion import EntryKind
from sealroom.core.measurement.manifest import parse_manifest

MAX_LOG_BYTES = 16 << 20


@click.command("explain")
@click.argument("log", type=INPUT_FILE)
@click.option("--manifest", type=INPUT_FILE, required=True, help="The manifest of that run.")
@click.option("--base", type=BASE, default=Path(), help=BASE_HELP)
@command_options
def command(invocation: Invocation, log: Path, manifest: Path, base: Path) -> int:
    """Explain the refused files in LOG: Gramine's log and what the program printed.

    For each file: its path inside, the module that needed it, and the line to add. Exits 1 for any.
    Gramine names refused files from loader.log_level = "warning" on.
    """
    document = parse_manifest(read_manifest(manifest))
    tree = HostTree(base)
    text = read_file(log, max_bytes=MAX_LOG_BYTES).decode(errors="replace")
    found = explain_refusals(text, document, is_file=lambda path: tree.kind(path) is EntryKind.FILE)
    invocation.console.result({"refused": refusal_rows(found)}, lambda: _print(invocation, found))
    return ExitCode.REFUSED if found else ExitCode.DONE


def _print(invocation: Invocation, found: tuple[Explained, ...]) -> None:
    if not found:
        invocation.console.say("no file was refused")
    print_refusals(invocation.console, found)
