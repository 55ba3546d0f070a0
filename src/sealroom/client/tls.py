"""TLS to a server that the invitation pinned: its certificate is known in full, or nothing is sent.

Must never: send a byte of a request over a connection whose certificate was not the pinned one, or fall back
to the system's trust when a pin was given.
"""

import hashlib
import hmac
import socket
import ssl

import httpx

from sealroom.core.errors import TransportError, VerificationError

SHA256_SIZE = 32


class UntrustedServerError(VerificationError):
    """The server at this address shows a certificate that is not the pinned or a trusted one."""


def server_context(
    url: httpx.URL, *, certificate_sha256: bytes | None, timeout_seconds: float
) -> ssl.SSLContext:
    """Return the context for requests to `url`.

    With a pin: one connection without trust fetches the certificate, its whole SHA-256 is compared, and the
    context's only anchor is that certificate. Without: the system's trust and the host's name. Raises
    `UntrustedServerError` for another certificate and `TransportError` when the server is not reached.
    """
    if certificate_sha256 is None:
        return ssl.create_default_context()
    der = _fetch_certificate(url.host, url.port or 443, timeout_seconds)
    check_certificate(der, certificate_sha256)
    return pinned_context(der)


def check_certificate(der: bytes, expected_sha256: bytes) -> None:
    """Compare a certificate's SHA-256 with the pinned one; raises `UntrustedServerError`."""
    if len(expected_sha256) != SHA256_SIZE:
        raise ValueError(f"certificate pin: expected {SHA256_SIZE} bytes")
    found = hashlib.sha256(der).digest()
    if not hmac.compare_digest(found, expected_sha256):
        raise UntrustedServerError(
            f"server certificate: expected {expected_sha256.hex()}, got {found.hex()}; "
            "another server answers at this address"
        )


def pinned_context(der: bytes) -> ssl.SSLContext:
    """Return a context that accepts the certificate `der` and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The pin says which certificate; the name under which the host was reached adds nothing to that.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    # A pinned certificate may be one that an authority issued: it is an anchor all the same.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=der)
    return context


def _fetch_certificate(host: str, port: int, timeout_seconds: float) -> bytes:
    # Not trusted for anything: only the certificate is taken, and nothing is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_seconds) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            der = connection.getpeercert(binary_form=True)
    except (OSError, ValueError) as error:
        raise TransportError(f"server {host}:{port}: not reached: {error}") from error
    if der is None:
        raise TransportError(f"server {host}:{port}: showed no certificate")
    return der
