"""Which certificate a caller believes, and what each connection must prove beyond it.

A certificate is verified once, and again an hour later or when the server shows another one. Must never let a
connection through on the certificate alone. Spec: docs/spec/services.md, "Calling".
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from cryptography import x509

from sealroom.client.service.calling.own_certificates import verify_own_certificate
from sealroom.client.service.calling.tls import Shown
from sealroom.client.verification import ROOTS
from sealroom.core.attestation.ratls import parse_ratls_certificate
from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.evidence.certificate import (
    AttestedKey,
    SimulatedKey,
    insecure_verify_simulated_certificate,
    verify_certificate,
)
from sealroom.core.evidence.channel import Channel, insecure_verify_simulated_channel, verify_channel
from sealroom.core.evidence.policy import Policy, Word
from sealroom.core.evidence.verdict import RefusedEvidenceError
from sealroom.core.wire.ra_tls import KeyBinding
from sealroom.core.wire.service_arguments import CertificateMode
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService

BELIEVED_SECONDS = 3600.0
_MOST_KEPT = 8

Documents = Callable[[bytes], bytes | None]
"""Returns what Intel says about the platform of a quote, as a collateral file, or `None`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """A certificate that was verified: the DER key in it, and what the connection's enclave must be."""

    key_info: bytes
    mrenclave: bytes | None
    documents: bytes | None
    is_simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a caller believes. Either `service` was verified before, or `policy` names measurements.

    `own_roots` are the PEM authorities for a certificate of the service's own; `None` are the system's.
    `bootstrap` is for a service that waits for its key, which shows the attested certificate whatever it will
    be served with.
    """

    policy: Policy
    documents: Documents
    service: VerifiedService | SimulatedService | None = None
    own_roots: bytes | None = None
    bootstrap: bool = False
    insecure_accept_simulated: bool = False

    def __post_init__(self) -> None:
        if self.service is None and self.policy.measurement in (Word.ANY, Word.RECOMPUTED):
            raise PolicyError(
                f"policy {self.policy.name} names no enclave and no signer: verify the service's evidence "
                "first, or list its MRENCLAVE"
            )
        if isinstance(self.service, SimulatedService) and not self.insecure_accept_simulated:
            raise PolicyError("the service is simulated, which protects nothing, and nobody asked for that")
        if self.mode is CertificateMode.PLAIN:
            raise PolicyError("the service is behind a proxy: nobody can tell where a connection ends")

    @property
    def mode(self) -> CertificateMode:
        """What the connections are behind."""
        if self.service is None or self.bootstrap:
            return CertificateMode.RA_TLS
        return self.service.arguments.certificate

    @property
    def may_be_simulated(self) -> bool:
        """Whether a simulated enclave is taken: never in the place of one that was verified as real."""
        return self.insecure_accept_simulated and not isinstance(self.service, VerifiedService)

    @property
    def wanted(self) -> Policy:
        """The policy for quotes on connections: of the verified service, its very enclave is demanded."""
        if self.service is None:
            return self.policy
        return replace(self.policy, measurement=frozenset({self.service.mrenclave}))


class Judge:
    """Judges the certificates and connections of one host."""

    def __init__(self, trust: Trust, *, host: str) -> None:
        self._trust = trust
        self._host = host
        self._kept: dict[bytes, tuple[float, Believed]] = {}

    def certificate(self, shown: Shown) -> Believed:
        """Return what is believed of a certificate; raises `VerificationError` or `CollateralError`."""
        found = self._kept.get(shown.leaf)
        if found is not None and time.monotonic() - found[0] < BELIEVED_SECONDS:
            return found[1]
        believed = self._judge(shown)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[shown.leaf] = (time.monotonic(), believed)
        return believed

    def connection(self, quote: bytes, report_data: bytes, believed: Believed) -> None:
        """Demand that `quote` proves the connection; raises `VerificationError` or `CollateralError`."""
        verify = insecure_verify_simulated_channel if believed.is_simulated else verify_channel
        documents = believed.documents
        verify(
            quote,
            self._trust.documents(quote) if documents is None else documents,
            channel=Channel(report_data=report_data, mrenclave=believed.mrenclave),
            policy=self._trust.wanted,
            roots=ROOTS,
            now=datetime.now(UTC),
        )

    def _judge(self, shown: Shown) -> Believed:
        service = self._trust.service
        if service is not None and self._trust.mode is CertificateMode.OWN:
            return Believed(
                key_info=verify_own_certificate(shown, host=self._host, roots=self._trust.own_roots),
                mrenclave=service.mrenclave,
                documents=None,
                is_simulated=isinstance(service, SimulatedService),
            )
        documents = self._trust.documents(parse_ratls_certificate(shown.leaf).raw_quote)
        key = self._attested_key(shown.leaf, documents)
        check_names(shown.leaf, self._host)
        return Believed(
            key_info=key.key.info,
            mrenclave=key.verdict.mrenclave,
            documents=documents,
            is_simulated=isinstance(key, SimulatedKey),
        )

    def _attested_key(self, certificate: bytes, documents: bytes | None) -> AttestedKey | SimulatedKey:
        """Verify an attested certificate; where a simulation is taken, a real enclave is all the better."""
        verify = partial(
            verify_certificate,
            binding=KeyBinding.UNCOMPRESSED_POINT,
            policy=self._trust.wanted,
            roots=ROOTS,
            now=datetime.now(UTC),
        )
        try:
            return verify(certificate, documents)
        except RefusedEvidenceError as refused:
            if not (self._trust.may_be_simulated and refused.verdict.passed_but_simulated):
                raise
        return insecure_verify_simulated_certificate(certificate, documents, **verify.keywords)


def check_names(certificate: bytes, host: str) -> None:
    """Refuse a DER certificate that is not for `host`, a DNS name or an IP address."""
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as exc:
        raise VerificationError("certificate: names no host") from exc
    found = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    found |= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    if _plain(host) not in found:
        raise VerificationError(f"certificate: for {', '.join(sorted(found)) or 'no host'}, not for {host}")


def _plain(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()
