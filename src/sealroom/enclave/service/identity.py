"""Who a service is: a TLS key and a box key made in this process, and a certificate with a quote over both.

Neither key is ever written. A start makes new ones, so it makes a new certificate. Must never believe the
quote: it comes back through the host and is only passed on.
Spec: docs/spec/services.md, "In the enclave"; docs/spec/ra-tls.md.
"""

from __future__ import annotations

import base64
import ipaddress
import secrets
import textwrap
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.wire.ra_tls import EvidenceForm, KeyBinding, report_data_of_key
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key
from sealroom.core.wire.service_arguments import ServiceArguments, is_address
from sealroom.enclave.identity.attestation import attest
from sealroom.enclave.service.tls import uncompressed_point

# Clocks differ: a caller whose own is a little behind must not find a certificate of the future.
_EARLIER = timedelta(hours=1)
_SERIAL_BITS = 158
_MAX_COMMON_NAME = 64
_PEM_COLUMNS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceIdentity:
    """A service's keys and what vouches for them. `certificate` is DER and holds `quote`."""

    tls_key: ec.EllipticCurvePrivateKey
    box_key: BoxKey
    mrenclave: bytes
    quote: bytes
    certificate: bytes

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as it is published."""
        lines = textwrap.wrap(base64.b64encode(self.certificate).decode("ascii"), _PEM_COLUMNS)
        return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", "")).encode()


def make_identity(arguments: ServiceArguments, *, device: Path, now: datetime) -> ServiceIdentity:
    """Make both keys, have them quoted, and write the certificate; `now` is the host's clock.

    Raises `VerificationError` or `MalformedError` for a device that is not this enclave's.
    """
    tls_key, box_key = ec.generate_private_key(ec.SECP256R1()), BoxKey.generate()
    key = p256_key(uncompressed_point(tls_key))
    bound = report_data_of_key(
        KeyBinding.UNCOMPRESSED_POINT, key, claims_buffer=None, caller_data=box_key.public_key
    )
    own = attest(device, tee=arguments.tee, report_data=bound)
    certificate = make_certificate(
        _fields(arguments, now),
        key=key,
        form=EvidenceForm.SGX_QUOTE,
        evidence=own.raw_quote,
        sign=lambda message: tls_key.sign(message, ec.ECDSA(hashes.SHA256())),
    )
    return ServiceIdentity(
        tls_key=tls_key,
        box_key=box_key,
        mrenclave=own.mrenclave,
        quote=own.raw_quote,
        certificate=certificate,
    )


def _fields(arguments: ServiceArguments, now: datetime) -> CertificateFields:
    first = arguments.hosts[0]
    return CertificateFields(
        common_name=first if len(first) <= _MAX_COMMON_NAME else arguments.name,
        dns_names=tuple(host for host in arguments.hosts if not is_address(host)),
        addresses=tuple(ipaddress.ip_address(host).packed for host in arguments.hosts if is_address(host)),
        serial=secrets.randbits(_SERIAL_BITS) + 1,
        not_before=now - _EARLIER,
        not_after=now + timedelta(days=arguments.lifetime_days),
    )
