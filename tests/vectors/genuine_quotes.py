"""The folder of genuine quotes, where it is at hand: SEALROOM_VECTORS, or beside the repository."""

import functools
import json
import os
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence"
PRESENT = (FOLDER / "INDEX.json").is_file()
ABSENT = f"no genuine quotes: set SEALROOM_VECTORS, {FOLDER} is not there"
ENTRIES = json.loads((FOLDER / "INDEX.json").read_text())["entries"] if PRESENT else []
# What the index says where no status was reached.
WITHOUT_STATUS = {"PCKCertNotInValidity": "quote.chain", "ERR TCBNotSupported": "platform.tcb"}
TRIPLES = [(entry, wanted) for entry in ENTRIES for wanted in entry.get("expected", ())]


@functools.cache
def quote_bytes(entry_file: str) -> bytes:
    return (FOLDER / entry_file).read_bytes()


def collateral_file(bundle: str) -> Path:
    return FOLDER / "collateral" / "bundles" / f"{bundle}.json"


@functools.cache
def collateral_bytes(bundle: str) -> bytes:
    return collateral_file(bundle).read_bytes()


def moment(wanted: dict) -> datetime:
    return datetime.fromisoformat(wanted["at"])


def first(kind: str, *, debug: bool = False) -> tuple[dict, dict]:
    """The first quote of `kind` with collateral that it passes with."""
    return next(
        (entry, wanted)
        for entry, wanted in TRIPLES
        if entry["kind"] == kind and entry["debug"] is debug and wanted["expected"] not in WITHOUT_STATUS
    )
