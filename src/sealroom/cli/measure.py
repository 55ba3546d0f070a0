"""`sealroom measure`: MRENCLAVE from a manifest and a PAL, without Gramine, Docker or SGX."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from sealroom.cli.measured_inputs import read_manifest, read_pal
from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.core.measurement.mrenclave import Measurement, measure


@click.command("measure")
@click.option("--manifest", type=INPUT_FILE, required=True, help="The manifest as signed: NAME.manifest.sgx.")
@click.option("--pal", type=INPUT_FILE, required=True, help="Gramine's SGX libpal.so of the same release.")
@command_options
def command(invocation: Invocation, manifest: Path, pal: Path) -> None:
    """Compute MRENCLAVE as `gramine-sgx-sign` of Gramine 1.5 to 1.9 does.

    It is a function of exactly these two files. --json adds the memory regions.
    """
    raw, library = read_manifest(manifest), read_pal(pal)
    with invocation.console.transfers() as progress:
        measurement = measure(raw, library, progress=partial(progress, "measuring"))
    invocation.console.result(_document(measurement), lambda: click.echo(measurement.mrenclave.hex()))


def _document(measurement: Measurement) -> dict[str, object]:
    return {
        "mrenclave": measurement.mrenclave.hex(),
        "regions": [
            {
                "name": region.name,
                "address": f"{region.address:#x}",
                "size": region.size,
                "flags": f"{region.flags:#x}",
                "measured": region.measured,
            }
            for region in measurement.regions
        ],
    }
