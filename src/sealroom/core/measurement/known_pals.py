"""The PALs that this release knows: the first code that runs in an enclave, by digest.

An unknown PAL is refused however well everything else fits, because it reads the manifest before anything
checks it. The list is a file of the release, never something a server sends.

Spec: docs/spec/manifest.md, "Known PALs".
"""

import re
import tomllib
from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire.terms import Tee

MAX_KNOWN_PALS_BYTES = 64 * 1024
# Where a launch folder has Gramine's library OS, so that no path of a host is measured.
LIBOS_PATH = "gramine/libsysdb.so"
LIBOS_URI = f"file:{LIBOS_PATH}"

_FORMAT = 1
_KEYS = {"name", "source", "tee", "sha256", "libos_uri", "libos_sha256"}
_MAX_SOURCE = 500
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPal:
    """One PAL, and the library OS that its manifest starts. `source` says where it is from and who looked."""

    name: str
    source: str
    tee: Tee
    sha256: bytes
    libos_uri: str
    libos_sha256: bytes


def parse_known_pals(raw: bytes) -> tuple[KnownPal, ...]:
    """Parse the list of known PALs; raises `MalformedError` for any other key, form or a PAL named twice."""
    if len(raw) > MAX_KNOWN_PALS_BYTES:
        raise MalformedError(
            f"known pals size: got {len(raw)}, expected at most {MAX_KNOWN_PALS_BYTES} bytes"
        )
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise MalformedError("known pals: not valid TOML in UTF-8") from exc
    rows = document.get("pal")
    if set(document) != {"format", "pal"} or document["format"] != _FORMAT or not isinstance(rows, list):
        raise MalformedError(f"known pals: expected `format = {_FORMAT}` and [[pal]] tables")
    pals = tuple(_known_pal(row) for row in rows)
    if len({pal.sha256 for pal in pals}) != len(pals):
        raise MalformedError("known pals: one digest is named twice")
    return pals


def _known_pal(row: object) -> KnownPal:
    if not isinstance(row, dict) or set(row) != _KEYS or not all(isinstance(v, str) for v in row.values()):
        raise MalformedError(f"known pals: each [[pal]] has exactly {', '.join(sorted(_KEYS))}, all strings")
    if not 0 < len(row["source"]) <= _MAX_SOURCE:
        raise MalformedError(f"known pals: {row['name']}: source: say where it is from")
    if not row["libos_uri"].startswith("file:"):
        raise MalformedError("known pals: libos_uri must start with file:")
    try:
        tee = Tee(row["tee"])
    except ValueError as exc:
        raise MalformedError(f"known pals: unknown tee {row['tee']!r}") from exc
    if tee is Tee.SGX and row["libos_uri"] != LIBOS_URI:
        raise MalformedError(f"known pals: {row['name']}: libos_uri of a PAL for SGX is {LIBOS_URI}")
    return KnownPal(
        name=row["name"],
        source=row["source"],
        tee=tee,
        sha256=_digest(row["sha256"]),
        libos_uri=row["libos_uri"],
        libos_sha256=_digest(row["libos_sha256"]),
    )


def _digest(text: str) -> bytes:
    if not _DIGEST.fullmatch(text):
        raise MalformedError("known pals: a digest is 64 lower-case hex digits")
    return bytes.fromhex(text)
