"""Sixth and seventh question of a verification: whose code is it, and whose keys are they.

Spec: docs/spec/verification.md, 6 and 7.
"""

import hmac

from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.packages import check_listed
from sealroom.core.evidence.record import Record
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.code_list import verify_code_signature
from sealroom.core.wire.participants import Role
from sealroom.core.wire.report_data import check_report_data
from sealroom.core.wire.terms import ENTRY, DeliveryForm

_BOX_KEY_AT = 32
_UNSIGNED = "none in the form of delivery that your policy allows: the measured digest alone names the code"


def appraise_code(
    record: Record, bundle: EvidenceBundle, *, arguments: Arguments, expected: Expectations | None
) -> None:
    """Record the checks 6.1, 6.2 and 6.4, over a code list that is the measured one.

    1. Its provider's signature. 2. `run.py` is the one listed. 4. The code one knows. The third, packages,
    comes before the manifest, which has their files.
    """
    provider = arguments.in_role(Role.CODE_PROVIDER)[0]
    if arguments.terms.delivery is DeliveryForm.LEGACY:
        record.rule("code.signature", lambda: _no_signature(bundle), _UNSIGNED, required=_UNSIGNED)
    else:
        record.rule("code.signature", lambda: _signature(bundle, arguments), f"by {provider.email}")
    record.rule("code.entry-point", lambda: check_listed(bundle, ENTRY, bundle.entry_point), "as listed")
    if expected is None:
        record.not_reached("code.expected", "no invitation was given to compare it with")
        return
    known = "any that its provider signed" if expected.code_digest is None else "the one you know"
    record.rule("code.expected", lambda: _expected(arguments, expected), known)


def appraise_keys(record: Record, bundle: EvidenceBundle, *, report: SgxReport) -> bytes | None:
    """Record the check 7.1; return the enclave's box key once the quote is known to bind both its keys."""
    return record.check(
        "keys.report-data",
        lambda: _bound_box_key(bundle, report),
        lambda box_pk: f"identity key {bundle.identity_pk.hex()}, box key {box_pk.hex()}",
    )


def _no_signature(bundle: EvidenceBundle) -> None:
    """Refuse a signature where the form of delivery has none: it would pass for one that was checked."""
    if bundle.code_signature is not None:
        raise VerificationError("code signature: there is one, and the form of delivery has none")


def _signature(bundle: EvidenceBundle, arguments: Arguments) -> None:
    if bundle.code_signature is None:
        raise VerificationError("code signature: there is none")
    verify_code_signature(
        public_key=arguments.in_role(Role.CODE_PROVIDER)[0].public_key,
        computation=arguments.computation,
        digest=arguments.code_digest,
        signature=bundle.code_signature,
    )


def _expected(arguments: Arguments, expected: Expectations) -> None:
    known = expected.code_digest
    if known is not None and not hmac.compare_digest(known, arguments.code_digest):
        raise VerificationError(f"code: digest {arguments.code_digest.hex()}, you know {known.hex()}")


def _bound_box_key(bundle: EvidenceBundle, report: SgxReport) -> bytes:
    box_pk = report.report_data[_BOX_KEY_AT:]
    check_report_data(report.report_data, identity_pk=bundle.identity_pk, box_pk=box_pk)
    return box_pk
