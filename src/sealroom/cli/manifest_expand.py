"""`sealroom manifest expand`: from the manifest as written to the one that is measured."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from pathlib import Path

import click

from sealroom.adapters.host_tree import HostTree
from sealroom.cli.exit_codes import CommandError, ExitCode
from sealroom.cli.manifest_files import (
    BASE,
    BASE_HELP,
    listed_files,
    print_weight,
    weigh,
    weight_document,
)
from sealroom.cli.measured_inputs import read_manifest
from sealroom.cli.options import INPUT_FILE, OUTPUT_FILE, Invocation, command_options
from sealroom.core.measurement.expansion import expand_manifest, names_library_os
from sealroom.core.measurement.manifest import parse_manifest, write_manifest


@click.command("expand")
@click.argument("manifest", type=INPUT_FILE)
@click.option("-o", "--output", type=OUTPUT_FILE, required=True, help="Write the expanded manifest here.")
@click.option(
    "--libos",
    help="Gramine's libsysdb.so, for a manifest that names no library OS; written as it is given.",
)
@click.option("--base", type=BASE, default=Path(), help=BASE_HELP)
@command_options
def command(invocation: Invocation, manifest: Path, output: Path, libos: str | None, base: Path) -> None:
    """Expand MANIFEST: spell out every default, list and hash every trusted file.

    The file is byte for byte the one that gramine-manifest and gramine-sgx-sign of Gramine 1.9 write, and
    what `sealroom measure` and `sealroom sign` take.
    """
    written = parse_manifest(read_manifest(manifest))
    if libos is None and not names_library_os(written):
        raise CommandError(f"{manifest} names no library OS", code="no_libos", exit_code=ExitCode.MALFORMED)
    with invocation.console.transfers(unit="files") as progress:
        tree = HostTree(base, progress=partial(progress, "hashing trusted files"))
        expanded = expand_manifest(written, tree=tree, libos_uri=None if libos is None else f"file:{libos}")
    raw = write_manifest(expanded)
    output.write_bytes(raw)
    weight = weigh(listed_files(expanded, base), base)
    digest = sha256(raw).hexdigest()

    def render() -> None:
        invocation.console.say(f"written        {output}, sha256 {digest}")
        print_weight(invocation.console, weight)
        invocation.console.next_step(f"sealroom measure --manifest {output} --pal LIBPAL")

    document = {"output": str(output), "sha256": digest, **weight_document(weight)}
    invocation.console.result(document, render)
