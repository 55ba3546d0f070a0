"""A throw-away PKI of exactly Intel's shape, for the simulated TEE and for tests.

Root, PCK Platform CA, PCK certificate with the SGX extension, TCB signing certificate. Every name says
SIMULATION. It proves nothing to anybody: whoever runs the server has the keys, and every verifier calls a
chain to this root SIMULATED. Must never be handed to a verifier as a trusted root. Shape:
docs/spec/quotes.md.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from sealroom.core.errors import MalformedError
from sealroom.insecure.pck_extension import PlatformTcb, encode_pck_extension

FILE_NAME = "simulation-pki.json"
ORGANIZATION = "SEALROOM SIMULATION - NOT INTEL"
ROOT_NAME = "SIMULATION SGX Root CA"
PLATFORM_CA_NAME = "SIMULATION SGX PCK Platform CA"
PCK_NAME = "SIMULATION SGX PCK Certificate"
TCB_SIGNING_NAME = "SIMULATION SGX TCB Signing"

_LIFETIME = timedelta(days=7 * 365)
# Clocks of the parties may differ a little; a certificate of this minute is valid for them too.
_BACKDATED = timedelta(days=1)
_CRL_URL = "https://simulation.invalid/sgx/root.crl"
_SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Holder:
    """One certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def sign_raw(self, message: bytes) -> bytes:
        """Sign `message` and return r || s."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    @property
    def point(self) -> bytes:
        """The public key as an uncompressed point."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def to_json(self) -> dict[str, str]:
        """Return certificate and key as PEM."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"certificate": pem(self.certificate).decode(), "key": key.decode()}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SimulationPki:
    """The four holders of the simulated platform, and the TCB its PCK certificate names."""

    root: Holder
    platform_ca: Holder
    pck: Holder
    tcb_signing: Holder
    tcb: PlatformTcb

    @classmethod
    def generate(cls, *, now: datetime, tcb: PlatformTcb | None = None) -> SimulationPki:
        """Make a fresh PKI, valid from a day before `now` for seven years."""
        tcb = PlatformTcb() if tcb is None else tcb
        root = issue(ROOT_NAME, issuer=None, now=now, ca_path_length=1)
        platform_ca = issue(PLATFORM_CA_NAME, issuer=root, now=now, ca_path_length=0)
        pck = issue(PCK_NAME, issuer=platform_ca, now=now, sgx_extension=encode_pck_extension(tcb))
        tcb_signing = issue(TCB_SIGNING_NAME, issuer=root, now=now)
        return cls(root=root, platform_ca=platform_ca, pck=pck, tcb_signing=tcb_signing, tcb=tcb)

    @property
    def pck_chain_pem(self) -> bytes:
        """Leaf, CA, root, as a quote carries them."""
        return pem(self.pck.certificate, self.platform_ca.certificate, self.root.certificate)

    def to_bytes(self) -> bytes:
        """Return the whole PKI, private keys included, for keeping in the server's data folder."""
        holders = {name: getattr(self, name).to_json() for name in _HOLDERS}
        document = {"notice": ORGANIZATION, "tcb": self.tcb.to_json(), **holders}
        return json.dumps(document, indent=1).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> SimulationPki:
        """Read what `to_bytes` wrote."""
        try:
            document = json.loads(raw)
            root, platform_ca, pck, tcb_signing = (_holder(document[name]) for name in _HOLDERS)
            tcb = PlatformTcb.from_json(document["tcb"])
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise MalformedError("simulation pki: not a file of this program") from exc
        return cls(root=root, platform_ca=platform_ca, pck=pck, tcb_signing=tcb_signing, tcb=tcb)

    @classmethod
    def load_or_create(cls, folder: Path, *, now: datetime) -> SimulationPki:
        """Return the PKI kept in `folder`, made there (mode 0600) when there is none yet.

        Of several processes that start at once, one file wins and all return it.
        """
        path = folder / FILE_NAME
        if not path.exists():
            fresh = folder / f"{FILE_NAME}.{os.getpid()}.tmp"
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(cls.generate(now=now).to_bytes())
                file.flush()
                os.fsync(file.fileno())
            try:
                path.hardlink_to(fresh)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return cls.from_bytes(path.read_bytes())


_HOLDERS = ("root", "platform_ca", "pck", "tcb_signing")


def pem(*certificates: x509.Certificate) -> bytes:
    """Return `certificates` as one PEM text."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def issue(
    name: str,
    *,
    issuer: Holder | None,
    now: datetime,
    ca_path_length: int | None = None,
    sgx_extension: bytes | None = None,
    usage: x509.KeyUsage | None = None,
) -> Holder:
    """Make a key and its certificate, signed by `issuer` or by itself; a CA when it has a path length.

    `usage` is for tests that need a certificate with other rights than its kind has.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    signer = key if issuer is None else issuer.key
    start = now.replace(microsecond=0) - _BACKDATED
    is_ca = ca_path_length is not None
    builder = (
        x509.CertificateBuilder(
            issuer_name=subject if issuer is None else issuer.certificate.subject,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=start,
            not_valid_after=start + _LIFETIME,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_distribution_points(), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(key_usage(is_ca=is_ca) if usage is None else usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=ca_path_length), critical=True)
    )
    if sgx_extension is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(_SGX_EXTENSION, sgx_extension), critical=False
        )
    return Holder(certificate=builder.sign(signer, hashes.SHA256()), key=key)


def _holder(document: dict[str, str]) -> Holder:
    key = serialization.load_pem_private_key(document["key"].encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MalformedError("simulation pki: key is not of an elliptic curve")
    return Holder(certificate=x509.load_pem_x509_certificate(document["certificate"].encode()), key=key)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
        ]
    )


def _distribution_points() -> x509.CRLDistributionPoints:
    point = x509.DistributionPoint(
        full_name=[x509.UniformResourceIdentifier(_CRL_URL)],
        relative_name=None,
        reasons=None,
        crl_issuer=None,
    )
    return x509.CRLDistributionPoints([point])


def key_usage(*, is_ca: bool, crl_sign: bool | None = None) -> x509.KeyUsage:
    """Return the key usage of a CA or of an end entity; `crl_sign` overrides what its kind has."""
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=not is_ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca if crl_sign is None else crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
