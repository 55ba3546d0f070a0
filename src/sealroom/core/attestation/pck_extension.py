"""The SGX extension of a PCK certificate: FMSPC, PCE id and the TCB the platform was certified at.

Specification: docs/spec/quotes.md, "SGX extension of a PCK certificate".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sealroom.core.attestation import der
from sealroom.core.attestation.der import DerReader
from sealroom.core.errors import MalformedError

SGX_EXTENSION = der.object_identifier("1.2.840.113741.1.13.1")
_TCB_COMPONENTS = 16
_MAX_PCESVN = 0xFFFF


class SgxType(enum.Enum):
    """How the platform protects enclave memory."""

    STANDARD = 0
    SCALABLE = 1
    SCALABLE_WITH_INTEGRITY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformConfiguration:
    """What a multi-package platform says of its set-up; each may be absent."""

    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PckExtension:
    """The platform as Intel certified it. `tcb_components` and `pce_svn` decide the TCB level."""

    ppid: bytes
    tcb_components: bytes
    pce_svn: int
    pce_id: bytes
    fmspc: bytes
    sgx_type: SgxType
    platform_instance_id: bytes | None
    configuration: PlatformConfiguration | None


def parse_pck_extension(raw: bytes) -> PckExtension:
    """Read `raw`, the value of the SGX extension, or raise `MalformedError`."""
    outer = DerReader(raw)
    fields = _fields(outer.inside(der.SEQUENCE, "sgx extension"), SGX_EXTENSION, "sgx extension")
    outer.finish("sgx extension")
    ppid = _octets(fields, 1, 16, "ppid")
    components, pce_svn = _tcb(_take(fields, 2, "tcb"))
    pce_id = _octets(fields, 3, 2, "pce id")
    fmspc = _octets(fields, 4, 6, "fmspc")
    sgx_type = _sgx_type(_take(fields, 5, "sgx type"))
    platform_instance_id = _octets(fields, 6, 16, "platform instance id") if 6 in fields else None
    configuration = _configuration(fields.pop(7)) if 7 in fields else None
    _refuse_rest(fields, "sgx extension")
    return PckExtension(
        ppid=ppid,
        tcb_components=components,
        pce_svn=pce_svn,
        pce_id=pce_id,
        fmspc=fmspc,
        sgx_type=sgx_type,
        platform_instance_id=platform_instance_id,
        configuration=configuration,
    )


def _pairs(reader: DerReader, prefix: bytes, name: str) -> Iterator[tuple[int, DerReader]]:
    while not reader.empty:
        pair = reader.inside(der.SEQUENCE, name)
        identifier = pair.content(der.OBJECT_IDENTIFIER, name)
        if len(identifier) != len(prefix) + 1 or not identifier.startswith(prefix) or identifier[-1] >= 0x80:
            raise MalformedError(f"{name}: identifier {identifier.hex()} does not belong here")
        yield identifier[-1], pair


def _fields(reader: DerReader, prefix: bytes, name: str) -> dict[int, DerReader]:
    fields: dict[int, DerReader] = {}
    for number, pair in _pairs(reader, prefix, name):
        if number in fields:
            raise MalformedError(f"{name}: field {number} stands twice")
        fields[number] = pair
    return fields


def _take(fields: dict[int, DerReader], number: int, name: str) -> DerReader:
    try:
        return fields.pop(number)
    except KeyError as exc:
        raise MalformedError(f"{name}: missing") from exc


def _refuse_rest(fields: dict[int, DerReader], name: str) -> None:
    if fields:
        raise MalformedError(f"{name}: unknown field {min(fields)}")


def _octets(fields: dict[int, DerReader], number: int, size: int, name: str) -> bytes:
    reader = _take(fields, number, name)
    content = reader.content(der.OCTET_STRING, name)
    reader.finish(name)
    if len(content) != size:
        raise MalformedError(f"{name}: {len(content)} bytes, expected {size}")
    return content


def _sgx_type(reader: DerReader) -> SgxType:
    number = reader.integer("sgx type", tag=der.ENUMERATED, max_bytes=1)
    reader.finish("sgx type")
    try:
        return SgxType(number)
    except ValueError as exc:
        raise MalformedError(f"sgx type: unknown value {number}") from exc


def _usual_tcb() -> re.Pattern[bytes]:
    """Return the DER of the eighteen pairs in order as a pattern; each group is one pair, numbers minimal."""
    pair, smaller, larger = rb"\x30%b\x06\x0b%b\x02%b", rb"\x01[\x00-\x7f]", rb"\x02\x00[\x80-\xff]"
    pairs = []
    for number in range(1, _TCB_COMPONENTS + 1):
        name = re.escape(SGX_EXTENSION + bytes([2, number]))
        pairs.append(b"(%b|%b)" % (pair % (b"\x10", name, smaller), pair % (b"\x11", name, larger)))
    pce = re.escape(SGX_EXTENSION + bytes([2, 17]))
    pairs.append(b"(%b)" % (pair % (b"\x10", pce, smaller)))
    pairs.append(rb"\x30\x1f\x06\x0b%b\x04\x10(.{16})" % re.escape(SGX_EXTENSION + bytes([2, 18])))
    return re.compile(b"".join(pairs), re.DOTALL)


_USUAL_TCB = _usual_tcb()


def _tcb(reader: DerReader) -> tuple[bytes, int]:
    pairs = reader.inside(der.SEQUENCE, "tcb")
    reader.finish("tcb")
    # Eighty DER elements, the same in every certificate but for their numbers: compared at once, which is ten
    # times as fast. Whatever does not match is read element by element, and refused there if it is wrong.
    usual = pairs.match(_USUAL_TCB)
    if usual is not None:
        *numbers, cpu_svn = usual.groups()
        last_bytes = bytes(number[-1] for number in numbers)
        if last_bytes[:_TCB_COMPONENTS] == cpu_svn:
            return cpu_svn, last_bytes[_TCB_COMPONENTS]
    return _tcb_pair_by_pair(pairs)


def _tcb_pair_by_pair(pairs: DerReader) -> tuple[bytes, int]:
    fields = _fields(pairs, SGX_EXTENSION + b"\x02", "tcb")
    components = bytes(
        _svn(fields, number, 0xFF, "tcb component") for number in range(1, _TCB_COMPONENTS + 1)
    )
    pce_svn = _svn(fields, 17, _MAX_PCESVN, "pcesvn")
    # The same sixteen numbers stand in the certificate twice; two truths would let a reader pick one.
    if _octets(fields, 18, 16, "cpusvn") != components:
        raise MalformedError("cpusvn: differs from the sixteen components")
    _refuse_rest(fields, "tcb")
    return components, pce_svn


def _svn(fields: dict[int, DerReader], number: int, limit: int, name: str) -> int:
    reader = _take(fields, number, f"{name} {number}")
    value = reader.integer(name, max_bytes=3)
    reader.finish(name)
    if value > limit:
        raise MalformedError(f"{name}: {value}, at most {limit}")
    return value


def _configuration(reader: DerReader) -> PlatformConfiguration:
    fields = _fields(reader.inside(der.SEQUENCE, "configuration"), SGX_EXTENSION + b"\x07", "configuration")
    reader.finish("configuration")
    flags = [_flag(fields.pop(number)) if number in fields else None for number in (1, 2, 3)]
    _refuse_rest(fields, "configuration")
    return PlatformConfiguration(dynamic_platform=flags[0], cached_keys=flags[1], smt_enabled=flags[2])


def _flag(reader: DerReader) -> bool:
    value = reader.boolean("configuration")
    reader.finish("configuration")
    return value
