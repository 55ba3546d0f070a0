"""From the nine members as received to documents that are believed: chains, revocation, signatures, dates.

Independent of any quote, so that one verified set serves many quotes while it is fresh. What a document
*means* for a platform: `tcb.py`. Specification: docs/spec/collateral.md.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime

from sealroom.core.attestation.certificates import Certificate
from sealroom.core.attestation.chain import CertificateChain, parse_chain, verify_chain
from sealroom.core.attestation.crl import Crl, check_fresh, parse_crl, verify_crl
from sealroom.core.attestation.document import (
    Issued,
    SignedDocument,
    open_document,
    parse_hex,
    read_document,
)
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck import PckCa, VerifiedPck
from sealroom.core.attestation.qe_identity import QeIdentity, read_qe_identity
from sealroom.core.attestation.signatures import RAW_SIGNATURE_BYTES
from sealroom.core.attestation.tcb_info import TcbInfo, read_tcb_info
from sealroom.core.errors import CollateralError, VerificationError
from sealroom.core.wire.bundle import RawCollateral

TCB_SIGNING_NAME = "SGX TCB Signing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """The nine members, parsed as far as is needed to verify them; nothing believed."""

    pck_crl_chain: CertificateChain
    root_crl: Crl
    pck_crl: Crl
    tcb_info: SignedDocument
    qe_identity: SignedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCollateral:
    """Collateral that verified at `verified_at` and does from `valid_from` to `valid_until`.

    `known` is what that verification found out of its bytes, for the memo of one that reuses the documents.
    """

    root_key: bytes
    root_crl: Crl
    pck_crl: Crl
    tcb_info: TcbInfo
    qe_identity: QeIdentity
    verified_at: datetime
    valid_from: datetime
    valid_until: datetime
    known: Memo = field(compare=False, repr=False)

    @property
    def issued_at(self) -> datetime:
        """When the older of the two documents was issued: what a maximum age is counted from."""
        return min(self.tcb_info.issued.issue_date, self.qe_identity.issued.issue_date)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From when until when something is good; the end may lie before the start."""

    starts: datetime
    ends: datetime


def parse_collateral(raw: RawCollateral, *, memo: Memo | None = None) -> Collateral:
    """Read the nine members of `raw`, leaving the two documents unread until their signatures verified.

    `RawCollateral` has only ASCII texts of bounded size.
    """
    memo = Memo() if memo is None else memo
    return Collateral(
        pck_crl_chain=_chain(raw.pck_crl_issuer_chain, "pck crl issuer chain", memo),
        root_crl=parse_crl(parse_hex(raw.root_ca_crl, size=None, field="root_ca_crl"), name="root crl"),
        pck_crl=parse_crl(parse_hex(raw.pck_crl, size=None, field="pck_crl"), name="pck crl"),
        tcb_info=_document(raw.tcb_info, raw.tcb_info_signature, raw.tcb_info_issuer_chain, "tcb info", memo),
        qe_identity=_document(
            raw.qe_identity, raw.qe_identity_signature, raw.qe_identity_issuer_chain, "qe identity", memo
        ),
    )


def verify_collateral(
    collateral: Collateral, *, root_key: bytes, now: datetime, memo: Memo | None = None
) -> VerifiedCollateral:
    """Verify everything in `collateral` at `now`, under the root key that the quote's PCK chain ends in.

    1. Root CRL. 2. PCK CRL. 3. TCB info. 4. QE identity. Raises `CollateralError` for what is stale and
    `VerificationError` for what is not believed.
    """
    memo = Memo() if memo is None else memo
    root_crl = verify_root_crl(collateral, root_key=root_key, now=now, memo=memo)
    pck_crl = verify_pck_crl(collateral, root_crl=root_crl, root_key=root_key, now=now, memo=memo)
    tcb_info = verify_tcb_info(collateral, root_crl=root_crl, root_key=root_key, now=now, memo=memo)
    qe_identity = verify_qe_identity(collateral, root_crl=root_crl, root_key=root_key, now=now, memo=memo)
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


def gather_collateral(
    collateral: Collateral,
    *,
    root_key: bytes,
    now: datetime,
    root_crl: Crl,
    pck_crl: Crl,
    tcb_info: TcbInfo,
    qe_identity: QeIdentity,
    memo: Memo,
) -> VerifiedCollateral:
    """Put together what the four `verify_*` of this module returned at `now`, sharing `memo`."""
    starts, ends = _windows(collateral, tcb_info.issued, qe_identity.issued)
    return VerifiedCollateral(
        root_key=root_key,
        root_crl=root_crl,
        pck_crl=pck_crl,
        tcb_info=tcb_info,
        qe_identity=qe_identity,
        verified_at=now,
        valid_from=max(starts),
        valid_until=min(ends),
        known=Memo(memo),
    )


def claimed_window(collateral: Collateral) -> Window:
    """Return when `collateral` says that it is good, for a cache or a warning: nothing of it is verified."""
    documents = (
        (collateral.tcb_info, read_tcb_info, "tcb info"),
        (collateral.qe_identity, read_qe_identity, "qe identity"),
    )
    tcb_info, qe_identity = (read(read_document(raw, name=name)) for raw, read, name in documents)
    starts, ends = _windows(collateral, tcb_info.issued, qe_identity.issued)
    return Window(starts=max(starts), ends=min(ends))


def check_reusable(believed: VerifiedCollateral, pck: VerifiedPck, now: datetime) -> None:
    """Refuse documents that were verified under another root, or are not of `now`."""
    if not hmac.compare_digest(believed.root_key, pck.root_key):
        raise VerificationError("collateral: verified under another root key than the quote's certificates")
    check_fresh(believed.valid_from, believed.valid_until, now=now, name="collateral")


