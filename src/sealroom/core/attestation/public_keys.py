"""Public keys of certificates that carry evidence or sign tokens: P-256, P-384, RSA; and their signatures.

Specification: docs/spec/ra-tls.md, "Certificate".
"""

from __future__ import annotations

import enum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from sealroom.core.attestation import der
from sealroom.core.attestation.der import DerReader
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.ra_tls import CertificateKey, KeyAlgorithm

MIN_BELIEVED_RSA_BITS = 2048
_MIN_RSA_BITS, _MAX_RSA_BITS = 1024, 4096
_RSA_EXPONENT = 65_537
_CURVES: dict[KeyAlgorithm, ec.EllipticCurve] = {
    KeyAlgorithm.P256: ec.SECP256R1(),
    KeyAlgorithm.P384: ec.SECP384R1(),
}


class SignatureAlgorithm(enum.Enum):
    """The signature algorithms of such certificates, as the content of the OBJECT IDENTIFIER."""

    ECDSA_SHA256 = der.object_identifier("1.2.840.10045.4.3.2")
    ECDSA_SHA384 = der.object_identifier("1.2.840.10045.4.3.3")
    RSA_SHA256 = der.object_identifier("1.2.840.113549.1.1.11")


def read_key(reader: DerReader) -> CertificateKey:
    """Take a SubjectPublicKeyInfo; the key in it is one that can verify."""
    info = reader.whole(der.SEQUENCE, "public key")
    inner = DerReader(info).inside(der.SEQUENCE, "public key")
    raw_algorithm = inner.whole(der.SEQUENCE, "key algorithm")
    try:
        algorithm = KeyAlgorithm(raw_algorithm)
    except ValueError as exc:
        raise MalformedError("key algorithm: none of P-256, P-384 and RSA") from exc
    key = CertificateKey(algorithm=algorithm, info=info, content=inner.bits("public key"))
    inner.finish("public key")
    if algorithm is KeyAlgorithm.RSA:
        _rsa_key(key)
    else:
        _curve_key(key)
    return key


def verify_signature(
    key: CertificateKey, algorithm: SignatureAlgorithm, *, message: bytes, signature: bytes, name: str
) -> None:
    """Verify `signature` over `message` by `key`; `name` says whose in the error."""
    is_rsa = algorithm is SignatureAlgorithm.RSA_SHA256
    if is_rsa is not (key.algorithm is KeyAlgorithm.RSA):
        raise VerificationError(f"{name}: {algorithm.name} cannot be by a key of {key.algorithm.name}")
    try:
        if is_rsa:
            _strong_rsa_key(key, name).verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            _curve_key(key).verify(signature, message, ec.ECDSA(_digest(algorithm)))
    except InvalidSignature as exc:
        raise VerificationError(f"{name}: signature does not verify") from exc


def _digest(algorithm: SignatureAlgorithm) -> hashes.HashAlgorithm:
    return hashes.SHA384() if algorithm is SignatureAlgorithm.ECDSA_SHA384 else hashes.SHA256()


def _curve_key(key: CertificateKey) -> ec.EllipticCurvePublicKey:
    curve = _CURVES[key.algorithm]
    if len(key.content) != 1 + 2 * ((curve.key_size + 7) // 8) or key.content[0] != 4:
        raise MalformedError(f"public key: not an uncompressed point of {key.algorithm.name}")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, key.content)
    except ValueError as exc:
        raise MalformedError(f"public key: not a point of {key.algorithm.name}") from exc


def _rsa_key(key: CertificateKey) -> rsa.RSAPublicKey:
    outer = DerReader(key.content)
    reader = outer.inside(der.SEQUENCE, "rsa public key")
    outer.finish("rsa public key")
    modulus = reader.integer("rsa modulus", max_bytes=1 + _MAX_RSA_BITS // 8)
    exponent = reader.integer("rsa exponent", max_bytes=4)
    reader.finish("rsa public key")
    if not _MIN_RSA_BITS <= modulus.bit_length() <= _MAX_RSA_BITS or not modulus & 1:
        raise MalformedError(f"rsa modulus: not an odd number of {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits")
    if exponent != _RSA_EXPONENT:
        raise MalformedError(f"rsa exponent: {exponent}, expected {_RSA_EXPONENT}")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _strong_rsa_key(key: CertificateKey, name: str) -> rsa.RSAPublicKey:
    loaded = _rsa_key(key)
    if loaded.key_size < MIN_BELIEVED_RSA_BITS:
        raise VerificationError(
            f"{name}: rsa key of {loaded.key_size} bits, believed from {MIN_BELIEVED_RSA_BITS} on"
        )
    return loaded
