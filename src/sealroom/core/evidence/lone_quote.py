"""Decide what one quote proves without a bundle: is it genuine, its platform sound, does a policy take it.

For looking at quotes, and for services whose measurement a policy lists. Must never make a `VerifiedEnclave`:
a quote alone says nothing of a computation's contract, so nothing can be delivered on its verdict.

Spec: docs/spec/quote-appraisal.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.collateral import VerifiedCollateral
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.quote_checks import (
    VerifiedQuote,
    check_attributes,
    check_config_and_family_zero,
    check_not_debug,
)
from sealroom.core.attestation.reports import SgxReport, TdFlags, TdReport
from sealroom.core.attestation.tcb import TcbVerdict
from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.evidence.genuine import appraise_genuineness
from sealroom.core.evidence.platform import appraise_platform
from sealroom.core.evidence.policy import Policy, SignerRule, Word
from sealroom.core.evidence.quote_catalogue import QUOTE_GROUPS, QUOTE_PAGE
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisedQuote:
    """What became of a quote: `verified` where its every signature held, `tcb` where documents judged it."""

    verified: VerifiedQuote | None
    tcb: TcbVerdict | None


def appraise_quote(
    quote: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
    pck_chain: bytes | None = None,
) -> Verdict:
    """Make every check of `quote` whose inputs are trusted by then; raises nothing for any bytes.

    1. The quote is genuine: every signature up to its root. 2. The platform is sound, by `collateral`: the
    bytes of a nine-member file, or documents that `verify_collateral` verified before. 3. The enclave is
    closed to its host. 4. `policy` accepts its measurement.

    `roots` are the root keys to be accepted, as uncompressed points; whatever stands there, a chain that does
    not end in Intel's pinned key is simulated. `pck_chain` is the PEM chain of a quote that only names its
    platform.
    """
    record = Record(groups=QUOTE_GROUPS, page=QUOTE_PAGE)
    appraised = record_quote(
        record, quote, collateral, policy=policy, roots=roots, now=now, pck_chain=pck_chain
    )
    return conclude(record, appraised, policy=policy, now=now)


def record_quote(
    record: Record,
    quote: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
    pck_chain: bytes | None = None,
) -> AppraisedQuote:
    """Make the checks of `appraise_quote` in a `record` that has their groups, perhaps among others."""
    if now.tzinfo is None:
        raise ValueError("now: expected a moment with its time zone")
    memo = Memo(collateral.known if isinstance(collateral, VerifiedCollateral) else None)
    verified = appraise_genuineness(
        record,
        quote,
        roots=roots,
        now=now,
        memo=memo,
        accept_zero_padding=policy.accept_zero_padding,
        pck_chain=pck_chain,
    )
    tcb = None
    if verified is not None:
        tcb = appraise_platform(record, verified, collateral, policy=policy, now=now, memo=memo)
        _appraise_body(record, verified, policy)
    return AppraisedQuote(verified=verified, tcb=tcb)


def conclude(record: Record, appraised: AppraisedQuote, *, policy: Policy, now: datetime) -> Verdict:
    """Return the verdict of a `record` that holds the checks of a quote."""
    tcb = appraised.tcb
    return Verdict(
        policy_name=policy.name,
        at=now,
        is_simulated=record.is_simulated("quote.root"),
        status=None if tcb is None else tcb.status.value,
        advisories=() if tcb is None else tcb.advisories,
        mrenclave=_mrenclave(appraised.verified),
        groups=record.groups(),
    )


def _mrenclave(verified: VerifiedQuote | None) -> bytes | None:
    body = None if verified is None else verified.quote.body
    return body.mrenclave if isinstance(body, SgxReport) else None


def _appraise_body(record: Record, verified: VerifiedQuote, policy: Policy) -> None:
    """Record the checks 3.1 to 4.1."""
    tee, body = verified.quote.header.tee, verified.quote.body

    def accepted_tee() -> None:
        if tee not in policy.tee:
            raise PolicyError(f"tee: {tee.name}, which policy {policy.name} does not accept")

    record.rule("enclave.tee", accepted_tee, tee.name)
    record.rule("enclave.debug", lambda: check_not_debug(body), "off")
    if isinstance(body, SgxReport):
        _appraise_sgx(record, body, policy)
    else:
        _appraise_td(record, body, policy)
    record.rule("measurement.policy", lambda: _check_measurement(body, policy), _shown_measurement(body))


def _appraise_sgx(record: Record, report: SgxReport, policy: Policy) -> None:
    record.rule(
        "enclave.attributes",
        lambda: check_attributes(report, policy.attributes),
        f"flags 0x{report.flags:x}, xfrm 0x{report.xfrm:x}, miscselect 0x{report.miscselect:x}",
    )
    record.rule("enclave.sept-ve", lambda: None, "not of a TD")
    if policy.accept_host_chosen_fields:
        record.rule("enclave.config", lambda: None, "not compared, says your policy")
    else:
        record.rule("enclave.config", lambda: check_config_and_family_zero(report), "zero")


def _appraise_td(record: Record, report: TdReport, policy: Policy) -> None:
    shown = f"td attributes 0x{report.td_attributes:x}, xfam 0x{report.xfam:x}"
    # A policy's masks are over ATTRIBUTES of SGX; of a TD's, debug and SEPT_VE_DISABLE are judged.
    record.rule("enclave.attributes", lambda: None, f"{shown}, not compared: of a TD")
    disabled = bool(report.td_attributes & TdFlags.SEPT_VE_DISABLE)

    def sept_ve_disabled() -> None:
        if not disabled and not policy.accept_td_without_sept_ve_disable:
            raise PolicyError(f"td attributes: no SEPT_VE_DISABLE, which policy {policy.name} wants")

    record.rule("enclave.sept-ve", sept_ve_disabled, "set" if disabled else "not set, as your policy accepts")
    if policy.accept_host_chosen_fields:
        record.rule("enclave.config", lambda: None, "not compared, says your policy")
    else:
        record.rule("enclave.config", lambda: _check_td_config(report), "zero")


def _check_td_config(report: TdReport) -> None:
    for name, value in (
        ("mrconfigid", report.mrconfigid),
        ("mrowner", report.mrowner),
        ("mrownerconfig", report.mrownerconfig),
    ):
        if any(value):
            raise VerificationError(f"{name}: {value.hex()}, expected zero")


def _shown_measurement(body: SgxReport | TdReport) -> str:
    if isinstance(body, TdReport):
        return f"MRTD {body.mrtd.hex()}"
    return (
        f"MRENCLAVE {body.mrenclave.hex()}, MRSIGNER {body.mrsigner.hex()}, "
        f"product {body.isv_prod_id}, version {body.isv_svn}"
    )


def _check_measurement(body: SgxReport | TdReport, policy: Policy) -> None:
    rule = policy.measurement
    if rule is Word.ANY:
        return
    if isinstance(rule, SignerRule):
        check_signer(body, rule)
        return
    if not isinstance(rule, frozenset):
        raise PolicyError(f"measurement: policy {policy.name} wants it recomputed, which takes a bundle")
    measurement = body.mrenclave if isinstance(body, SgxReport) else body.mrtd
    if measurement not in rule:
        raise PolicyError(f"measurement: {measurement.hex()} is not in the policy's list")


def check_signer(body: SgxReport | TdReport, rule: SignerRule) -> None:
    """Refuse an enclave that is not of the rule's signer, product and version."""
    if not isinstance(body, SgxReport):
        raise PolicyError("measurement: a signer's rule is for SGX enclaves, this is a TD")
    if body.mrsigner != rule.mrsigner:
        raise PolicyError(f"mrsigner: {body.mrsigner.hex()}, the policy wants {rule.mrsigner.hex()}")
    if body.isv_prod_id != rule.product:
        raise PolicyError(f"product: {body.isv_prod_id}, the policy wants {rule.product}")
    if body.isv_svn < rule.min_svn:
        raise PolicyError(f"version: {body.isv_svn}, the policy wants at least {rule.min_svn}")