def verify_root_crl(
    collateral: Collateral, *, root_key: bytes, now: datetime, memo: Memo | None = None
) -> Crl:
    """Verify the root's revocation list: by the root that ends the PCK CRL's issuer chain."""
    _verify_chain(
        collateral.pck_crl_chain, root_key=root_key, now=now, name="pck crl issuer chain", memo=memo
    )
    return verify_crl(
        collateral.root_crl, signer=collateral.pck_crl_chain.root, now=now, name="root crl", memo=memo
    )


def verify_pck_crl(
    collateral: Collateral, *, root_crl: Crl, root_key: bytes, now: datetime, memo: Memo | None = None
) -> Crl:
    """Verify the PCK CA's revocation list; its issuer must be a PCK CA that is not revoked."""
    _verify_chain(
        collateral.pck_crl_chain, root_key=root_key, now=now, name="pck crl issuer chain", memo=memo
    )
    ca = collateral.pck_crl_chain.leaf
    if not any(name.value in ca.common_name for name in PckCa):
        raise VerificationError(f"pck crl issuer chain: {ca.common_name!r} is not a PCK CA")
    _check_serial(ca, root_crl, "pck crl issuer")
    return verify_crl(collateral.pck_crl, signer=ca, now=now, name="pck crl", memo=memo)


def verify_tcb_info(
    collateral: Collateral, *, root_crl: Crl, root_key: bytes, now: datetime, memo: Memo | None = None
) -> TcbInfo:
    """Verify the TCB info's signer, signature and dates, and read it."""
    document = collateral.tcb_info
    _verify_chain(document.chain, root_key=root_key, now=now, name="tcb info issuer chain", memo=memo)
    _check_signer(document.chain.leaf, root_crl, name="tcb info issuer chain")
    tcb_info = read_tcb_info(open_document(document, name="tcb info", memo=memo))
    check_fresh(tcb_info.issued.issue_date, tcb_info.issued.next_update, now=now, name="tcb info")
    return tcb_info


def verify_qe_identity(
    collateral: Collateral, *, root_crl: Crl, root_key: bytes, now: datetime, memo: Memo | None = None
) -> QeIdentity:
    """Verify the QE identity's signer, signature and dates, and read it."""
    document = collateral.qe_identity
    _verify_chain(document.chain, root_key=root_key, now=now, name="qe identity issuer chain", memo=memo)
    _check_signer(document.chain.leaf, root_crl, name="qe identity issuer chain")
    identity = read_qe_identity(open_document(document, name="qe identity", memo=memo))
    check_fresh(identity.issued.issue_date, identity.issued.next_update, now=now, name="qe identity")
    return identity


def check_not_revoked(pck: VerifiedPck, *, root_crl: Crl, pck_crl: Crl) -> None:
    """Refuse a revoked PCK CA or PCK certificate; both lists must have been verified."""
    if pck_crl.issuer != pck.leaf.issuer:
        raise VerificationError(
            f"pck crl: not the list of the CA that issued the PCK certificate ({pck.issuer.value})"
        )
    _check_serial(pck.ca, root_crl, "pck ca")
    _check_serial(pck.leaf, pck_crl, "pck certificate")


def _check_serial(certificate: Certificate, crl: Crl, name: str) -> None:
    if certificate.serial in crl.revoked:
        raise VerificationError(f"{name}: certificate {certificate.serial:x} is revoked")


def _check_signer(leaf: Certificate, root_crl: Crl, *, name: str) -> None:
    if TCB_SIGNING_NAME not in leaf.common_name:
        raise VerificationError(f"{name}: signer is called {leaf.common_name!r}, not {TCB_SIGNING_NAME}")
    if not leaf.rights.signs_documents:
        raise VerificationError(f"{name}: {leaf.common_name!r} is a CA or may not sign")
    _check_serial(leaf, root_crl, name)


def _verify_chain(
    chain: CertificateChain, *, root_key: bytes, now: datetime, name: str, memo: Memo | None
) -> None:
    # Compared with the root of the quote's own chain: documents of another root say nothing about it.
    if not hmac.compare_digest(chain.root.public_key, root_key):
        raise VerificationError(f"{name}: ends in another root key than the quote's certificates")
    verify_chain(chain, now=now, name=name, stale=CollateralError, memo=memo)


def _chain(pem: str, name: str, memo: Memo) -> CertificateChain:
    return parse_chain(pem.encode("ascii"), length=2, name=name, memo=memo)


def _document(text: str, signature: str, chain: str, name: str, memo: Memo) -> SignedDocument:
    return SignedDocument(
        raw=text.encode("ascii"),
        signature=parse_hex(signature, size=RAW_SIGNATURE_BYTES, field=f"{name} signature"),
        chain=_chain(chain, f"{name} issuer chain", memo),
    )


def _windows(collateral: Collateral, *documents: Issued) -> tuple[list[datetime], list[datetime]]:
    chains = (collateral.pck_crl_chain, collateral.tcb_info.chain, collateral.qe_identity.chain)
    certificates = [certificate for chain in chains for certificate in chain.certificates]
    crls = (collateral.root_crl, collateral.pck_crl)
    starts = [
        *(certificate.not_before for certificate in certificates),
        *(crl.this_update for crl in crls),
        *(issued.issue_date for issued in documents),
    ]
    ends = [
        *(certificate.not_after for certificate in certificates),
        *(crl.next_update for crl in crls),
        *(issued.next_update for issued in documents),
    ]
    return starts, ends
