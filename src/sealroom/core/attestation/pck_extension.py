"""The SGX extension of a PCK certificate: FMSPC, PCE id and the TCB the platform was certified at.

Specification: docs/spec/quotes.md, "SGX extension of a PCK certificate".
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from sealroom.core.attestation import der
from sealroom.core.attestation.der import Element
from sealroom.core.errors import MalformedError

SGX_EXTENSION = der.object_identifier("1.2.840.113741.1.13.1")
_ONE_SEQUENCE = bytes([der.SEQUENCE])
_TCB_COMPONENTS = 16
_MAX_PCESVN = 0xFFFF


class SgxType(enum.Enum):
    """How the platform protects enclave memory."""

    STANDARD = 0
    SCALABLE = 1
    SCALABLE_WITH_INTEGRITY = 2


_SGX_TYPES = {kind.value: kind for kind in SgxType}


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
    ((_, start, stop),) = der.expected(raw, 0, len(raw), _ONE_SEQUENCE, "sgx extension")
    fields = _fields(raw, start, stop, SGX_EXTENSION, "sgx extension")
    components, pce_svn = _tcb(raw, _take(fields, 2, der.SEQUENCE, "tcb"))
    extension = PckExtension(
        ppid=_octets(raw, fields, 1, 16, "ppid"),
        tcb_components=components,
        pce_svn=pce_svn,
        pce_id=_octets(raw, fields, 3, 2, "pce id"),
        fmspc=_octets(raw, fields, 4, 6, "fmspc"),
        sgx_type=_sgx_type(raw, _take(fields, 5, der.ENUMERATED, "sgx type")),
        platform_instance_id=_octets(raw, fields, 6, 16, "platform instance id") if 6 in fields else None,
        configuration=(
            _configuration(raw, _take(fields, 7, der.SEQUENCE, "configuration")) if 7 in fields else None
        ),
    )
    _refuse_rest(fields, "sgx extension")
    return extension


def _fields(data: bytes, start: int, stop: int, prefix: bytes, name: str) -> dict[int, Element]:
    """Read pairs of an identifier below `prefix` and a value: values by the identifiers' last numbers."""
    fields: dict[int, Element] = {}
    for tag, first, last in der.elements(data, start, stop, name):
        pair = der.elements(data, first, last, name)
        if tag != der.SEQUENCE or len(pair) != 2 or pair[0][0] != der.OBJECT_IDENTIFIER:
            raise MalformedError(f"{name}: not pairs of an identifier and a value")
        (_, begin, end), value = pair
        number = data[end - 1]
        if data[begin : end - 1] != prefix or number >= 0x80:
            raise MalformedError(f"{name}: identifier {data[begin:end].hex()} does not belong here")
        if number in fields:
            raise MalformedError(f"{name}: field {number} stands twice")
        fields[number] = value
    return fields


def _take(fields: dict[int, Element], number: int, tag: int, name: str) -> Element:
    element = fields.pop(number, None)
    if element is None:
        raise MalformedError(f"{name}: missing")
    if element[0] != tag:
        raise MalformedError(f"{name}: tag 0x{element[0]:02x} where 0x{tag:02x} is expected")
    return element


def _refuse_rest(fields: dict[int, Element], name: str) -> None:
    if fields:
        raise MalformedError(f"{name}: unknown field {min(fields)}")


def _octets(data: bytes, fields: dict[int, Element], number: int, size: int, name: str) -> bytes:
    _, start, stop = _take(fields, number, der.OCTET_STRING, name)
    if stop - start != size:
        raise MalformedError(f"{name}: {stop - start} bytes, expected {size}")
    return data[start:stop]


def _sgx_type(data: bytes, element: Element) -> SgxType:
    _, start, stop = element
    number = der.read_integer(data[start:stop], "sgx type", max_bytes=1)
    found = _SGX_TYPES.get(number)
    if found is None:
        raise MalformedError(f"sgx type: unknown value {number}")
    return found


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


def _tcb(data: bytes, element: Element) -> tuple[bytes, int]:
    _, start, stop = element
    # Eighty DER elements, the same in every certificate but for their numbers: compared at once, which is ten
    # times as fast. Whatever does not match is read element by element, and refused there if it is wrong.
    usual = _USUAL_TCB.fullmatch(data, start, stop)
    if usual is not None:
        *numbers, cpu_svn = usual.groups()
        last_bytes = bytes([number[-1] for number in numbers])
        if last_bytes[:_TCB_COMPONENTS] == cpu_svn:
            return cpu_svn, last_bytes[_TCB_COMPONENTS]
    return _tcb_pair_by_pair(data, start, stop)


def _tcb_pair_by_pair(data: bytes, start: int, stop: int) -> tuple[bytes, int]:
    fields = _fields(data, start, stop, SGX_EXTENSION + b"\x02", "tcb")
    components = bytes(
        _svn(data, fields, number, 0xFF, "tcb component") for number in range(1, _TCB_COMPONENTS + 1)
    )
    pce_svn = _svn(data, fields, 17, _MAX_PCESVN, "pcesvn")
    # The same sixteen numbers stand in the certificate twice; two truths would let a reader pick one.
    if _octets(data, fields, 18, 16, "cpusvn") != components:
        raise MalformedError("cpusvn: differs from the sixteen components")
    _refuse_rest(fields, "tcb")
    return components, pce_svn


def _svn(data: bytes, fields: dict[int, Element], number: int, limit: int, name: str) -> int:
    _, start, stop = _take(fields, number, der.INTEGER, f"{name} {number}")
    value = der.read_integer(data[start:stop], name, max_bytes=3)
    if value > limit:
        raise MalformedError(f"{name}: {value}, at most {limit}")
    return value


def _configuration(data: bytes, element: Element) -> PlatformConfiguration:
    _, start, stop = element
    fields = _fields(data, start, stop, SGX_EXTENSION + b"\x07", "configuration")
    flags = [_flag(data, fields, number) if number in fields else None for number in (1, 2, 3)]
    _refuse_rest(fields, "configuration")
    return PlatformConfiguration(dynamic_platform=flags[0], cached_keys=flags[1], smt_enabled=flags[2])


def _flag(data: bytes, fields: dict[int, Element], number: int) -> bool:
    _, start, stop = _take(fields, number, der.BOOLEAN, "configuration")
    return der.read_boolean(data[start:stop], "configuration")
