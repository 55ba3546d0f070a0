"""What one verification has already found out, so that it does the same work once.

The chains of one verification share certificates, and a verdict looks at one document from several sides. Two
facts are kept, each a matter of the bytes alone: which signatures verified (key, message, signature, all
compared whole), and how certificates and keys read. Must never keep that anything is trusted, valid or not
revoked: those are decided anew each time. Lives as long as one verification, unless its owner says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from sealroom.core.attestation.certificates import Certificate


class Memo:
    """Signatures that verified, and certificates that were read, in one verification."""

    __slots__ = ("_certificates", "_keys", "_verified")

    def __init__(self) -> None:
        self._verified: set[tuple[bytes, bytes, bytes]] = set()
        self._certificates: dict[bytes, Certificate] = {}
        self._keys: dict[bytes, EllipticCurvePublicKey] = {}

    def has_verified(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether exactly this signature by exactly this key over exactly these bytes verified before."""
        return (key, message, signature) in self._verified

    def note_verified(self, key: bytes, message: bytes, signature: bytes) -> None:
        """Remember a signature that has just verified."""
        self._verified.add((key, message, signature))

    def note_certificate(self, certificate: Certificate) -> None:
        """Remember a certificate that was read before."""
        self._certificates[certificate.raw] = certificate

    def key(self, point: bytes, parse: Callable[[bytes], EllipticCurvePublicKey]) -> EllipticCurvePublicKey:
        """Return what `parse` makes of `point`, made once."""
        found = self._keys.get(point)
        if found is None:
            found = self._keys[point] = parse(point)
        return found

    def certificate(self, raw: bytes, parse: Callable[[bytes], Certificate]) -> Certificate:
        """Return what `parse` makes of `raw`, made once."""
        found = self._certificates.get(raw)
        if found is None:
            found = self._certificates[raw] = parse(raw)
        return found
