"""Collateral kept on disk: one file for each service and kind of platform.

A convenience, never a source of trust: whoever can write here can do no more than a service could, for what
is read is verified like an answer. Must never fail a fetch: a file that cannot be used is as good as none.

Spec: docs/spec/provisioning.md, "Cache".
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sealroom.adapters.provisioning import Platform
from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.bundle import MAX_COLLATERAL_BYTES, RawCollateral

_MEMBERS = ("format", "fetched_at", "collateral")
_FORMAT = 1
_MAX_BYTES = MAX_COLLATERAL_BYTES + 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Collateral from the cache, and when it was fetched."""

    collateral: RawCollateral
    fetched_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralCache:
    """The folder of the cache, made when something is stored."""

    folder: Path

    def load(self, source: str, platform: Platform) -> Kept | None:
        """Return what is kept for `platform` as `source` served it, or `None`."""
        try:
            with self._file(source, platform).open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
            return _read(raw)
        except (OSError, MalformedError):
            return None

    def store(self, source: str, platform: Platform, collateral: RawCollateral, now: datetime) -> None:
        """Keep `collateral`, in place of what was kept before."""
        document = strict_json.encode_json(
            {
                "format": _FORMAT,
                "fetched_at": int(now.timestamp()),
                "collateral": collateral.to_value(),
            }
        )
        file = self._file(source, platform)
        temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
        with suppress(OSError):
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                temporary.write_bytes(document)
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)

    def _file(self, source: str, platform: Platform) -> Path:
        key = f"{source}\n{platform.tee.name}\n{platform.fmspc.hex()}\n{platform.ca.name}"
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _read(raw: bytes) -> Kept:
    value = strict_json.decode_json(raw, field="cache", max_bytes=_MAX_BYTES)
    form, fetched_at, collateral = strict_json.members(value, _MEMBERS, field="cache")
    if form != _FORMAT:
        raise MalformedError("cache: another format")
    seconds = strict_json.integer(fetched_at, field="fetched_at", maximum=1 << 34)
    return Kept(
        collateral=RawCollateral.from_value(collateral), fetched_at=datetime.fromtimestamp(seconds, tz=UTC)
    )
