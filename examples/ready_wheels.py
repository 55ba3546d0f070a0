"""Wheels for the examples and the demonstration: downloaded once into the environment, then off line.

The committed `requirements.txt` of each program is for the enclave's Python. A simulated enclave runs on the
interpreter of its server; where that is another one, a copy of the program is locked for it.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from platform import machine

from sealroom.client.code_archive import read_requirements
from sealroom.client.home import Home
from sealroom.client.locking import fetch_from_index, lock
from sealroom.client.wheel_store import WheelStore
from sealroom.core.measurement.platform_tags import SGX_PLATFORM, Platform
from sealroom.core.measurement.requirements import parse_requirements
from sealroom.core.wire.byte_fields import sha256

# Beside the packages of this environment, and as lasting.
CACHE = Path(sys.prefix) / "share" / "sealroom-examples"
HERE = Platform(minor=sys.version_info.minor, machine=machine())


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program whose wheels are all in the cache."""

    folder: Path

    def give_wheels_to(self, home: Home) -> None:
        """Put the wheels into somebody's store, as `sealroom lock` would have done there."""
        cached, store = WheelStore(_cache()), WheelStore(home)
        for requirement in store.missing(read_requirements(self.folder)):
            store.add_file(requirement, cached.path(requirement.sha256))


def ready(source: Path, folder: Path) -> Program:
    """Copy the program in `source` to `folder`, pinned for this machine, with its wheels in the cache.

    Needs the network the first time. Raises `PackageIndexError` where that is missing.
    """
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    store = WheelStore(_cache())
    if HERE == SGX_PLATFORM:
        fetch_from_index(read_requirements(folder), store)
    else:
        _pin_for_here(folder, store)
    return Program(folder=folder)


def _pin_for_here(folder: Path, store: WheelStore) -> None:
    """Lock a program for the interpreter that runs here, or as it was locked before."""
    pinned, wanted = folder / "requirements.txt", (folder / "requirements.in").read_bytes()
    kept = CACHE / f"{sha256(wanted).hex()[:16]}-3.{HERE.minor}-{HERE.machine}.txt"
    if kept.exists() and not store.missing(parse_requirements(kept.read_bytes())):
        shutil.copyfile(kept, pinned)
        return
    lock(folder, store, HERE)
    shutil.copyfile(pinned, kept)


def _cache() -> Home:
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    return Home.open(CACHE)
