"""Is the quote what its platform signed? One function a step; each returns, or raises `VerificationError`.

The steps are separate so that a verdict can name the one that failed; `verify_quote_signatures` is all of
them in order and the only maker of `VerifiedQuote`. What a caller *wants* of the body (measurement,
report data) is not decided here. Specification: docs/spec/quotes.md, "Steps".
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck import VerifiedPck
from sealroom.core.attestation.quote import Quote
from sealroom.core.attestation.reports import SgxReport, TdReport
from sealroom.core.attestation.signatures import verify_raw_signature
from sealroom.core.errors import VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedQuote:
    """A quote signed, link by link, by the platform in `pck`, accepted by anybody or not."""

    quote: Quote
    pck: VerifiedPck


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRule:
    """Values that flags, xfrm and miscselect must have in the bits of their masks."""

    flags: int
    flags_mask: int
    xfrm: int
    xfrm_mask: int
    miscselect: int
    miscselect_mask: int

    def __post_init__(self) -> None:
        for name in ("flags", "xfrm", "miscselect"):
            if getattr(self, name) & ~getattr(self, f"{name}_mask"):
                raise ValueError(f"{name}: demands bits that its mask leaves out")


def verify_quote_signatures(quote: Quote, pck: VerifiedPck, *, memo: Memo | None = None) -> VerifiedQuote:
    """Verify that the platform in `pck` vouches for `quote`.

    1. The QE vendor id belongs to the chain's provenance. 2. The PCK key signed the QE report. 3. The QE
    report binds the attestation key. 4. The attestation key signed header and body.
    """
    check_vendor(quote, pck)
    verify_qe_report_signature(quote, pck, memo=memo)
    check_attestation_key(quote)
    verify_isv_signature(quote, memo=memo)
    return VerifiedQuote(quote=quote, pck=pck)


def check_vendor(quote: Quote, pck: VerifiedPck) -> None:
    """Refuse a QE vendor id other than the one that belongs to the chain's root."""
    expected = pck.provenance.qe_vendor_id
    if quote.header.qe_vendor_id != expected:
        raise VerificationError(
            f"qe vendor id: {quote.header.qe_vendor_id.hex()}, expected {expected.hex()} "
            f"under a root that is {pck.provenance.value}"
        )


def verify_qe_report_signature(quote: Quote, pck: VerifiedPck, *, memo: Memo | None = None) -> None:
    """Verify that the PCK key signed the QE report, over the 384 bytes received."""
    verify_raw_signature(
        pck.leaf.public_key,
        message=quote.qe_report.raw,
        signature=quote.qe_report_signature,
        name="qe report",
        memo=memo,
    )


def check_attestation_key(quote: Quote) -> None:
    """Refuse an attestation key that the QE report does not bind; without this anybody could sign quotes."""
    digest = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest()
    if not hmac.compare_digest(quote.qe_report.report_data, digest + bytes(32)):
        raise VerificationError("attestation key: not the one that the qe report binds")


def verify_isv_signature(quote: Quote, *, memo: Memo | None = None) -> None:
    """Verify that the attestation key signed header and body, over the bytes received."""
    verify_raw_signature(
        b"\x04" + quote.attestation_key,
        message=quote.signed,
        signature=quote.isv_signature,
        name="isv report",
        memo=memo,
    )


def check_trailing(quote: Quote, *, accept_zero_padding: bool) -> None:
    """Refuse bytes after the quote's declared end, or, if the caller says so, all but zero bytes."""
    if not quote.trailing:
        return
    if not accept_zero_padding:
        raise VerificationError(f"quote: {len(quote.trailing)} bytes after its declared end")
    if any(quote.trailing):
        raise VerificationError("quote: bytes after its declared end are not zero")


def check_not_debug(body: SgxReport | TdReport) -> None:
    """Refuse an enclave or TD that its host may look into."""
    if body.debug:
        raise VerificationError("attributes: debug is set, the host can read this enclave")


def check_attributes(report: SgxReport, rule: AttributeRule) -> None:
    """Refuse flags, xfrm or miscselect that differ from `rule` in the bits of its masks."""
    for name, found, wanted, mask in (
        ("flags", report.flags, rule.flags, rule.flags_mask),
        ("xfrm", report.xfrm, rule.xfrm, rule.xfrm_mask),
        ("miscselect", report.miscselect, rule.miscselect, rule.miscselect_mask),
    ):
        if found & mask != wanted:
            raise VerificationError(f"{name}: 0x{found:x}, expected 0x{wanted:x} under mask 0x{mask:x}")


def check_config_and_family_zero(report: SgxReport) -> None:
    """Refuse a report in which the host filled in fields that the measurement does not cover."""
    for name, value in (
        ("config_id", report.config_id),
        ("config_svn", report.config_svn.to_bytes(2, "little")),
        ("isv_family_id", report.isv_family_id),
        ("isv_ext_prod_id", report.isv_ext_prod_id),
    ):
        if any(value):
            raise VerificationError(f"{name}: {value.hex()}, expected zero")
