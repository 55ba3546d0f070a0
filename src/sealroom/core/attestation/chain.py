"""From an unordered heap of certificates to a chain whose every link was verified.

Order comes from subject and issuer, never from position. Nothing here knows which root is trusted:
`roots.py`. Specification: docs/spec/quotes.md, "Certificates".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.certificates import Certificate, parse_certificate
from sealroom.core.attestation.memo import Memo
from sealroom.core.attestation.pem import decode_block, split_pem
from sealroom.core.attestation.roots import is_published_root
from sealroom.core.attestation.signatures import verify_der_signature
from sealroom.core.errors import MalformedError, SealroomError, VerificationError

ROOT_NAME = "SGX Root CA"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateChain:
    """Certificates ordered by name from the leaf to the self-issued root; no signature checked yet."""

    certificates: tuple[Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        """The certificate that issues no other."""
        return self.certificates[0]

    @property
    def root(self) -> Certificate:
        """The self-issued certificate."""
        return self.certificates[-1]


def parse_chain(pem: bytes, *, length: int, name: str, memo: Memo | None = None) -> CertificateChain:
    """Read `pem` as exactly `length` certificates that form one chain by subject and issuer."""
    blocks = split_pem(pem)
    if len(blocks) != length:
        raise MalformedError(f"{name}: {len(blocks)} certificates, expected {length}")
    known = Memo() if memo is None else memo
    return order_chain(tuple(known.certificate(block, _read_block) for block in blocks), name=name)


def _read_block(block: bytes) -> Certificate:
    return parse_certificate(decode_block(block))


def order_chain(certificates: tuple[Certificate, ...], *, name: str) -> CertificateChain:
    """Order `certificates` from leaf to root by subject and issuer; every one must be used, none twice."""
    roots = [certificate for certificate in certificates if certificate.self_issued]
    if len(roots) != 1:
        raise MalformedError(f"{name}: {len(roots)} self-issued certificates, expected 1")
    ordered = [roots[0]]
    rest = [certificate for certificate in certificates if not certificate.self_issued]
    while rest:
        issued = [certificate for certificate in rest if certificate.issuer == ordered[-1].subject]
        if len(issued) != 1:
            raise MalformedError(f"{name}: certificates do not form one chain by subject and issuer")
        ordered.append(issued[0])
        rest.remove(issued[0])
    return CertificateChain(certificates=tuple(reversed(ordered)))


def verify_chain(
    chain: CertificateChain,
    *,
    now: datetime,
    name: str,
    stale: type[SealroomError] = VerificationError,
    memo: Memo | None = None,
) -> None:
    """Verify every link of `chain` up to its root, which must have signed itself.

    1. The root has the root's name. 2. Every issuer may sign certificates, at that depth. 3. Every
    signature verifies over the bytes received; Intel's two published roots are known by their digest.
    4. Every certificate is valid at `now`. Whether the root is anybody's is left to the caller.
    """
    if ROOT_NAME not in chain.root.common_name:
        raise VerificationError(f"{name}: root is not called {ROOT_NAME}")
    issuers = (*chain.certificates[1:], chain.root)
    for depth, (certificate, issuer) in enumerate(zip(chain.certificates, issuers, strict=True)):
        _check_may_issue(issuer, depth=min(depth, len(issuers) - 2), name=name)
        _verify_link(certificate, issuer, name=name, memo=memo)
    for certificate in chain.certificates:
        check_valid_at(certificate, now=now, name=name, stale=stale)


def _verify_link(certificate: Certificate, issuer: Certificate, *, name: str, memo: Memo | None) -> None:
    if certificate is issuer and is_published_root(certificate.raw):
        return
    key, tbs, signature = issuer.public_key, certificate.tbs, certificate.signature
    if memo is None or not memo.has_verified(key, tbs, signature):
        label = f"{name}, certificate {certificate.common_name!r}"
        verify_der_signature(key, message=tbs, signature=signature, name=label, memo=memo)


def _check_may_issue(issuer: Certificate, *, depth: int, name: str) -> None:
    if not issuer.rights.signs_certificates:
        raise VerificationError(f"{name}: {issuer.common_name!r} may not sign certificates")
    limit = issuer.rights.path_length
    if limit is not None and depth > limit:
        raise VerificationError(f"{name}: path below {issuer.common_name!r} is longer than {limit}")


def check_valid_at(certificate: Certificate, *, now: datetime, name: str, stale: type[SealroomError]) -> None:
    """Raise `stale` for a certificate outside its validity at `now`."""
    if not certificate.not_before <= now <= certificate.not_after:
        raise stale(
            f"{name}: certificate {certificate.common_name!r} is valid from "
            f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}, not at {now:%Y-%m-%d}"
        )
