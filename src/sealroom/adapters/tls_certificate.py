"""Fetching the certificate that a TLS server shows, whoever issued it.

The handshake proves that the server has the certificate's key, and nothing else is verified: for certificates
that carry a quote, which `core.evidence.certificate` judges. Must never be used to send anything.
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from sealroom.core.errors import TransportError
from sealroom.core.wire.foreign_text import visible

_HTTPS_PORT = 443


def fetch_server_certificate(url: str, *, timeout_seconds: float) -> bytes:
    """Return the DER certificate of the server at `url`, `https://host[:port]`.

    Raises `ValueError` for another URL, `TransportError` where nobody answers with TLS.
    """
    host, port = server_of(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Trust comes from the quote inside the certificate; there is no authority to ask.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_seconds) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert(binary_form=True)
    except (OSError, ValueError) as exc:
        raise TransportError(f"{visible(host)}:{port}: {visible(str(exc))}") from exc
    if certificate is None:
        raise TransportError(f"{visible(host)}:{port}: shows no certificate")
    return certificate


def server_of(url: str) -> tuple[str, int]:
    """Return host and port of `url`, or raise `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ValueError(f"url: expected https://host[:port], got {visible(url)}")
    return parts.hostname, parts.port or _HTTPS_PORT
