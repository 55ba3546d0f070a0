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
    """Signatures that verified, and certificates that were read, in one verification.

    Begins with what `known` holds: documents that were verified before and are used again bring their own.
    """

    __slots__ = ("_certificates", "_keys", "_verified")

    def __init__(self, known: Memo | None = None) -> None:
        self._verified: set[tuple[bytes, bytes, bytes]] = set()
        self._certificates: dict[bytes, Certificate] = {}
        self._keys: dict[bytes, EllipticCurvePublicKey] = {}
        if known is not None:
            self._verified |= known._verified  # noqa: SLF001 - of the same class
            self._certificates |= known._certificates  # noqa: SLF001
            self._keys |= known._keys  # noqa: SLF001

    def has_verified(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether exactly this signature by exactly this key over exactly these bytes verified before."""
        return (key, message, signature) in self._verified

    def note_verified(self, key: bytes, message: bytes, signature: bytes) -> None:
        """Remember a signature that has just verified."""
        self._verified.add((key, message, signature))

    def key(self, point: bytes, parse: Callable[[bytes], EllipticCurvePublicKey]) -> EllipticCurvePublicKey:
        """Return what `parse` makes of `point`, made once."""
        found = self._keys.get(point)
        if found is None:
            found = self._keys[point] = parse(point)
        return found

    def certificate(self, block: bytes, parse: Callable[[bytes], Certificate]) -> Certificate:
        """Return what `parse` makes of the PEM text `block`, made once."""
        found = self._certificates.get(block)
        if found is None:
            found = self._certificates[block] = parse(block)
        return found
