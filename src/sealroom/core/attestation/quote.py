"""What a quote says: header, body, signature section. Versions 3, 4 and 5, SGX and TDX.

Parses and never judges: no signature is checked here, and bytes after the declared end are kept apart.
Specification: docs/spec/quotes.md.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from sealroom.core.attestation.reports import (
    SGX_REPORT_BYTES,
    TD_REPORT_10_BYTES,
    TD_REPORT_15_BYTES,
    SgxReport,
    TdReport,
    parse_sgx_report,
    parse_td_report,
)
from sealroom.core.errors import MalformedError

MAX_QUOTE_BYTES = 65_536
HEADER_BYTES = 48
ECDSA_P256 = 2
SIGNATURE_BYTES = 64
_KEY_BYTES = 64
_QE_REPORT_CERTIFICATION = 6

_HEADER = struct.Struct("<HHIHH16s20s")
_BODY_DESCRIPTOR = struct.Struct("<HI")
_BODY_SIZES = {1: SGX_REPORT_BYTES, 2: TD_REPORT_10_BYTES, 3: TD_REPORT_15_BYTES}


class TeeType(enum.Enum):
    """The kind of hardware a quote is about, as the header numbers it."""

    SGX = 0x00
    TDX = 0x81


class CertificationKind(enum.Enum):
    """How a quote names the PCK certificate of its platform."""

    PPID_PLAIN = 1
    PPID_RSA_2048 = 2
    PPID_RSA_3072 = 3
    PCK_LEAF = 4
    PCK_CHAIN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteHeader:
    """The first 48 bytes of a quote."""

    version: int
    tee: TeeType
    qe_svn: int
    pce_svn: int
    qe_vendor_id: bytes
    user_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificationData:
    """The quote's way to its PCK certificate, as received."""

    kind: CertificationKind
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A quote that parsed; nothing in it is believed. `signed` is what the ISV signature covers."""

    header: QuoteHeader
    body: SgxReport | TdReport
    signed: bytes
    isv_signature: bytes
    attestation_key: bytes
    qe_report: SgxReport
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification: CertificationData
    trailing: bytes


class _Cursor:
    """Takes fields off a bounded run of bytes."""

    __slots__ = ("_data", "_offset", "name")

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._offset = 0
        self.name = name

    def take(self, size: int) -> bytes:
        end = self._offset + size
        if end > len(self._data):
            raise MalformedError(f"{self.name}: truncated, {size} bytes wanted at {self._offset}")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def rest(self) -> bytes:
        return self._data[self._offset :]

    def finish(self) -> None:
        if self._offset != len(self._data):
            raise MalformedError(f"{self.name}: {len(self._data) - self._offset} bytes left over")


def parse_quote(raw: bytes) -> Quote:
    """Read `raw` as a quote. What follows the declared end is kept as `trailing`, for `check_trailing`."""
    if len(raw) > MAX_QUOTE_BYTES:
        raise MalformedError(f"quote: {len(raw)} bytes, at most {MAX_QUOTE_BYTES}")
    cursor = _Cursor(raw, "quote")
    header = _parse_header(cursor.take(HEADER_BYTES))
    prefix, body = _parse_body(cursor, header)
    section = _Cursor(cursor.take(cursor.number(4)), "quote signature section")
    isv_signature = section.take(SIGNATURE_BYTES)
    attestation_key = section.take(_KEY_BYTES)
    if header.version != 3:
        section = _enter_qe_report_certification(section)
    qe_report = parse_sgx_report(section.take(SGX_REPORT_BYTES), name="qe report")
    qe_report_signature = section.take(SIGNATURE_BYTES)
    qe_auth_data = section.take(section.number(2))
    certification = _parse_certification(section)
    section.finish()
    return Quote(
        header=header,
        body=body,
        signed=raw[: HEADER_BYTES + prefix + len(body.raw)],
        isv_signature=isv_signature,
        attestation_key=attestation_key,
        qe_report=qe_report,
        qe_report_signature=qe_report_signature,
        qe_auth_data=qe_auth_data,
        certification=certification,
        trailing=cursor.rest(),
    )


def _parse_header(raw: bytes) -> QuoteHeader:
    version, key_type, tee_number, qe_svn, pce_svn, vendor, user_data = _HEADER.unpack(raw)
    if version not in (3, 4, 5):
        raise MalformedError(f"quote version: {version}, expected 3, 4 or 5")
    if key_type != ECDSA_P256:
        raise MalformedError(f"attestation key type: {key_type}, expected {ECDSA_P256}")
    try:
        tee = TeeType(tee_number)
    except ValueError as exc:
        raise MalformedError(f"tee type: unknown value 0x{tee_number:x}") from exc
    if version == 3 and tee is not TeeType.SGX:
        raise MalformedError("tee type: version 3 is SGX only")
    if version != 3 and (qe_svn or pce_svn):
        raise MalformedError("quote header: reserved bytes are not zero")
    return QuoteHeader(
        version=version, tee=tee, qe_svn=qe_svn, pce_svn=pce_svn, qe_vendor_id=vendor, user_data=user_data
    )


def _parse_body(cursor: _Cursor, header: QuoteHeader) -> tuple[int, SgxReport | TdReport]:
    """Return the size of the body's descriptor (version 5 only) and the body."""
    prefix = 0
    size = SGX_REPORT_BYTES if header.tee is TeeType.SGX else TD_REPORT_10_BYTES
    if header.version == 5:
        prefix = _BODY_DESCRIPTOR.size
        body_type, size = _BODY_DESCRIPTOR.unpack(cursor.take(prefix))
        if _BODY_SIZES.get(body_type) != size:
            raise MalformedError(f"quote body: type {body_type} of {size} bytes")
        if (body_type == 1) is not (header.tee is TeeType.SGX):
            raise MalformedError(f"quote body: type {body_type} does not belong to {header.tee.name}")
    raw = cursor.take(size)
    if header.tee is TeeType.SGX:
        return prefix, parse_sgx_report(raw, name="isv report")
    return prefix, parse_td_report(raw, name="td report")


def _enter_qe_report_certification(section: _Cursor) -> _Cursor:
    kind = section.number(2)
    if kind != _QE_REPORT_CERTIFICATION:
        raise MalformedError(f"outer certification data: type {kind}, expected {_QE_REPORT_CERTIFICATION}")
    inner = _Cursor(section.take(section.number(4)), "qe report certification data")
    section.finish()
    return inner


def _parse_certification(section: _Cursor) -> CertificationData:
    number = section.number(2)
    try:
        kind = CertificationKind(number)
    except ValueError as exc:
        raise MalformedError(f"certification data: unknown type {number}") from exc
    return CertificationData(kind=kind, raw=section.take(section.number(4)))
