"""Certificates that a service brings itself: by an authority, as everywhere on the web, and for this host.

That proves a name, not an enclave: the connection's quote does. Must never fetch anything.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sealroom.client.service.calling.tls import Shown
from sealroom.core import errors


def verify_own_certificate(shown: Shown, *, host: str, roots: bytes | None) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a certificate that one of `roots` (PEM) vouches for.

    `None` are the system's authorities. Raises `VerificationError`.
    """
    try:
        leaf = x509.load_der_x509_certificate(shown.leaf)
        others = [x509.load_der_x509_certificate(each) for each in shown.others]
        store = Store(x509.load_pem_x509_certificates(_system_roots() if roots is None else roots))
        verifier = PolicyBuilder().store(store).time(datetime.now(UTC)).build_server_verifier(_subject(host))
        verifier.verify(leaf, others)
    except (ValueError, VerificationError) as exc:
        raise errors.VerificationError(f"certificate of {host}: {exc}") from exc
    return leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _system_roots() -> bytes:
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None:
        raise errors.VerificationError("this system has no file of authorities: name one of your own")
    return Path(paths.cafile).read_bytes()
