"""Third question of a verification: is the enclave closed to its host.

Spec: docs/spec/verification.md, 3.
"""

from sealroom.core.attestation.quote_checks import (
    VerifiedQuote,
    check_attributes,
    check_config_and_family_zero,
    check_not_debug,
)
from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.record import Record


def appraise_enclave(record: Record, verified: VerifiedQuote, policy: Policy) -> SgxReport | None:
    """Record the checks 3.1 to 3.4; return the SGX report, of an enclave that may still have failed them.

    1. The kind of TEE. 2. Not debuggable. 3. The policy's attributes. 4. Nothing in the fields that the host
    chooses.
    """
    quote = verified.quote
    record.rule("enclave.debug", lambda: _not_debug(verified), "off")
    report = record.check("enclave.tee", lambda: _sgx_report(verified, policy), quote.header.tee.name)
    if report is None:
        return None
    record.rule(
        "enclave.attributes",
        lambda: _attributes(report, policy),
        f"flags 0x{report.flags:x}, xfrm 0x{report.xfrm:x}, miscselect 0x{report.miscselect:x}",
    )
    record.rule("enclave.config", lambda: _config(report), "zero")
    return report


def _sgx_report(verified: VerifiedQuote, policy: Policy) -> SgxReport:
    tee, body = verified.quote.header.tee, verified.quote.body
    if tee not in policy.tee:
        raise PolicyError(f"tee: {tee.name}, which policy {policy.name} does not accept")
    if not isinstance(body, SgxReport):
        raise VerificationError(f"tee: {tee.name}, and computations run in SGX enclaves only")
    return body


def _not_debug(verified: VerifiedQuote) -> None:
    check_not_debug(verified.quote.body)


def _attributes(report: SgxReport, policy: Policy) -> None:
    check_attributes(report, policy.attributes)


def _config(report: SgxReport) -> None:
    check_config_and_family_zero(report)
