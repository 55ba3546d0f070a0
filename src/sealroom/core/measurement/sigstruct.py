"""SIGSTRUCT, the signature that the processor wants before it starts an enclave: its form, field by field.

Says what the bytes mean and makes them. Never decides whether a signature holds: see `signing`.

Spec: docs/spec/sigstruct.md.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from sealroom.core.errors import MalformedError

SIGSTRUCT_SIZE = 1808
MODULUS_SIZE = 384
MODULUS_BITS = MODULUS_SIZE * 8
EXPONENT = 3

FLAG_DEBUG = 0x2
FLAG_MODE64BIT = 0x4
MISC_EXINFO = 0x1

# SDM vol. 3D, table 35-21 "Layout of Enclave Signature Structure".
_HEADER = bytes.fromhex("06000000e10000000000010000000000")
_HEADER2 = bytes.fromhex("01010000600000006000000001000000")
_VENDORS = {0: "", 0x8086: "Intel"}
_HEAD = struct.Struct("<16sIBBH16sI84x")
_KEY = struct.Struct(f"<{MODULUS_SIZE}sI{MODULUS_SIZE}s")
_BODY = struct.Struct("<IIBB2x16sQQQQ32s16x16sHH")
_TAIL = struct.Struct(f"<12x{MODULUS_SIZE}s{MODULUS_SIZE}s")
_BODY_OFFSET = _HEAD.size + _KEY.size
_TAIL_OFFSET = _BODY_OFFSET + _BODY.size
_RESERVED = ((0x2C, 0x80), (0x38E, 0x390), (0x3E0, 0x3F0), (0x404, 0x410))

_ALL_32 = 0xFFFFFFFF
_ALL_64 = 0xFFFFFFFFFFFFFFFF
_XFRM_LEGACY = 0x3
_XFRM_MASK = 0xFFFFFFFFFFF9FF1B
# Order counts: the bits of AVX-512 include those of AVX.
_FEATURES = (("avx", 0x4), ("avx512", 0xE4), ("amx", 0x60000), ("mpx", 0x18), ("pkru", 0x200))
_ALWAYS_DECIDED = frozenset({"mpx", "pkru"})
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigstructBody:
    """What is signed: the enclave, and the attributes with which a processor may start it.

    `date` is written `YYYY-MM-DD` and need not be in any calendar. The masks say which bits of the attributes
    the processor compares.
    """

    date: str
    mrenclave: bytes
    isv_prod_id: int
    isv_svn: int
    attribute_flags: int
    attribute_xfrm: int
    attribute_flags_mask: int = _ALL_64
    attribute_xfrm_mask: int
    misc_select: int
    misc_mask: int = _ALL_32
    vendor: int = 0
    swdefined: int = 0
    cet_attributes: int = 0
    cet_attributes_mask: int = 0
    isv_family_id: bytes = bytes(16)
    isv_ext_prod_id: bytes = bytes(16)

    @property
    def debug(self) -> bool:
        """Say whether the host may read and change the enclave's memory."""
        return bool(self.attribute_flags & FLAG_DEBUG)

    def signed_bytes(self) -> bytes:
        """Return the 256 bytes that the signature is over."""
        return self._head() + self._body()

    def _head(self) -> bytes:
        year, month, day = (int(part, 16) for part in self.date.split("-"))
        return _HEAD.pack(_HEADER, self.vendor, day, month, year, _HEADER2, self.swdefined)

    def _body(self) -> bytes:
        return _BODY.pack(
            self.misc_select,
            self.misc_mask,
            self.cet_attributes,
            self.cet_attributes_mask,
            self.isv_family_id,
            self.attribute_flags,
            self.attribute_xfrm,
            self.attribute_flags_mask,
            self.attribute_xfrm_mask,
            self.mrenclave,
            self.isv_ext_prod_id,
            self.isv_prod_id,
            self.isv_svn,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigstruct:
    """A whole SIGSTRUCT as it says of itself; whether its signature holds is not decided here."""

    body: SigstructBody
    modulus: int = field(repr=False)
    signature: int = field(repr=False)
    q1: int = field(repr=False)
    q2: int = field(repr=False)

    @property
    def mrsigner(self) -> bytes:
        """Return the identity of the key, as quotes carry it."""
        return mrsigner_of(self.modulus)

    def to_bytes(self) -> bytes:
        """Return the file's 1808 bytes."""
        signed = self.body.signed_bytes()
        head, body = signed[: _HEAD.size], signed[_HEAD.size :]
        key = _KEY.pack(_wide(self.modulus), EXPONENT, _wide(self.signature))
        return head + key + body + _TAIL.pack(_wide(self.q1), _wide(self.q2))


def sigstruct_body(manifest: Mapping[str, object], *, mrenclave: bytes, date: str) -> SigstructBody:
    """Return what is to be signed for an enclave of this signed manifest.

    Raises `MalformedError` where one of the manifest's settings is missing or not one that Gramine takes, or
    where `date` is not written `YYYY-MM-DD`.
    """
    if _DATE.fullmatch(date) is None:
        raise MalformedError(f"date: got {date!r}, expected YYYY-MM-DD")
    sgx = manifest.get("sgx")
    if not isinstance(sgx, dict):
        raise MalformedError("sgx: expected a table")
    xfrm, xfrm_mask = _xfrm(sgx.get("cpu_features"))
    return SigstructBody(
        date=date,
        mrenclave=mrenclave,
        isv_prod_id=_number_16(sgx, "isvprodid"),
        isv_svn=_number_16(sgx, "isvsvn"),
        attribute_flags=FLAG_MODE64BIT | (FLAG_DEBUG if _switch(sgx, "debug") else 0),
        attribute_xfrm=xfrm,
        attribute_xfrm_mask=xfrm_mask,
        misc_select=MISC_EXINFO if _switch(sgx, "use_exinfo") else 0,
    )


def parse_sigstruct(raw: bytes) -> Sigstruct:
    """Parse a SIGSTRUCT; raises `MalformedError` for anything that no processor of SGX takes."""
    if len(raw) != SIGSTRUCT_SIZE:
        raise MalformedError(f"sigstruct size: got {len(raw)}, expected {SIGSTRUCT_SIZE} bytes")
    header, vendor, day, month, year, header2, swdefined = _HEAD.unpack_from(raw)
    modulus, exponent, signature = _KEY.unpack_from(raw, _HEAD.size)
    if (header, header2) != (_HEADER, _HEADER2) or vendor not in _VENDORS:
        raise MalformedError("sigstruct header: not the one of an SGX enclave's signature")
    if exponent != EXPONENT or int.from_bytes(modulus, "little").bit_length() != MODULUS_BITS:
        raise MalformedError(f"sigstruct key: expected {MODULUS_BITS} bits with exponent {EXPONENT}")
    if any(any(raw[start:end]) for start, end in _RESERVED):
        raise MalformedError("sigstruct: a reserved byte is not zero")
    q1, q2 = _TAIL.unpack_from(raw, _TAIL_OFFSET)
    return Sigstruct(
        body=_parse_body(raw, date=f"{year:04x}-{month:02x}-{day:02x}", vendor=vendor, swdefined=swdefined),
        modulus=int.from_bytes(modulus, "little"),
        signature=int.from_bytes(signature, "little"),
        q1=int.from_bytes(q1, "little"),
        q2=int.from_bytes(q2, "little"),
    )


def mrsigner_of(modulus: int) -> bytes:
    """Return MRSIGNER of the key with that modulus."""
    return sha256(_wide(modulus)).digest()


def _parse_body(raw: bytes, *, date: str, vendor: int, swdefined: int) -> SigstructBody:
    misc, misc_mask, cet, cet_mask, family, flags, xfrm, flags_mask, xfrm_mask, mrenclave, ext, prod, svn = (
        _BODY.unpack_from(raw, _BODY_OFFSET)
    )
    return SigstructBody(
        date=date,
        mrenclave=mrenclave,
        isv_prod_id=prod,
        isv_svn=svn,
        attribute_flags=flags,
        attribute_xfrm=xfrm,
        attribute_flags_mask=flags_mask,
        attribute_xfrm_mask=xfrm_mask,
        misc_select=misc,
        misc_mask=misc_mask,
        vendor=vendor,
        swdefined=swdefined,
        cet_attributes=cet,
        cet_attributes_mask=cet_mask,
        isv_family_id=family,
        isv_ext_prod_id=ext,
    )


def _xfrm(features: object) -> tuple[int, int]:
    """Return value and mask of the extended CPU state that the enclave may, must or must not use."""
    if not isinstance(features, dict):
        raise MalformedError("sgx.cpu_features: expected a table")
    value, mask = _XFRM_LEGACY, _XFRM_MASK
    for name, bits in _FEATURES:
        match features.get(name):
            case "required":
                value, mask = value | bits, mask | bits
            case "disabled":
                value, mask = value & ~bits, mask | bits
            case "unspecified" if name not in _ALWAYS_DECIDED:
                continue
            case other:
                raise MalformedError(f"sgx.cpu_features.{name}: got {other!r}, expected required or disabled")
    return value, mask


def _number_16(sgx: Mapping[str, object], key: str) -> int:
    value = sgx.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFFFF:
        raise MalformedError(f"sgx.{key}: expected a number from 0 to 65535")
    return value


def _switch(sgx: Mapping[str, object], key: str) -> bool:
    value = sgx.get(key)
    if not isinstance(value, bool):
        raise MalformedError(f"sgx.{key}: expected true or false")
    return value


def _wide(number: int) -> bytes:
    return number.to_bytes(MODULUS_SIZE, "little")
