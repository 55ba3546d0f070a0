"""Second question of a verification: is the platform sound.

First the documents that Intel publishes, each believed only after its signature and dates; then what they say
about this platform; then what the participant's policy thinks of that.

Spec: docs/spec/verification.md, 2.
"""

from datetime import datetime, timedelta

from sealroom.core.attestation.collateral import (
    Collateral,
    VerifiedCollateral,
    check_not_revoked,
    check_reusable,
    gather_collateral,
    parse_collateral,
    verify_pck_crl,
    verify_qe_identity,
    verify_root_crl,
    verify_tcb_info,
)
from sealroom.core.attestation.document import Issued
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck import VerifiedPck
from sealroom.core.attestation.quote_checks import VerifiedQuote
from sealroom.core.attestation.tcb import TcbVerdict, check_platform, check_qe_identity, match_tcb
from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.core.errors import CollateralError, PolicyError, VerificationError
from sealroom.core.evidence.policy import Policy, Word
from sealroom.core.evidence.record import Record
from sealroom.core.wire.bundle import RawCollateral

GivenCollateral = bytes | RawCollateral | VerifiedCollateral | None
"""The nine members as a file or read, documents that were verified before, or nothing."""


def appraise_platform(
    record: Record,
    verified: VerifiedQuote,
    given: GivenCollateral,
    *,
    policy: Policy,
    now: datetime,
    memo: Memo,
) -> TcbVerdict | None:
    """Record the checks 2.1 to 2.14; return Intel's judgement of the platform, whoever may accept it.

    1. The collateral is there. 2. Root CRL, 3. PCK CRL, 4. TCB info and 5. QE identity are signed and fresh.
    6. Nothing is revoked. 7. The documents are for this platform. 8. The quoting enclave is Intel's. 9. The
    platform has a listed level. 10. to 14. The policy accepts status, advisories, evaluation number, age and
    machine.
    """
    _appraise_known(record, verified.pck, policy)
    if isinstance(given, VerifiedCollateral):
        believed = _appraise_reused(record, verified.pck, given, now)
    else:
        believed = _appraise_received(record, verified.pck, given, now=now, memo=memo)
    if believed is None:
        return None
    judgement = _appraise_level(record, verified, believed)
    _appraise_age(record, believed, policy, now)
    if judgement is not None:
        _appraise_judgement(record, judgement, policy)
    return judgement


def _collateral(given: bytes | RawCollateral | None, memo: Memo) -> Collateral:
    if given is None:
        raise CollateralError("collateral: none was given")
    raw = RawCollateral.from_json(given) if isinstance(given, bytes) else given
    return parse_collateral(raw, memo=memo)


def _appraise_reused(
    record: Record, pck: VerifiedPck, believed: VerifiedCollateral, now: datetime
) -> VerifiedCollateral | None:
    """Record 2.1 to 2.5 for documents that were verified before: under this root, and not only then."""
    record.rule("platform.collateral", lambda: check_reusable(believed, pck, now), "verified before")
    if not record.passed("platform.collateral"):
        return None
    known = f"verified at {believed.verified_at:%Y-%m-%d %H:%M}, valid until {believed.valid_until:%Y-%m-%d}"
    for name in ("root-crl", "pck-crl", "tcb-info", "qe-identity"):
        record.rule(f"platform.{name}", lambda: None, known)
    return believed


def _appraise_received(
    record: Record,
    pck: VerifiedPck,
    given: bytes | RawCollateral | None,
    *,
    now: datetime,
    memo: Memo,
) -> VerifiedCollateral | None:
    collateral = record.check("platform.collateral", lambda: _collateral(given, memo), "at hand")
    if collateral is None:
        return None
    root_key = pck.root_key
    root_crl = record.check(
        "platform.root-crl",
        lambda: verify_root_crl(collateral, root_key=root_key, now=now, memo=memo),
        lambda crl: f"valid until {crl.next_update:%Y-%m-%d}, {len(crl.revoked)} revoked",
    )
    if root_crl is None:
        return None
    pck_crl = record.check(
        "platform.pck-crl",
        lambda: verify_pck_crl(collateral, root_crl=root_crl, root_key=root_key, now=now, memo=memo),
        lambda crl: f"valid until {crl.next_update:%Y-%m-%d}, {len(crl.revoked)} revoked",
    )
    tcb_info = record.check(
        "platform.tcb-info",
        lambda: verify_tcb_info(collateral, root_crl=root_crl, root_key=root_key, now=now, memo=memo),
        lambda document: _issued(document.issued),
    )
    qe_identity = record.check(
        "platform.qe-identity",
        lambda: verify_qe_identity(collateral, root_crl=root_crl, root_key=root_key, now=now, memo=memo),
        lambda document: _issued(document.issued),
    )
    if pck_crl is None or tcb_info is None or qe_identity is None:
        return None
    return gather_collateral(
        collateral,
        root_key=root_key,
        now=now,
        root_crl=root_crl,
        pck_crl=pck_crl,
        tcb_info=tcb_info,
        qe_identity=qe_identity,
        memo=memo,
    )


