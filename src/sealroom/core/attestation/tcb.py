"""Which TCB status a platform has, by Intel's algorithm, out of a verified quote and verified documents.

Compares the PCK certificate's TCB, never the quote's `cpu_svn`. Whether a status is *accepted* is a
policy's to say. Specification: docs/spec/collateral.md, "Matching".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sealroom.core.attestation.document import IsvLevel, Judgement
from sealroom.core.attestation.pck import VerifiedPck
from sealroom.core.attestation.pck_extension import PckExtension
from sealroom.core.attestation.qe_identity import QeIdentity
from sealroom.core.attestation.quote import Quote, TeeType
from sealroom.core.attestation.quote_checks import VerifiedQuote
from sealroom.core.attestation.reports import TdReport
from sealroom.core.attestation.tcb_info import TcbInfo, TcbLevel
from sealroom.core.attestation.tcb_status import TcbStatus, converge
from sealroom.core.attestation.tdx import match_module, relaunch_status
from sealroom.core.errors import VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbVerdict:
    """The status of the platform that made a quote, and what it was made of.

    `platform` is the matched level, `qe` and `module` those of the quoting enclave and, with TDX 1.x modules,
    of the module. `status` already counts all of them. `advisories` is sorted, each named once.
    """

    status: TcbStatus
    advisories: tuple[str, ...]
    evaluation_number: int
    platform: Judgement
    qe: Judgement
    module: Judgement | None


def check_platform(pck: VerifiedPck, *, tee: TeeType, tcb_info: TcbInfo) -> None:
    """Refuse a TCB info that is not about this kind of TEE on this family of platforms."""
    if tcb_info.tee is not tee:
        raise VerificationError(f"tcb info: is for {tcb_info.tee.name}, the quote is of {tee.name}")
    if tcb_info.fmspc != pck.extension.fmspc:
        raise VerificationError(
            f"fmspc: tcb info is for {tcb_info.fmspc.hex()}, the platform is {pck.extension.fmspc.hex()}"
        )
    if tcb_info.pce_id != pck.extension.pce_id:
        raise VerificationError(
            f"pce id: tcb info is for {tcb_info.pce_id.hex()}, the platform has {pck.extension.pce_id.hex()}"
        )


def check_qe_identity(quote: Quote, identity: QeIdentity) -> None:
    """Refuse a QE report that is not of the enclave that `identity` describes."""
    report = quote.qe_report
    if identity.tee is not quote.header.tee:
        raise VerificationError(
            f"qe identity: is for {identity.tee.name}, the quote is of {quote.header.tee.name}"
        )
    if report.mrsigner != identity.mrsigner:
        raise VerificationError(f"qe mrsigner: {report.mrsigner.hex()}, expected {identity.mrsigner.hex()}")
    if report.isv_prod_id != identity.isv_prod_id:
        raise VerificationError(f"qe product: {report.isv_prod_id}, expected {identity.isv_prod_id}")
    attributes = report.flags.to_bytes(8, "little") + report.xfrm.to_bytes(8, "little")
    if masked(attributes, identity.attributes_mask) != identity.attributes:
        raise VerificationError(
            f"qe attributes: {attributes.hex()}, expected {identity.attributes.hex()} under mask"
        )
    miscselect = report.miscselect.to_bytes(4, "little")
    if masked(miscselect, identity.miscselect_mask) != identity.miscselect:
        raise VerificationError(
            f"qe miscselect: {miscselect.hex()}, expected {identity.miscselect.hex()} under mask"
        )


def match_tcb(verified: VerifiedQuote, *, tcb_info: TcbInfo, qe_identity: QeIdentity) -> TcbVerdict:
    """Decide the TCB status of the platform that made `verified`.

    1. The TCB info is about this platform. 2. The QE is the one described. 3. QE level. 4. Platform
    level. 5. For TDX, TDX level, module level and relaunch. 6. The QE's status lowers the platform's.
    Raises `VerificationError` when no level is reached.
    """
    quote, pck = verified.quote, verified.pck
    check_platform(pck, tee=quote.header.tee, tcb_info=tcb_info)
    check_qe_identity(quote, qe_identity)
    qe = match_isv_level(quote.qe_report.isv_svn, qe_identity.levels, name="qe").judgement
    candidates = _reached_by_platform(tcb_info.levels, pck.extension)
    module: Judgement | None = None
    if isinstance(quote.body, TdReport):
        platform = _match_tdx_level(candidates, quote.body.tee_tcb_svn)
        module = match_module(quote.body, tcb_info)
        status = _status_of_td(quote.body, tcb_info, candidates[0], platform, module, qe)
    else:
        platform = candidates[0]
        status = platform.judgement.status
    parts = [judgement for judgement in (platform.judgement, qe, module) if judgement is not None]
    return TcbVerdict(
        status=converge(status, qe.status, name="qe"),
        advisories=tuple(sorted({advisory for part in parts for advisory in part.advisories})),
        evaluation_number=min(tcb_info.issued.evaluation_number, qe_identity.issued.evaluation_number),
        platform=platform.judgement,
        qe=qe,
        module=module,
    )


def match_isv_level(isv_svn: int, levels: Iterable[IsvLevel], *, name: str) -> IsvLevel:
    """Return the first of `levels` that `isv_svn` reaches."""
    for level in levels:
        if isv_svn >= level.isv_svn:
            return level
    raise VerificationError(f"{name}: svn {isv_svn} reaches no level, not supported")


def masked(value: bytes, mask: bytes) -> bytes:
    """Return `value` with the bits that `mask` leaves out cleared; both have one length."""
    return bytes(byte & bit for byte, bit in zip(value, mask, strict=True))


def _reached_by_platform(levels: tuple[TcbLevel, ...], platform: PckExtension) -> tuple[TcbLevel, ...]:
    """Return `levels` from the first on that the PCK certificate's TCB reaches."""
    for index, level in enumerate(levels):
        if platform.pce_svn >= level.pce_svn and _reaches(platform.tcb_components, level.sgx_components):
            return levels[index:]
    raise VerificationError("tcb: the platform reaches no level, not supported")


def _match_tdx_level(candidates: tuple[TcbLevel, ...], tee_tcb_svn: bytes) -> TcbLevel:
    # A module with a major version is judged by its own identity: indices 0 and 1 say nothing then.
    start = 2 if tee_tcb_svn[1] else 0
    for level in candidates:
        if level.tdx_components is not None and _reaches(tee_tcb_svn[start:], level.tdx_components[start:]):
            return level
    raise VerificationError("tcb: the TD reaches no TDX level, not supported")


def _reaches(own: bytes, wanted: bytes) -> bool:
    return all(have >= want for have, want in zip(own, wanted, strict=True))


def _status_of_td(
    report: TdReport,
    tcb_info: TcbInfo,
    sgx_level: TcbLevel,
    tdx_level: TcbLevel,
    module: Judgement | None,
    qe: Judgement,
) -> TcbStatus:
    status = tdx_level.judgement.status
    if module is None:
        return status
    status = converge(status, module.status, name="tdx module")
    if qe.status is not TcbStatus.UP_TO_DATE or module.status is not TcbStatus.OUT_OF_DATE:
        return status
    return relaunch_status(report, tcb_info, sgx_level=sgx_level, tdx_level=tdx_level, converged=status)
