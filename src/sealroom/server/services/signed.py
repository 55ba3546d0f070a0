"""What an enclave signed, read from its spool: believed only under the keys that its evidence named.

A file that is not that is as good as none: the enclave is followed until it is gone, and then counts as lost.
"""

import logging
from dataclasses import dataclass
from typing import Generic, TypeVar

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.dsse_verification import parse_envelope, verify_envelope
from sealroom.core.wire.receipt import Closing, Opening, Refusal
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal
from sealroom.core.wire.spool import CLOSING, MAX_BYTES, OPENING, PUBLIC, PUBLIC_BYTES, REFUSAL, PublicKeys
from sealroom.server.launchers.spool_files import Spool
from sealroom.server.schema import Launch

_log = logging.getLogger("sealroom.server")
_Statement = TypeVar("_Statement", Opening, Closing, Refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[_Statement]):
    """A verified statement, and the envelope's bytes as received."""

    raw: bytes
    statement: _Statement


def read_opening(spool: Spool, launch: Launch) -> Signed[Opening] | None:
    """Return the opening of a launch whose evidence is published."""
    found = _read(spool, OPENING, launch.identity_pk)
    if found is None:
        return None
    raw, payload = found
    try:
        opening = parse_opening(payload)
        _check_agreement(opening.agreement, launch)
    except (MalformedError, VerificationError) as exc:
        _ignore(OPENING, exc)
        return None
    return Signed(raw=raw, statement=opening)


def read_closing(spool: Spool, opening_envelope: bytes) -> Signed[Closing] | None:
    """Return the closing that belongs to a stored opening."""
    payload = parse_envelope(opening_envelope).payload
    opening = parse_opening(payload)
    found = _read(spool, CLOSING, opening.run_key)
    if found is None:
        return None
    raw, closing_payload = found
    try:
        closing = parse_closing(closing_payload)
        if closing.opening_sha256 != sha256(payload) or closing.agreement != opening.agreement:
            raise VerificationError("closing: not of this opening")
    except (MalformedError, VerificationError) as exc:
        _ignore(CLOSING, exc)
        return None
    return Signed(raw=raw, statement=closing)


def read_refusal(spool: Spool, launch: Launch) -> Signed[Refusal] | None:
    """Return the refusal of a launch, also of one that ended before its evidence was published."""
    found = _read(spool, REFUSAL, launch.identity_pk or _identity_shown(spool))
    if found is None:
        return None
    raw, payload = found
    try:
        refusal = parse_refusal(payload)
        _check_agreement(refusal.agreement, launch)
    except (MalformedError, VerificationError) as exc:
        _ignore(REFUSAL, exc)
        return None
    return Signed(raw=raw, statement=refusal)


def _read(spool: Spool, name: str, key: bytes | None) -> tuple[bytes, bytes] | None:
    if key is None:
        return None
    try:
        raw = spool.read(name, max_bytes=MAX_BYTES[name])
        return None if raw is None else (raw, verify_envelope(parse_envelope(raw), public_key=key))
    except (MalformedError, VerificationError) as exc:
        _ignore(name, exc)
        return None


def _identity_shown(spool: Spool) -> bytes | None:
    try:
        public = spool.read(PUBLIC, max_bytes=PUBLIC_BYTES)
        return None if public is None else PublicKeys.from_bytes(public).identity_pk
    except MalformedError:
        return None


def _check_agreement(agreement: bytes, launch: Launch) -> None:
    if agreement != launch.agreement:
        raise VerificationError("agreement: of another launch")


def _ignore(name: str, why: Exception) -> None:
    _log.warning("spool: %s is not believed: %s", name, why)
