"""What Intel's algorithm adds for TDX: the module's identity and level, and the advice to launch a TD again.

Specification: docs/spec/collateral.md, "Matching", 4 and 7.
"""

from __future__ import annotations

from sealroom.core.attestation.document import Judgement
from sealroom.core.attestation.reports import TdReport
from sealroom.core.attestation.tcb_info import TcbInfo, TcbLevel, TdxModuleIdentity, TdxModuleRule
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.errors import VerificationError

_RELAUNCH_FROM = frozenset(
    {
        TcbStatus.UP_TO_DATE,
        TcbStatus.SW_HARDENING_NEEDED,
        TcbStatus.CONFIGURATION_NEEDED,
        TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
    }
)
_RELAUNCH_INSTEAD_OF = frozenset({TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED})


def match_module(report: TdReport, tcb_info: TcbInfo) -> Judgement | None:
    """Check the TDX module of `report` and return its level; `None` for modules of major version 0."""
    minor, major = report.tee_tcb_svn[0], report.tee_tcb_svn[1]
    if major == 0:
        if tcb_info.tdx_module is None:
            raise VerificationError("tdx module: the tcb info says nothing of it")
        _check_module(report, tcb_info.tdx_module)
        return None
    identity = _identity(tcb_info, major)
    if identity is None:
        raise VerificationError(f"tdx module: no identity for major version {major}")
    if any(identity.rule.attributes) or report.seam_attributes:
        raise VerificationError("tdx module: seam attributes are not zero")
    _check_module(report, identity.rule)
    for level in identity.levels:
        if minor >= level.isv_svn:
            return level.judgement
    raise VerificationError(f"tdx module: svn {minor} reaches no level, not supported")


def relaunch_status(
    report: TdReport,
    tcb_info: TcbInfo,
    *,
    sgx_level: TcbLevel,
    tdx_level: TcbLevel,
    converged: TcbStatus,
) -> TcbStatus:
    """Return the advice to relaunch, instead of `converged`, where only the TD's launch is behind."""
    newest = report.tee_tcb_svn2
    if newest is None or sgx_level.judgement.status not in _RELAUNCH_FROM:
        return converged
    if converged not in _RELAUNCH_INSTEAD_OF or not _reaches_newest(newest, tcb_info):
        return converged
    if sgx_level.judgement.status.configuration_needed or tdx_level.judgement.status.configuration_needed:
        return TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED
    return TcbStatus.TD_RELAUNCH_ADVISED


def _reaches_newest(svn: bytes, tcb_info: TcbInfo) -> bool:
    top = tcb_info.levels[0].tdx_components
    if top is None or svn[2] < top[2]:
        return False
    if svn[1] == 0:
        return svn[0] >= top[0]
    identity = _identity(tcb_info, svn[1])
    return identity is not None and bool(identity.levels) and svn[0] >= identity.levels[0].isv_svn


def _identity(tcb_info: TcbInfo, major: int) -> TdxModuleIdentity | None:
    wanted = f"TDX_{major:02X}"
    return next((identity for identity in tcb_info.tdx_module_identities if identity.id == wanted), None)


def _check_module(report: TdReport, rule: TdxModuleRule) -> None:
    if report.mrsignerseam != rule.mrsigner:
        raise VerificationError(f"mrsignerseam: {report.mrsignerseam.hex()}, expected {rule.mrsigner.hex()}")
    mask = int.from_bytes(rule.attributes_mask, "little")
    expected = int.from_bytes(rule.attributes, "little")
    if report.seam_attributes & mask != expected:
        raise VerificationError(
            f"seam attributes: 0x{report.seam_attributes:x}, expected 0x{expected:x} under mask"
        )
