"""The PCK certificate: which platform signed, at which TCB level, and the chain that vouches for it.

Must never decide whether a root is trusted beyond naming its provenance. Specification: docs/spec/quotes.md,
"Certificates" and "SGX extension".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.certificates import Certificate
from sealroom.core.attestation.chain import CertificateChain, parse_chain, verify_chain
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pck_extension import SGX_EXTENSION, PckExtension, parse_pck_extension
from sealroom.core.attestation.quote import CertificationData, CertificationKind
from sealroom.core.attestation.roots import Provenance, provenance_of
from sealroom.core.errors import CollateralError, VerificationError

LEAF_NAME = "SGX PCK Certificate"


class PckCa(enum.Enum):
    """The two certification authorities that issue PCK certificates, by what their name contains."""

    PLATFORM = "SGX PCK Platform CA"
    PROCESSOR = "SGX PCK Processor CA"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPck:
    """A PCK chain whose links verified at `verified_at`. `provenance` says whose root key it ends in."""

    leaf: Certificate
    ca: Certificate
    root_key: bytes
    provenance: Provenance
    issuer: PckCa
    extension: PckExtension
    verified_at: datetime


def parse_pck_certificates(certification: CertificationData, *, memo: Memo | None = None) -> CertificateChain:
    """Read the PCK chain that a quote carries, ordered leaf, CA, root.

    Raises `CollateralError` for certification data that only names the platform: its certificate would
    have to be looked up, which is the caller's to do (`parse_pck_chain`).
    """
    if certification.kind is not CertificationKind.PCK_CHAIN:
        raise CollateralError(
            f"certification data type {certification.kind.value}: the PCK chain must be fetched"
        )
    return parse_pck_chain(certification.raw.removesuffix(b"\0"), memo=memo)


def parse_pck_chain(pem: bytes, *, memo: Memo | None = None) -> CertificateChain:
    """Read a PCK chain that came by other ways than the quote; exactly leaf, CA and root in any order."""
    return parse_chain(pem, length=3, name="pck chain", memo=memo)


def verify_pck_chain(chain: CertificateChain, *, now: datetime, memo: Memo | None = None) -> VerifiedPck:
    """Verify a PCK chain at `now` and read the platform out of its leaf.

    1. Links, rights and dates (`verify_chain`). 2. The names are those of a PCK chain. 3. The leaf signs
    no certificates. 4. The SGX extension parses, from bytes that are signed by now. 5. Provenance by the
    root key.
    """
    verify_chain(chain, now=now, name="pck chain", memo=memo)
    leaf, ca, root = chain.certificates
    issuer = _pck_ca(ca)
    if LEAF_NAME not in leaf.common_name:
        raise VerificationError(f"pck chain: leaf is called {leaf.common_name!r}, not {LEAF_NAME}")
    if not leaf.rights.signs_documents:
        raise VerificationError("pck chain: leaf is a CA or may not sign")
    extension = leaf.extensions.get(SGX_EXTENSION)
    if extension is None:
        raise VerificationError("pck chain: leaf has no SGX extension")
    return VerifiedPck(
        leaf=leaf,
        ca=ca,
        root_key=root.public_key,
        provenance=provenance_of(root.public_key),
        issuer=issuer,
        extension=parse_pck_extension(extension),
        verified_at=now,
    )


def _pck_ca(certificate: Certificate) -> PckCa:
    for ca in PckCa:
        if ca.value in certificate.common_name:
            return ca
    raise VerificationError(f"pck chain: {certificate.common_name!r} is not a PCK CA")
