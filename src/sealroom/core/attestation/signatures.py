"""ECDSA on P-256 with SHA-256, the only signature of quotes, certificates and collateral.

Signatures are verified over bytes as received. They are malleable (`s` and `n - s` both verify), so
nothing may be identified by a hash over one. Specification: docs/spec/quotes.md.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sealroom.core.attestation.memo import Memo
from sealroom.core.errors import MalformedError, VerificationError

RAW_SIGNATURE_BYTES = 64
POINT_BYTES = 65
_UNCOMPRESSED = b"\x04"
_CURVE = ec.SECP256R1()
_ECDSA = ec.ECDSA(hashes.SHA256())


def parse_point(raw: bytes, *, name: str) -> ec.EllipticCurvePublicKey:
    """Read `raw` as an uncompressed P-256 point, which lies on the curve."""
    if len(raw) != POINT_BYTES or raw[:1] != _UNCOMPRESSED:
        raise MalformedError(f"{name}: not an uncompressed point of {POINT_BYTES} bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, raw)
    except ValueError as exc:
        raise MalformedError(f"{name}: not a point of P-256") from exc


def verify_der_signature(
    point: bytes, *, message: bytes, signature: bytes, name: str, memo: Memo | None = None
) -> None:
    """Verify a DER `signature` over `message` by the key `point`; `name` says whose in the error.

    With a `memo`, the same signature over the same bytes by the same key is verified once.
    """
    if memo is not None and memo.has_verified(point, message, signature):
        return

    def load(raw: bytes) -> ec.EllipticCurvePublicKey:
        return parse_point(raw, name=f"key of {name}")

    key = load(point) if memo is None else memo.key(point, load)
    try:
        key.verify(signature, message, _ECDSA)
    except InvalidSignature as exc:
        raise VerificationError(f"{name}: signature does not verify") from exc
    if memo is not None:
        memo.note_verified(point, message, signature)


def verify_raw_signature(
    point: bytes, *, message: bytes, signature: bytes, name: str, memo: Memo | None = None
) -> None:
    """Verify a `signature` of the form r || s over `message` by the key `point`."""
    if len(signature) != RAW_SIGNATURE_BYTES:
        raise MalformedError(f"{name}: signature of {len(signature)} bytes, not {RAW_SIGNATURE_BYTES}")
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    verify_der_signature(point, message=message, signature=encode_dss_signature(r, s), name=name, memo=memo)
