"""First question of a verification: is the quote genuine.

Every signature from the root down to the bytes of the quote. Nothing the quote says is used before all of
them held; what any of it is worth is left to the questions after this one.

Spec: docs/spec/verification.md, 1.
"""

from collections.abc import Sequence
from datetime import datetime

from sealroom.core.attestation.chain import CertificateChain
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck import (
    VerifiedPck,
    parse_pck_certificates,
    parse_pck_chain,
    verify_pck_chain,
)
from sealroom.core.attestation.quote import CertificationKind, Quote, parse_quote
from sealroom.core.attestation.quote_checks import (
    VerifiedQuote,
    check_attestation_key,
    check_trailing,
    check_vendor,
    verify_isv_signature,
    verify_qe_report_signature,
    verify_quote_signatures,
)
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY, Provenance
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.record import Record


def appraise_genuineness(
    record: Record,
    raw_quote: bytes,
    *,
    roots: Sequence[bytes],
    now: datetime,
    memo: Memo,
    accept_zero_padding: bool,
    pck_chain: bytes | None = None,
) -> VerifiedQuote | None:
    """Record the checks 1.1 to 1.8; return the quote if its every signature held, simulated or not.

    1. It parses. 2. Nothing follows it. 3. Its certificates form a valid chain. 4. The root is one of
    `roots`. 5. The vendor belongs to the root. 6. The platform signed the quoting enclave's report, 7. which
    binds the attestation key, 8. which signed header and body. `pck_chain` is used where the quote has none.
    What follows a quote is refused, and changes nothing of what was signed.
    """
    quote = record.check("quote.form", lambda: parse_quote(raw_quote), _shown_form)
    if quote is None:
        return None
    trailing = f"{len(quote.trailing)} bytes, all zero" if quote.trailing else "no byte"
    record.rule(
        "quote.trailing", lambda: check_trailing(quote, accept_zero_padding=accept_zero_padding), trailing
    )
    pck = record.check(
        "quote.chain",
        lambda: verify_pck_chain(_certificates(quote, pck_chain, memo), now=now, memo=memo),
        lambda found: f"{found.leaf.common_name}, issued by {found.ca.common_name}",
    )
    if pck is None:
        return None
    _appraise_root(record, pck, roots)
    record.rule("quote.vendor", lambda: check_vendor(quote, pck), pck.provenance.value)
    record.rule(
        "quote.qe-signature", lambda: verify_qe_report_signature(quote, pck, memo=memo), "signature holds"
    )
    record.rule("quote.attestation-key", lambda: check_attestation_key(quote), "bound")
    record.rule("quote.signature", lambda: verify_isv_signature(quote, memo=memo), "signature holds")
    if not all(record.passed(name) for name in _SIGNATURES) or record.failed("quote.root"):
        return None
    return verify_quote_signatures(quote, pck, memo=memo)


_SIGNATURES = (
    "quote.vendor",
    "quote.qe-signature",
    "quote.attestation-key",
    "quote.signature",
)


def _certificates(quote: Quote, pck_chain: bytes | None, memo: Memo) -> CertificateChain:
    """Return the chain that the quote carries, or the one given for a quote that only names its platform."""
    if pck_chain is not None and quote.certification.kind is not CertificationKind.PCK_CHAIN:
        return parse_pck_chain(pck_chain, memo=memo)
    return parse_pck_certificates(quote.certification, memo=memo)


def _appraise_root(record: Record, pck: VerifiedPck, roots: Sequence[bytes]) -> None:
    """Accept Intel's key only; another root is simulated, and refused where `roots` names others."""
    simulated_roots = [root for root in roots if root != INTEL_SGX_ROOT_KEY]
    listed = pck.root_key in roots
    if pck.provenance is Provenance.SIMULATED and (listed or not simulated_roots):
        record.simulated("quote.root", f"a throw-away key, not Intel's: {pck.root_key.hex()}")
        return
    record.rule("quote.root", lambda: _listed(listed, pck.root_key), "Intel's key")


def _listed(listed: bool, root_key: bytes) -> None:
    if not listed:
        raise VerificationError(f"root key: {root_key.hex()} is none of those to be accepted")


def _shown_form(quote: Quote) -> str:
    return f"a quote of version {quote.header.version} about {quote.header.tee.name}"
