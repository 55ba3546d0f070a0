"""`sealroom manifest diff`: why two measurements differ, down to the file."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import click

from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.measured_inputs import read_manifest, read_pal
from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.core.measurement.differences import Difference, manifest_differences
from sealroom.core.measurement.mrenclave import measure

MAX_SHOWN = 40
_SHORT = 16


@click.command("diff")
@click.argument("first", type=INPUT_FILE)
@click.argument("second", type=INPUT_FILE)
@click.option("--pal", type=INPUT_FILE, help="The PAL of the first: both measurements are shown as well.")
@click.option("--second-pal", type=INPUT_FILE, help="The PAL of the second, where it is another one.")
@command_options
def command(
    invocation: Invocation, first: Path, second: Path, pal: Path | None, second_pal: Path | None
) -> int:
    """Say why FIRST and SECOND, two signed manifests, are measured differently.

    Each changed, missing, added or moved file and setting is named. Exits 0 where the measurements are the
    same, 1 where they differ.
    """
    if second_pal is not None and pal is None:
        raise click.UsageError("--second-pal needs --pal")
    contents = read_manifest(first), read_manifest(second)
    pals = [read_pal(path) for path in (pal, second_pal or pal) if path]
    differences = manifest_differences(*contents)
    document: dict[str, object] = {
        "same": not differences and len(set(pals)) < 2,
        "differences": [_row(difference) for difference in differences],
    }
    if pals:
        document["pals"] = [sha256(raw).hexdigest() for raw in pals]
        document["mrenclaves"] = [measure(m, p).mrenclave.hex() for m, p in zip(contents, pals, strict=True)]
    invocation.console.result(document, lambda: _print(invocation, document, differences))
    return ExitCode.DONE if document["same"] else ExitCode.REFUSED


def _row(difference: Difference) -> dict[str, object]:
    return {
        "change": difference.change.value,
        "kind": "file" if difference.is_file else "setting",
        "name": difference.name,
        "first": difference.first,
        "second": difference.second,
    }


def _print(invocation: Invocation, document: dict[str, object], differences: tuple[Difference, ...]) -> None:
    console = invocation.console
    for title, key in (("MRENCLAVE", "mrenclaves"), ("PAL sha256", "pals")):
        values = document.get(key)
        if isinstance(values, list):
            same = "the same" if values[0] == values[1] else values[1]
            console.say(f"{title}  {values[0]}\n{'':{len(title)}}  {same}")
    rows = [
        (d.change.value, "file" if d.is_file else "setting", d.name, _short(d.first), _short(d.second))
        for d in differences[:MAX_SHOWN]
    ]
    columns = ("change", "of", "name", "first", "second")
    console.table(columns, rows, empty="the manifests are the same, byte for byte")
    if len(differences) > MAX_SHOWN:
        console.say(f"and {len(differences) - MAX_SHOWN} more: --json lists them all")


def _short(value: str | None) -> str:
    """Show enough of a digest to compare it by eye."""
    if value is None:
        return ""
    is_digest = len(value) == 64 and set(value) <= set("0123456789abcdef")
    return f"{value[:_SHORT]}…" if is_digest else value
