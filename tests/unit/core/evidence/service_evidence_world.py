"""A simulated service in memory, whose evidence a test can change at any one place."""

import hashlib
import ssl
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import evidence_world as w
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.rebuild import rebuild_service_manifest
from sealroom.core.evidence.service import ServiceAppraisal, appraise_service_evidence
from sealroom.core.evidence.service_expectations import ServiceExpectations
from sealroom.core.evidence.verdict import Verdict
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.service_config import ServiceConfig
from sealroom.core.wire.bundle import RawCollateral
from sealroom.core.wire.code_list import ServiceCode
from sealroom.core.wire.ra_tls import EvidenceForm, KeyBinding, report_data_of_key
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key
from sealroom.core.wire.service_arguments import (
    CertificateMode,
    Connections,
    Interface,
    ServiceArguments,
    ServiceLogs,
)
from sealroom.core.wire.service_evidence import ServiceEvidence
from sealroom.core.wire.terms import Tee
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

SERVICE = UUID("7d3f4b1e-9a53-4f0f-8b0a-0c9d4d6f2a11")
BOX_PK = bytes(range(1, 33))
CODE = ServiceCode.from_files((w.code_file("src/app.py", b"sealed application"),))
CONFIG = ServiceConfig.from_toml(
    b'name = "scores"\npython_application = "app:app"\nhealthcheck_endpoint = "/health"\ninterface = "asgi"\n'
)
ARGUMENTS = ServiceArguments(
    tee=Tee.SIMULATED,
    service=SERVICE,
    name="scores",
    application="app:app",
    interface=Interface.ASGI,
    health="/health",
    certificate=CertificateMode.RA_TLS,
    hosts=("scores.example", "127.0.0.1"),
    port=8443,
    lifetime_days=90,
    bootstrap_seconds=600,
    connect=Connections.NONE,
    logs=ServiceLogs.NONE,
    max_memory=1 << 28,
    code_digest=CODE.digest,
    packages_digest=bytes(32),
    spawn=bytes(16),
)


@cache
def tls_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(1000 + number, ec.SECP256R1())


@cache
def measured(manifest: bytes) -> bytes:
    return measure(manifest, w.synthetic_pal()).mrenclave


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


@dataclass(frozen=True, kw_only=True)
class ServiceWorld:
    """What provider and operator did; a change to the first members changes manifest, quote and certificate,
    as an operator would do it who spawns another enclave. `shown` changes parts of the evidence alone."""

    arguments: ServiceArguments = ARGUMENTS
    code_list: ServiceCode = CODE
    release: w.Release = w.RELEASE
    pal: w.KnownPal = w.PAL
    manifest: bytes | None = None
    report: dict[str, object] = field(default_factory=dict)
    quoted_key: int | None = None
    signing_key: int | None = None
    not_after_days: int = 90
    at: datetime = w.NOW
    dns_names: tuple[str, ...] = ("scores.example",)
    addresses: tuple[bytes, ...] = (bytes((127, 0, 0, 1)),)
    key: int = 0
    pki: SimulationPki = field(default_factory=w.pki)
    shown: dict[str, object] = field(default_factory=dict)

    @property
    def built_manifest(self) -> bytes:
        if self.manifest is not None:
            return self.manifest
        return rebuild_service_manifest(
            arguments=self.arguments,
            code_list=self.code_list,
            packages=(),
            release=self.release,
            pal=self.pal,
            runtime=w.RUNTIME,
        )

    @property
    def mrenclave(self) -> bytes:
        return measured(self.built_manifest)

    def quote(self, report_data: bytes, **changes: object) -> bytes:
        body = ReportBody(mrenclave=self.mrenclave, report_data=report_data)
        return QuotingEnclave(self.pki).quote(replace(body, **{**self.report, **changes}))

    @property
    def certificate(self) -> bytes:
        """The DER of the certificate that carries the quote."""
        bound = report_data_of_key(
            KeyBinding.UNCOMPRESSED_POINT,
            p256_key(point(tls_key(self.key if self.quoted_key is None else self.quoted_key))),
            claims_buffer=None,
            caller_data=BOX_PK,
        )
        return make_certificate(
            CertificateFields(
                common_name="scores.example",
                dns_names=self.dns_names,
                addresses=self.addresses,
                serial=7,
                not_before=self.at - timedelta(hours=1),
                not_after=self.at + timedelta(days=self.not_after_days),
            ),
            key=p256_key(point(tls_key(self.key))),
            form=EvidenceForm.SGX_QUOTE,
            evidence=self.quote(bound),
            sign=lambda message: tls_key(self.key if self.signing_key is None else self.signing_key).sign(
                message, ec.ECDSA(hashes.SHA256())
            ),
        )

    def sign(self, message: bytes) -> bytes:
        signer = tls_key(self.key if self.signing_key is None else self.signing_key)
        return signer.sign(message, ec.ECDSA(hashes.SHA256()))

    @property
    def evidence(self) -> ServiceEvidence:
        made = ServiceEvidence(
            release="0.1.0",
            certificate=pem(self.certificate),
            collateral=RawCollateral(**make_collateral(self.pki, now=self.at)),
            manifest=self.built_manifest,
            arguments=self.arguments.to_bytes(),
            requirements=None,
            code_list=self.code_list,
            sigstruct=None,
            pal=w.synthetic_pal(),
        )
        return replace(made, **self.shown)


def pem(der: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(der)


def collateral(**wanted: object) -> RawCollateral:
    return RawCollateral(**make_collateral(w.pki(), now=w.NOW, wish=Wish(**wanted)))


def spawned(**changes: object) -> ServiceWorld:
    """A service that was spawned with other arguments."""
    return ServiceWorld(arguments=replace(ARGUMENTS, **changes))


def expectations(**changes: object) -> ServiceExpectations:
    expected = ServiceExpectations(code=CODE, config=CONFIG, service=SERVICE, host="scores.example")
    return replace(expected, **changes)


def appraisal(
    made: ServiceWorld,
    *,
    by: Policy | None = None,
    expected: ServiceExpectations | None = None,
    given: RawCollateral | None = None,
    release: w.Release = w.RELEASE,
    roots: tuple[bytes, ...] = w.ROOTS,
) -> ServiceAppraisal:
    return appraise_service_evidence(
        made.evidence.to_bytes(),
        collateral=given,
        policy=w.policy() if by is None else by,
        expected=expectations() if expected is None else expected,
        release=release,
        wheels={},
        roots=roots,
        now=w.NOW,
    )


def judged(made: ServiceWorld, **asked: object) -> Verdict:
    return appraisal(made, **asked).verdict


def sha256(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
