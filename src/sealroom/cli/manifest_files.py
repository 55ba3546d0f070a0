"""What the commands about manifests share: reading one, the files it names, and how much they weigh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from sealroom.adapters.host_tree import HostTree
from sealroom.cli.console import Console
from sealroom.core.measurement.expansion import TrustedFile, list_trusted_files
from sealroom.core.measurement.findings import Weight

BASE = click.Path(path_type=Path, exists=True, file_okay=False)
BASE_HELP = "The folder that relative paths in the manifest begin in; default: this one."


def listed_files(manifest: Mapping[str, object], base: Path) -> tuple[TrustedFile, ...]:
    """Return the trusted files of a manifest, as written or as signed; trees are looked through."""
    sgx = manifest.get("sgx")
    items = sgx.get("trusted_files", []) if isinstance(sgx, dict) else []
    return list_trusted_files(items, tree=HostTree(base))


def weigh(files: Sequence[TrustedFile], base: Path) -> Weight:
    """Return how many files there are, and what those weigh that lie on this machine."""
    size = missing = 0
    for file in files:
        try:
            size += (base / file.path).stat().st_size
        except OSError:
            missing += 1
    return Weight(files=len(files), size=size, missing=missing)


def weight_document(weight: Weight) -> dict[str, object]:
    """Return the weight as JSON."""
    return {"trusted_files": weight.files, "bytes": weight.size, "not_on_this_machine": weight.missing}


def print_weight(console: Console, weight: Weight) -> None:
    """Print the number of trusted files, and their megabytes."""
    missing = f", {weight.missing} of them not on this machine" if weight.missing else ""
    console.say(f"trusted files  {weight.files}, {weight.size / 1e6:.1f} MB{missing}")
