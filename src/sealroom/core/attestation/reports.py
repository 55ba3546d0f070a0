"""The bodies of quotes: the SGX enclave report and the two TD reports, field by field as Intel lays them out.

What a report says, not whether it is true. Reserved bytes that are not zero are refused here.
Specification: docs/spec/quotes.md, "Bodies".
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from sealroom.core.errors import MalformedError

SGX_REPORT_BYTES = 384
TD_REPORT_10_BYTES = 584
TD_REPORT_15_BYTES = 648

# SDM vol. 3D, 38.15 (REPORT): names of the fields in the order of the bytes.
_SGX = struct.Struct("<16sI12s16sQQ32s32s32s32s64sHHH42s16s64s")
_TD = struct.Struct("<16s48s48sQQQ48s48s48s48s48s48s48s48s64s")
_TD_15 = struct.Struct("<16s48s")


class SgxFlags(enum.IntFlag):
    """Bits of ATTRIBUTES.FLAGS that Intel defines."""

    INIT = 0x01
    DEBUG = 0x02
    MODE64BIT = 0x04
    PROVISION_KEY = 0x10
    EINITTOKEN_KEY = 0x20
    CET = 0x40
    KSS = 0x80
    AEX_NOTIFY = 0x400


class TdFlags(enum.IntFlag):
    """Bits of TD_ATTRIBUTES that matter to a verifier."""

    DEBUG = 0x01
    SEPT_VE_DISABLE = 1 << 28
    PKS = 1 << 30
    KL = 1 << 31
    PERFMON = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxReport:
    """An SGX enclave report body. `raw` is the 384 bytes as received."""

    raw: bytes
    cpu_svn: bytes
    miscselect: int
    isv_ext_prod_id: bytes
    flags: int
    xfrm: int
    mrenclave: bytes
    mrsigner: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes

    @property
    def debug(self) -> bool:
        """Whether a debugger may read this enclave."""
        return bool(self.flags & SgxFlags.DEBUG)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """A TD report body, 1.0 or 1.5. The last two fields exist in 1.5 only."""

    raw: bytes
    tee_tcb_svn: bytes
    mrseam: bytes
    mrsignerseam: bytes
    seam_attributes: int
    td_attributes: int
    xfam: int
    mrtd: bytes
    mrconfigid: bytes
    mrowner: bytes
    mrownerconfig: bytes
    rtmr: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tee_tcb_svn2: bytes | None
    mrservicetd: bytes | None

    @property
    def debug(self) -> bool:
        """Whether the host may debug this TD; any bit of the "untrusted" group counts."""
        return bool(self.td_attributes & 0xFF)


def parse_sgx_report(raw: bytes, *, name: str) -> SgxReport:
    """Read `raw`, exactly 384 bytes, as an SGX report body."""
    if len(raw) != SGX_REPORT_BYTES:
        raise MalformedError(f"{name}: {len(raw)} bytes, expected {SGX_REPORT_BYTES}")
    (
        cpu_svn,
        miscselect,
        reserved_1,
        isv_ext_prod_id,
        flags,
        xfrm,
        mrenclave,
        reserved_2,
        mrsigner,
        reserved_3,
        config_id,
        isv_prod_id,
        isv_svn,
        config_svn,
        reserved_4,
        isv_family_id,
        report_data,
    ) = _SGX.unpack(raw)
    if any(reserved_1) or any(reserved_2) or any(reserved_3) or any(reserved_4):
        raise MalformedError(f"{name}: reserved bytes are not zero")
    return SgxReport(
        raw=raw,
        cpu_svn=cpu_svn,
        miscselect=miscselect,
        isv_ext_prod_id=isv_ext_prod_id,
        flags=flags,
        xfrm=xfrm,
        mrenclave=mrenclave,
        mrsigner=mrsigner,
        config_id=config_id,
        isv_prod_id=isv_prod_id,
        isv_svn=isv_svn,
        config_svn=config_svn,
        isv_family_id=isv_family_id,
        report_data=report_data,
    )


def parse_td_report(raw: bytes, *, name: str) -> TdReport:
    """Read `raw` as a TD report body, 1.0 or 1.5 by its size."""
    if len(raw) not in (TD_REPORT_10_BYTES, TD_REPORT_15_BYTES):
        raise MalformedError(
            f"{name}: {len(raw)} bytes, expected {TD_REPORT_10_BYTES} or {TD_REPORT_15_BYTES}"
        )
    fields = _TD.unpack_from(raw)
    svn2, mrservicetd = _TD_15.unpack_from(raw, _TD.size) if len(raw) == TD_REPORT_15_BYTES else (None, None)
    return TdReport(
        raw=raw,
        tee_tcb_svn=fields[0],
        mrseam=fields[1],
        mrsignerseam=fields[2],
        seam_attributes=fields[3],
        td_attributes=fields[4],
        xfam=fields[5],
        mrtd=fields[6],
        mrconfigid=fields[7],
        mrowner=fields[8],
        mrownerconfig=fields[9],
        rtmr=(fields[10], fields[11], fields[12], fields[13]),
        report_data=fields[14],
        tee_tcb_svn2=svn2,
        mrservicetd=mrservicetd,
    )
