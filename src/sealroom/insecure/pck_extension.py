"""The SGX extension of the simulated PCK certificate: written here, read by `core.attestation.pck_extension`.

Written apart from the reader on purpose: one that shared code with it could not show a mistake. Layout:
docs/spec/quotes.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_OID = bytes.fromhex("2a864886f84d010d01")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformTcb:
    """What the simulated PCK certificate says of its platform."""

    components: bytes = bytes([5] * 16)
    pce_svn: int = 13
    fmspc: bytes = b"SIMTCB"
    pce_id: bytes = bytes(2)
    ppid: bytes = b"SIMULATED-PPID--"

    def to_json(self) -> dict[str, Any]:
        """Return the fields, bytes in hexadecimal."""
        return {
            "components": self.components.hex(),
            "pce_svn": self.pce_svn,
            "fmspc": self.fmspc.hex(),
            "pce_id": self.pce_id.hex(),
            "ppid": self.ppid.hex(),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> PlatformTcb:
        """Read what `to_json` wrote."""
        return cls(
            components=bytes.fromhex(document["components"]),
            pce_svn=int(document["pce_svn"]),
            fmspc=bytes.fromhex(document["fmspc"]),
            pce_id=bytes.fromhex(document["pce_id"]),
            ppid=bytes.fromhex(document["ppid"]),
        )


def encode_pck_extension(tcb: PlatformTcb) -> bytes:
    """Return the value of the SGX extension, with all the fields of a platform CA's certificate."""
    components = [_pair(b"\x02" + bytes([n + 1]), _integer(svn)) for n, svn in enumerate(tcb.components)]
    tcb_fields = [
        *components,
        _pair(b"\x02\x11", _integer(tcb.pce_svn)),
        _pair(b"\x02\x12", _tlv(0x04, tcb.components)),
    ]
    configuration = [_pair(b"\x07" + bytes([n]), _tlv(0x01, flag)) for n, flag in _CONFIGURATION]
    return _sequence(
        _pair(b"\x01", _tlv(0x04, tcb.ppid)),
        _pair(b"\x02", _sequence(*tcb_fields)),
        _pair(b"\x03", _tlv(0x04, tcb.pce_id)),
        _pair(b"\x04", _tlv(0x04, tcb.fmspc)),
        _pair(b"\x05", _tlv(0x0A, b"\x01")),
        _pair(b"\x06", _tlv(0x04, bytes(16))),
        _pair(b"\x07", _sequence(*configuration)),
    )


_CONFIGURATION = ((1, b"\xff"), (2, b"\xff"), (3, b"\x00"))


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _pair(suffix: bytes, value: bytes) -> bytes:
    return _sequence(_tlv(0x06, _OID + suffix), value)


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
