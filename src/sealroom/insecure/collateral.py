"""Collateral of the simulated platform: revocation lists, TCB info, QE identity, for any status on demand.

The same nine members and forms as Intel's, signed under the throw-away PKI. Form: docs/spec/collateral.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from sealroom.core.attestation.tcb_status import TcbStatus
from sealroom.insecure.pki import Holder, SimulationPki, pem
from sealroom.insecure.quoting import QE_MRSIGNER, QE_PROD_ID, QE_SVN

ADVISORY = "SIMULATION-SA-00001"
QE_ADVISORY = "SIMULATION-SA-00002"
DOCUMENT_LIFETIME = timedelta(days=30)
_ROOT_CRL_LIFETIME = timedelta(days=365)
# As with certificates: the parties' clocks may differ a little.
_BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which verdict the collateral shall lead to."""

    status: TcbStatus = TcbStatus.UP_TO_DATE
    qe_status: TcbStatus = TcbStatus.UP_TO_DATE
    evaluation_number: int = 1
    revoked: tuple[x509.Certificate, ...] = ()

    def __post_init__(self) -> None:
        if self.status.derived or self.qe_status.derived:
            raise ValueError("a derived status cannot be written in a document")


def make_collateral(pki: SimulationPki, *, now: datetime, wish: Wish | None = None) -> dict[str, str]:
    """Return the nine members, issued before `now`, that give the platform the status in `wish`."""
    wish = Wish() if wish is None else wish
    issued = now.astimezone(UTC).replace(microsecond=0) - _BACKDATED
    signing_chain = pem(pki.tcb_signing.certificate, pki.root.certificate).decode()
    tcb_info = document_text(tcb_info_document(pki, issued=issued, wish=wish))
    qe_identity = document_text(qe_identity_document(issued=issued, wish=wish))
    return {
        "pck_crl_issuer_chain": pem(pki.platform_ca.certificate, pki.root.certificate).decode(),
        "root_ca_crl": make_crl(
            pki.root, issued=issued, lifetime=_ROOT_CRL_LIFETIME, revoked=wish.revoked
        ).hex(),
        "pck_crl": make_crl(
            pki.platform_ca, issued=issued, lifetime=DOCUMENT_LIFETIME, revoked=wish.revoked
        ).hex(),
        "tcb_info_issuer_chain": signing_chain,
        "tcb_info": tcb_info,
        "tcb_info_signature": pki.tcb_signing.sign_raw(tcb_info.encode()).hex(),
        "qe_identity_issuer_chain": signing_chain,
        "qe_identity": qe_identity,
        "qe_identity_signature": pki.tcb_signing.sign_raw(qe_identity.encode()).hex(),
    }


def make_crl(
    issuer: Holder, *, issued: datetime, lifetime: timedelta, revoked: tuple[x509.Certificate, ...] = ()
) -> bytes:
    """Return a revocation list of `issuer` in DER with those of `revoked` that it issued."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(issued)
        .next_update(issued + lifetime)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    for certificate in revoked:
        if certificate.issuer == issuer.certificate.subject:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(issued)
                .build()
            )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def tcb_info_document(pki: SimulationPki, *, issued: datetime, wish: Wish) -> dict[str, Any]:
    """Return a TCB info in which the simulated platform has `wish.status`."""
    own, pce_svn = pki.tcb.components, pki.tcb.pce_svn
    newer = bytes(min(svn + 1, 255) for svn in own)
    levels = [_level(own, pce_svn, wish.status)]
    if wish.status is not TcbStatus.UP_TO_DATE:
        levels.insert(0, _level(newer, pce_svn + 1, TcbStatus.UP_TO_DATE))
    levels.append(_level(bytes(16), 0, TcbStatus.OUT_OF_DATE))
    return {
        "id": "SGX",
        "version": 3,
        **_dates(issued),
        "fmspc": pki.tcb.fmspc.hex().upper(),
        "pceId": pki.tcb.pce_id.hex().upper(),
        "tcbType": 0,
        "tcbEvaluationDataNumber": wish.evaluation_number,
        "tcbLevels": levels,
    }


def qe_identity_document(*, issued: datetime, wish: Wish) -> dict[str, Any]:
    """Return a QE identity in which the simulated quoting enclave has `wish.qe_status`."""
    levels = [_qe_level(QE_SVN, wish.qe_status)]
    if wish.qe_status is not TcbStatus.UP_TO_DATE:
        levels.insert(0, _qe_level(QE_SVN + 1, TcbStatus.UP_TO_DATE))
    return {
        "id": "QE",
        "version": 2,
        **_dates(issued),
        "tcbEvaluationDataNumber": wish.evaluation_number,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11000000000000000000000000000000",
        "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
        "mrsigner": QE_MRSIGNER.hex().upper(),
        "isvprodid": QE_PROD_ID,
        "tcbLevels": levels,
    }


def document_text(document: dict[str, Any]) -> str:
    """Return `document` as the one text that is signed."""
    return json.dumps(document, separators=(",", ":"))


def _dates(issued: datetime) -> dict[str, str]:
    return {"issueDate": _time(issued), "nextUpdate": _time(issued + DOCUMENT_LIFETIME)}


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _level(components: bytes, pce_svn: int, status: TcbStatus) -> dict[str, Any]:
    level: dict[str, Any] = {
        "tcb": {"sgxtcbcomponents": [{"svn": svn} for svn in components], "pcesvn": pce_svn},
        "tcbDate": "2024-03-13T00:00:00Z",
        "tcbStatus": status.value,
    }
    if status is not TcbStatus.UP_TO_DATE:
        level["advisoryIDs"] = [ADVISORY]
    return level


def _qe_level(isv_svn: int, status: TcbStatus) -> dict[str, Any]:
    level: dict[str, Any] = {
        "tcb": {"isvsvn": isv_svn},
        "tcbDate": "2024-03-13T00:00:00Z",
        "tcbStatus": status.value,
    }
    if status is not TcbStatus.UP_TO_DATE:
        level["advisoryIDs"] = [QE_ADVISORY]
    return level
