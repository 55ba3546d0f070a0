"""Certificate revocation lists: which serial numbers a CA has withdrawn.

Of an entry only the serial number is read. A list is believed after `verify_crl`, never before.
Specification: docs/spec/collateral.md, "Revocation lists".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation import der
from sealroom.core.attestation.certificates import Certificate, read_algorithm
from sealroom.core.attestation.der import DerReader
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.signatures import verify_der_signature
from sealroom.core.errors import CollateralError, MalformedError, VerificationError

MAX_CRL_BYTES = 131_072
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
    outer = DerReader(raw)
    crl = outer.inside(der.SEQUENCE, name)
    outer.finish(name)
    tbs = crl.whole(der.SEQUENCE, name)
    read_algorithm(crl)
    signature = crl.bits(name)
    crl.finish(name)

    body = DerReader(tbs).inside(der.SEQUENCE, name)
    if body.integer(f"{name} version") != 1:
        raise MalformedError(f"{name}: not version 2")
    read_algorithm(body)
    issuer = body.whole(der.SEQUENCE, f"{name} issuer")
    this_update, next_update = body.time(f"{name} this update"), body.time(f"{name} next update")
    revoked = (
        _serials(body.content(der.SEQUENCE, f"{name} entries"), name)
        if body.peek_tag() == der.SEQUENCE
        else frozenset[int]()
    )
    number = _crl_number(body.inside(0xA0, f"{name} extensions"), name)
    body.finish(name)
    return Crl(
        tbs=tbs,
        signature=signature,
        issuer=issuer,
        this_update=this_update,
        next_update=next_update,
        number=number,
        revoked=revoked,
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


def _crl_number(wrapper: DerReader, name: str) -> int:
    reader = wrapper.inside(der.SEQUENCE, f"{name} extensions")
    wrapper.finish(f"{name} extensions")
    found: dict[bytes, bytes] = {}
    while not reader.empty:
        extension = reader.inside(der.SEQUENCE, f"{name} extension")
        identifier = extension.content(der.OBJECT_IDENTIFIER, f"{name} extension")
        value = extension.content(der.OCTET_STRING, f"{name} extension, not critical")
        extension.finish(f"{name} extension")
        if identifier in found:
            raise MalformedError(f"{name}: extension {identifier.hex()} stands twice")
        found[identifier] = value
    if _CRL_NUMBER not in found or _AUTHORITY_KEY not in found:
        raise MalformedError(f"{name}: CRL number or authority key identifier missing")
    number = DerReader(found[_CRL_NUMBER])
    value_read = number.integer(f"{name} number")
    number.finish(f"{name} number")
    return value_read
