"""Certificates that a service brings itself: by an authority, as everywhere on the web, and for this host.

That proves a name, not an enclave: the connection's quote does. Must never fetch anything.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import ssl
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sealroom.client.service.calling.tls import Shown
from sealroom.core import errors

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def verify_own_certificate(shown: Shown, *, host: str, roots: bytes | None) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a certificate that one of `roots` (PEM) vouches for.

    `None` are the system's authorities. Raises `VerificationError`.
    """
    try:
        leaf = x509.load_der_x509_certificate(shown.leaf)
        others = [x509.load_der_x509_certificate(each) for each in shown.others]
        store = Store(_system_authorities() if roots is None else x509.load_pem_x509_certificates(roots))
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


@functools.cache
def _system_authorities() -> list[x509.Certificate]:
    """Return the authorities of this system, without those that break RFC 5280: systems still carry some."""
    path = ssl.get_default_verify_paths().cafile
    if path is None:
        raise errors.VerificationError("this system has no file of authorities: name one of your own")
    found = []
    for block in _CERTIFICATE.findall(Path(path).read_bytes()):
        with warnings.catch_warnings(), suppress(ValueError, Warning):
            warnings.simplefilter("error")
            found.append(x509.load_pem_x509_certificate(block))
    return found
