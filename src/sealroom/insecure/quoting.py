"""The simulated quoting enclave: version 3 quotes in Intel's form, signed by nobody.

Vendor id and root say SIMULATION; the signatures are real, so that every step of a verification runs on them.
Layout: docs/spec/quotes.md.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sealroom.core.attestation.roots import SIMULATION_QE_VENDOR_ID
from sealroom.insecure.pki import SimulationPki

SIMULATION_MRSIGNER = hashlib.sha256(b"sealroom simulation, signer of enclaves").digest()
QE_MRSIGNER = hashlib.sha256(b"sealroom simulation, signer of the quoting enclave").digest()
QE_MRENCLAVE = hashlib.sha256(b"sealroom simulation, quoting enclave").digest()
QE_PROD_ID = 1
QE_SVN = 8

INIT_MODE64BIT = 0x05
QE_FLAGS = 0x15  # INIT, MODE64BIT, PROVISION_KEY
XFRM_LEGACY = 0x03
_REPORT_KEY_ID_BYTES = 32
_REPORT_MAC_BYTES = 16
_PCK_CHAIN = 5

_BODY = struct.Struct("<16sI12s16sQQ32s32s32s32s64sHHH42s16s64s")
_HEADER = struct.Struct("<HHIHH16s20s")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBody:
    """The fields of an enclave report, with a simulated enclave's values unless asked for others."""

    mrenclave: bytes
    report_data: bytes
    mrsigner: bytes = SIMULATION_MRSIGNER
    cpu_svn: bytes = bytes([5] * 16)
    miscselect: int = 0
    flags: int = INIT_MODE64BIT
    xfrm: int = XFRM_LEGACY
    isv_prod_id: int = 0
    isv_svn: int = 0
    isv_ext_prod_id: bytes = bytes(16)
    isv_family_id: bytes = bytes(16)
    config_id: bytes = bytes(64)
    config_svn: int = 0

    def to_bytes(self) -> bytes:
        """Return the 384 bytes of the body."""
        for name, size in (("mrenclave", 32), ("mrsigner", 32), ("report_data", 64), ("config_id", 64)):
            if len(getattr(self, name)) != size:
                raise ValueError(f"{name}: {len(getattr(self, name))} bytes, expected {size}")
        return _BODY.pack(
            self.cpu_svn,
            self.miscselect,
            bytes(12),
            self.isv_ext_prod_id,
            self.flags,
            self.xfrm,
            self.mrenclave,
            bytes(32),
            self.mrsigner,
            bytes(32),
            self.config_id,
            self.isv_prod_id,
            self.isv_svn,
            self.config_svn,
            bytes(42),
            self.isv_family_id,
            self.report_data,
        )


def local_report(body: ReportBody) -> bytes:
    """Return a REPORT of 432 bytes: the body, then a random key id and MAC, which nobody checks here."""
    return body.to_bytes() + os.urandom(_REPORT_KEY_ID_BYTES + _REPORT_MAC_BYTES)


class QuotingEnclave:
    """Signs report bodies with an attestation key that the PCK key of `pki` vouches for."""

    def __init__(
        self, pki: SimulationPki, *, qe_body: ReportBody | None = None, qe_auth: bytes = bytes(32)
    ) -> None:
        self._pki = pki
        self.attestation_key = ec.generate_private_key(ec.SECP256R1())
        self._qe_auth = qe_auth
        self._qe_body = QE_BODY if qe_body is None else qe_body

    def quote(self, body: ReportBody) -> bytes:
        """Return a version 3 quote over `body`, with the PCK chain inside."""
        signed = self._header() + body.to_bytes()
        key = self.attestation_key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )[1:]
        binding = hashlib.sha256(key + self._qe_auth).digest() + bytes(32)
        qe_report = replace(self._qe_body, report_data=binding).to_bytes()
        chain = self._pki.pck_chain_pem + b"\0"
        section = b"".join(
            (
                self._sign(signed),
                key,
                qe_report,
                self._pki.pck.sign_raw(qe_report),
                struct.pack("<H", len(self._qe_auth)),
                self._qe_auth,
                struct.pack("<HI", _PCK_CHAIN, len(chain)),
                chain,
            )
        )
        return signed + struct.pack("<I", len(section)) + section

    def _header(self) -> bytes:
        return _HEADER.pack(3, 2, 0, QE_SVN, self._pki.tcb.pce_svn, SIMULATION_QE_VENDOR_ID, bytes(20))

    def _sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.attestation_key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


QE_BODY = ReportBody(
    mrenclave=QE_MRENCLAVE,
    report_data=bytes(64),
    mrsigner=QE_MRSIGNER,
    flags=QE_FLAGS,
    isv_prod_id=QE_PROD_ID,
    isv_svn=QE_SVN,
)
