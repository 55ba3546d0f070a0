"""Calling a service: a client that talks to nothing but its enclave, and what others can be given.

Spec: docs/spec/services.md, "Calling".
"""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import httpx

from sealroom.adapters.pccs import CollateralFetcher
from sealroom.adapters.provisioning import Source
from sealroom.client.home import Home
from sealroom.client.service.calling.backend import Origin
from sealroom.client.service.calling.judging import Documents, Judge, Trust
from sealroom.client.service.calling.transport import ProvenTransport
from sealroom.client.service.verification import (
    ServiceQuestion,
    assess_service,
    decide_service,
    fetch_service_wheels,
)
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.policy import Policy
from sealroom.core.measurement.service_package import read_package
from sealroom.core.wire.service_arguments import CertificateMode
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService

TIMEOUT_SECONDS = 30.0
_INTEL = "intel"


def connect(
    url: str,
    *,
    policy: Policy,
    evidence: bytes | None = None,
    package: Path | None = None,
    collateral: bytes | None = None,
    own_roots: bytes | None = None,
    home: Home | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    insecure_accept_simulated: bool = False,
) -> httpx.Client:
    """Return an httpx client that talks to the service at `url`, and to nothing else.

    With `evidence`, the operator's file, and `package`, one's own: the evidence is verified first, and every
    connection must end in that very enclave. Without both, `policy` must list MRENCLAVEs or name a signer. On
    each new connection, before any request of yours: TLS 1.3, a certificate that verifies, and a fresh quote
    over this connection. Another certificate, as after a restart, is verified like the first.

    `collateral` is a file of Intel's documents for the platform; without it those in the evidence are judged,
    and without evidence Intel's service is asked. `own_roots` are PEM authorities for a service with a
    certificate of its own, instead of the system's.

    Raises `RefusedEvidenceError` and other `SealroomError`s here, and from any request that needs a new
    connection.
    """
    trust = trust_of(
        url,
        policy=policy,
        evidence=evidence,
        package=package,
        collateral=collateral,
        own_roots=own_roots,
        home=home,
        insecure_accept_simulated=insecure_accept_simulated,
    )
    return open_client(url, trust, timeout_seconds=timeout_seconds)


def open_client(url: str, trust: Trust, *, timeout_seconds: float = TIMEOUT_SECONDS) -> httpx.Client:
    """Return a client for a service that `trust` is about, without asking it anything yet."""
    origin = origin_of(url)
    transport = ProvenTransport(origin, Judge(trust, host=origin.host))
    return httpx.Client(transport=transport, base_url=url, timeout=timeout_seconds, trust_env=False)


def trust_of(
    url: str,
    *,
    policy: Policy,
    evidence: bytes | None,
    package: Path | None,
    collateral: bytes | None,
    own_roots: bytes | None,
    home: Home | None,
    insecure_accept_simulated: bool,
) -> Trust:
    """Verify the evidence, where there is some, and return what connections to `url` are judged by."""
    if (evidence is None) is not (package is None):
        raise ValueError("evidence and package go together: the one is compared with the other")
    documents = _intel if collateral is None else _always(collateral)
    service = None
    if evidence is not None and package is not None:
        with package.open("rb") as file:
            question = ServiceQuestion(
                evidence=evidence,
                package=read_package(file),
                policy=policy,
                host=origin_of(url).host,
                collateral=collateral,
            )
        chosen = Home.open() if home is None else home
        fetch_service_wheels(question, chosen)
        appraisal = assess_service(question, chosen, now=datetime.now(UTC))
        service = decide_service(appraisal, insecure_accept_simulated=insecure_accept_simulated)
        documents = _always(question.documents)
    return Trust(
        policy=policy,
        documents=documents,
        service=service,
        own_roots=own_roots,
        insecure_accept_simulated=insecure_accept_simulated,
    )


def pinned_context(service: VerifiedService | SimulatedService) -> ssl.SSLContext:
    """Return a context for clients of your own, which accepts the certificate of `service` and no other.

    It only pins. No connection is proven to end in the enclave: whoever has a copy of the key could stand
    between, and Python's `ssl` cannot tell. After a restart of the service the certificate is another one.
    Raises `ValueError` for a service with a certificate of its own, which this one says nothing about.
    """
    if service.arguments.certificate is not CertificateMode.RA_TLS:
        raise ValueError("the service is not served with the certificate that was verified")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=service.certificate)
    return context


def origin_of(url: str) -> Origin:
    """Return host and port of an https URL; raises `MalformedError` for any other."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise MalformedError(f"address: {exc}") from exc
    if parsed.scheme != "https" or not parsed.host or parsed.userinfo:
        raise MalformedError("address: expected https://HOST or https://HOST:PORT")
    # As it goes over the network: names of other scripts in their ASCII form.
    return Origin(host=parsed.raw_host.decode("ascii"), port=parsed.port or 443)


def _always(documents: bytes | None) -> Documents:
    return lambda _: documents


def _intel(quote: bytes) -> bytes:
    with CollateralFetcher((Source.parse(_INTEL),)) as fetcher:
        found = fetcher.fetch(quote, now=datetime.now(UTC))
    return json.dumps(found.collateral.to_value()).encode("ascii")
