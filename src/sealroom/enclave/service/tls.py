"""What a service shows of itself in TLS: one key, its certificate, and the rules of the handshake.

Only TLS 1.3 is spoken and no session is resumed: each connection shows the certificate, and has an exporter
of its own. Must never write a private key anywhere. Spec: docs/spec/services.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates
from OpenSSL import SSL

from sealroom.core.errors import MalformedError, VerificationError

MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1)

TlsKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """The handshake's side of a service. `key_info` is the SubjectPublicKeyInfo of the certificate shown."""

    context: SSL.Context
    key_info: bytes


def attested_tls(key: ec.EllipticCurvePrivateKey, certificate_der: bytes) -> ServerTls:
    """Serve with the enclave's own key and the certificate that its quote stands in."""
    return _server_tls(key, [load_der_x509_certificate(certificate_der)])


def own_tls(key_pem: str, chain_pem: bytes) -> ServerTls:
    """Serve with a key that was delivered, and the certificates that go with it, the server's own first.

    Raises `MalformedError` for another kind of key or what is no chain, `VerificationError` where the first
    certificate is of another key.
    """
    key = _load_key(key_pem)
    try:
        chain = load_pem_x509_certificates(chain_pem)
        shown = public_key_info(chain[0].public_key())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise MalformedError("own certificate: expected certificates in PEM") from exc
    if shown != public_key_info(key.public_key()):
        raise VerificationError("own certificate: not of the key that was delivered")
    try:
        return _server_tls(key, chain)
    except SSL.Error as exc:
        raise MalformedError("own certificate: one that TLS does not take") from exc


def public_key_info(key: PublicKeyTypes) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a public key."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def uncompressed_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the 65 octets of a P-256 key's public point."""
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _load_key(pem: str) -> TlsKey:
    try:
        key: PrivateKeyTypes = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    # The text of such an error may hold a part of the key.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedError("ssl_private_key: expected a private key in PEM, without passphrase") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return key
    raise MalformedError(f"ssl_private_key: expected P-256, P-384 or RSA of at least {MIN_RSA_BITS} bits")


def _server_tls(key: TlsKey, chain: list[Certificate]) -> ServerTls:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_verify(SSL.VERIFY_NONE)
    context.use_certificate(chain[0])
    for certificate in chain[1:]:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(key)
    context.check_privatekey()
    return ServerTls(context=context, key_info=public_key_info(key.public_key()))
