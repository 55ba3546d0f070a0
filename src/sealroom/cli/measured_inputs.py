"""Reading the two files that decide a measurement."""

from __future__ import annotations

from pathlib import Path

from sealroom.cli.console import read_file
from sealroom.core.measurement.elf import MAX_ELF_BYTES
from sealroom.core.measurement.manifest import MAX_MANIFEST_BYTES


def read_manifest(path: Path) -> bytes:
    """Read a manifest, bounded."""
    return read_file(path, max_bytes=MAX_MANIFEST_BYTES)


def read_pal(path: Path) -> bytes:
    """Read a PAL, bounded."""
    return read_file(path, max_bytes=MAX_ELF_BYTES)
