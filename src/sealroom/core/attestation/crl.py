"""Certificate revocation lists: which serial numbers a CA has withdrawn.

Of an entry only the serial number is read. A list is believed after `verify_crl`, never before.
Specification: docs/spec/collateral.md, "Revocation lists".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation import der
from sealroom.core.attestation.certificates import (
    Certificate,
    check_algorithm,
    read_extensions,
    split_signed,
)
from sealroom.core.attestation.der import Element
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.signatures import verify_der_signature
from sealroom.core.errors import CollateralError, MalformedError, VerificationError

MAX_CRL_BYTES = 131_072
_ONE_SEQUENCE = bytes([der.SEQUENCE])
_ONE_INTEGER = bytes([der.INTEGER])
# Version, algorithm, issuer; extensions, entries. The two times between them have either form.
_TBS_LIST = bytes.fromhex("02 30 30 a0 30")
_CRL_NUMBER = der.object_identifier("2.5.29.20")
_AUTHORITY_KEY = der.object_identifier("2.5.29.35")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """One revocation list as it reads."""

    tbs: bytes
    signature: bytes
    issuer: bytes
    this_update: datetime
    next_update: datetime
    number: int
    revoked: frozenset[int]


def parse_crl(raw: bytes, *, name: str) -> Crl:
    """Read `raw` as a DER revocation list of version 2, or raise `MalformedError`."""
    if len(raw) > MAX_CRL_BYTES:
        raise MalformedError(f"{name}: {len(raw)} bytes, at most {MAX_CRL_BYTES}")
    tbs, signature = split_signed(raw, name)
    ((_, start, stop),) = der.expected(tbs, 0, len(tbs), _ONE_SEQUENCE, name)
    parts = der.elements(tbs, start, stop, name)
    # An empty list has no entries at all: RFC 5280, 5.1.2.6.
    entries = parts.pop(5) if len(parts) == 7 else (der.SEQUENCE, 0, 0)
    tags = bytes(tag for tag, _, _ in (*parts, entries))
    if len(parts) != 6 or tags[:3] + tags[5:] != _TBS_LIST:
        raise MalformedError(f"{name}: not the parts of a revocation list")
    version, algorithm, issuer, issued, following, extensions = parts
    if tbs[version[1] : version[2]] != b"\x01":
        raise MalformedError(f"{name}: not version 2")
    check_algorithm(tbs[algorithm[1] : algorithm[2]])
    return Crl(
        tbs=tbs,
        signature=signature,
        issuer=tbs[algorithm[2] : issuer[2]],
        this_update=_time(tbs, issued, f"{name} this update"),
        next_update=_time(tbs, following, f"{name} next update"),
        number=_crl_number(tbs[extensions[1] : extensions[2]], name),
        revoked=_serials(tbs[entries[1] : entries[2]], name),
    )


def verify_crl(crl: Crl, *, signer: Certificate, now: datetime, name: str, memo: Memo | None = None) -> Crl:
    """Verify that `signer` issued `crl` and that it is the list of `now`; return it.

    1. Issuer name. 2. The signer may sign lists. 3. Signature over the bytes received. 4. Dates, else
    `CollateralError`.
    """
    if crl.issuer != signer.subject:
        raise VerificationError(f"{name}: issuer is not {signer.common_name!r}")
    if not signer.rights.signs_crls:
        raise VerificationError(f"{name}: {signer.common_name!r} may not sign revocation lists")
    verify_der_signature(signer.public_key, message=crl.tbs, signature=crl.signature, name=name, memo=memo)
    check_fresh(crl.this_update, crl.next_update, now=now, name=name)
    return crl


def check_fresh(issued: datetime, next_update: datetime, *, now: datetime, name: str) -> None:
    """Raise `CollateralError` for a document that is not of `now`."""
    if not issued <= now <= next_update:
        raise CollateralError(
            f"{name}: issued {issued:%Y-%m-%d %H:%M}, good until {next_update:%Y-%m-%d %H:%M}, "
            f"not at {now:%Y-%m-%d %H:%M}"
        )


def _serials(entries: bytes, name: str) -> frozenset[int]:
    # A list may have a thousand entries and each verification reads one: a tight loop, no readers.
    # SEQUENCE { INTEGER serial, time, extensions }, each shorter than 128 bytes.
    serials: list[int] = []
    offset, end = 0, len(entries)
    while offset < end:
        if offset + 4 > end or entries[offset] != der.SEQUENCE or entries[offset + 2] != der.INTEGER:
            raise MalformedError(f"{name}: entry is not a serial number with its date")
        stop = offset + 2 + entries[offset + 1]
        serial_end = offset + 4 + entries[offset + 3]
        if entries[offset + 1] >= 0x80 or not offset + 4 < serial_end <= stop <= end:
            raise MalformedError(f"{name}: entry overruns its list")
        serials.append(int.from_bytes(entries[offset + 4 : serial_end], "big"))
        offset = stop
    return frozenset(serials)


def _time(data: bytes, element: Element, name: str) -> datetime:
    tag, start, stop = element
    return der.read_time(tag, data[start:stop], name)


def _crl_number(content: bytes, name: str) -> int:
    found = read_extensions(content, may_be_critical=frozenset())
    value = found.get(_CRL_NUMBER)
    if value is None or _AUTHORITY_KEY not in found:
        raise MalformedError(f"{name}: CRL number or authority key identifier missing")
    ((_, start, stop),) = der.expected(value, 0, len(value), _ONE_INTEGER, f"{name} number")
    return der.read_integer(value[start:stop], f"{name} number")