def _issued(issued: Issued) -> str:
    return f"issued {issued.issue_date:%Y-%m-%d}, valid until {issued.next_update:%Y-%m-%d}"


def _appraise_level(
    record: Record, verified: VerifiedQuote, believed: VerifiedCollateral
) -> TcbVerdict | None:
    quote, pck = verified.quote, verified.pck
    record.rule("platform.revocation", lambda: _not_revoked(pck, believed), "not revoked")
    record.rule(
        "platform.match",
        lambda: _matches(verified, believed),
        f"FMSPC {pck.extension.fmspc.hex()}, PCE {pck.extension.pce_id.hex()}",
    )
    record.rule(
        "platform.quoting-enclave",
        lambda: _is_described(verified, believed),
        f"version {quote.qe_report.isv_svn}, signer {quote.qe_report.mrsigner.hex()}",
    )
    if not record.passed("platform.match") or not record.passed("platform.quoting-enclave"):
        return None
    return record.check(
        "platform.tcb",
        lambda: match_tcb(verified, tcb_info=believed.tcb_info, qe_identity=believed.qe_identity),
        lambda judgement: f"a level of {judgement.platform.tcb_date:%Y-%m-%d}",
    )


def _not_revoked(pck: VerifiedPck, believed: VerifiedCollateral) -> None:
    check_not_revoked(pck, root_crl=believed.root_crl, pck_crl=believed.pck_crl)


def _matches(verified: VerifiedQuote, believed: VerifiedCollateral) -> None:
    check_platform(verified.pck, tee=verified.quote.header.tee, tcb_info=believed.tcb_info)


def _is_described(verified: VerifiedQuote, believed: VerifiedCollateral) -> None:
    check_qe_identity(verified.quote, believed.qe_identity)


def _appraise_judgement(record: Record, judgement: TcbVerdict, policy: Policy) -> None:
    record.rule(
        "platform.status",
        lambda: _status(judgement, policy),
        judgement.status.value,
        required=f"one of {', '.join(sorted(status.value for status in policy.tcb_statuses))}",
    )
    record.rule(
        "platform.advisories",
        lambda: _advisories(judgement, policy),
        ", ".join(judgement.advisories) or "none",
        required=_accepted_advisories(policy),
    )
    record.rule(
        "platform.evaluation-number",
        lambda: _evaluation_number(judgement, policy),
        str(judgement.evaluation_number),
        required=f"at least {policy.min_evaluation_number}",
    )


def _status(judgement: TcbVerdict, policy: Policy) -> None:
    if judgement.status is TcbStatus.REVOKED:
        raise VerificationError("tcb status: Revoked, which no policy can accept")
    if judgement.status not in policy.tcb_statuses:
        raise PolicyError(f"tcb status: {judgement.status.value}, which policy {policy.name} does not accept")


def _advisories(judgement: TcbVerdict, policy: Policy) -> None:
    if policy.advisories is Word.ANY:
        return
    accepted = policy.advisories if isinstance(policy.advisories, frozenset) else frozenset[str]()
    if unaccepted := sorted(set(judgement.advisories) - accepted):
        raise PolicyError(f"advisories: {', '.join(unaccepted)}, which policy {policy.name} does not accept")


def _accepted_advisories(policy: Policy) -> str:
    if isinstance(policy.advisories, frozenset):
        return f"at most {', '.join(sorted(policy.advisories))}"
    return policy.advisories.value


def _evaluation_number(judgement: TcbVerdict, policy: Policy) -> None:
    if judgement.evaluation_number < policy.min_evaluation_number:
        raise PolicyError(
            f"evaluation number: {judgement.evaluation_number}, "
            f"policy {policy.name} wants at least {policy.min_evaluation_number}"
        )


def _appraise_age(record: Record, believed: VerifiedCollateral, policy: Policy, now: datetime) -> None:
    age = now - believed.issued_at
    limit = policy.max_collateral_age
    record.rule(
        "platform.collateral-age",
        lambda: _age(age, policy),
        f"{age.days} days",
        required=f"at most {limit.days} days" if isinstance(limit, timedelta) else limit.value,
    )


def _age(age: timedelta, policy: Policy) -> None:
    limit = policy.max_collateral_age
    if isinstance(limit, timedelta) and age > limit:
        raise PolicyError(f"collateral age: {age.days} days, policy {policy.name} wants at most {limit.days}")


def _appraise_known(record: Record, pck: VerifiedPck, policy: Policy) -> None:
    listed = isinstance(policy.platforms, frozenset)
    record.rule(
        "platform.known",
        lambda: _known(pck, policy),
        f"PPID {pck.extension.ppid.hex()}",
        required="a platform of your policy's list" if listed else "any platform",
    )


def _known(pck: VerifiedPck, policy: Policy) -> None:
    if isinstance(policy.platforms, frozenset) and pck.extension.ppid not in policy.platforms:
        raise PolicyError(f"platform: PPID {pck.extension.ppid.hex()} is not in the policy's list")
