"""Sealing to a service: what is sealed opens in that enclave alone, and nothing is sealed to another."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from nacl.public import PrivateKey, SealedBox

from sealroom.core.errors import MalformedError, PolicyError
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.sealing.service_sealing import ServiceSecrets, seal_to_service
from sealroom.core.wire.bootstrap import BootstrapDocument, SealedDocument
from sealroom.core.wire.service_arguments import (
    CertificateMode,
    Connections,
    Interface,
    ServiceArguments,
    ServiceLogs,
)
from sealroom.core.wire.terms import Tee
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = b"k" * 32
BOX = PrivateKey(b"b" * 32)
SERVICE = service_id(CodeKey.from_bytes(KEY), "scores")
ARGUMENTS = ServiceArguments(
    tee=Tee.SGX,
    service=SERVICE,
    name="scores",
    application="app:app",
    interface=Interface.ASGI,
    health="",
    certificate=CertificateMode.RA_TLS,
    hosts=("scores.example",),
    port=8443,
    lifetime_days=90,
    bootstrap_seconds=600,
    connect=Connections.NONE,
    logs=ServiceLogs.NONE,
    max_memory=1 << 28,
    code_digest=bytes(32),
    packages_digest=bytes(32),
    spawn=bytes(16),
)
FIELDS = {
    "arguments": ARGUMENTS,
    "mrenclave": b"m" * 32,
    "box_pk": bytes(BOX.public_key),
    "certificate": b"der",
    "verified_at": NOW,
    "policy_name": "strict",
    "tcb_status": "UpToDate",
    "advisories": (),
    "evidence_sha256": bytes(32),
}
VERIFIED = VerifiedService(**FIELDS)
SIMULATED = SimulatedService(**{**FIELDS, "arguments": replace(ARGUMENTS, tee=Tee.SIMULATED)})


def secrets(**changes: object) -> ServiceSecrets:
    made = ServiceSecrets(
        code_key=CodeKey.from_bytes(KEY), sealed={"database": "canary"}, for_operator={}, tls_key=None
    )
    return replace(made, **changes)


def sealed(**asked: object) -> bytes:
    options = {"to": VERIFIED, "now": NOW, "secrets": secrets(), **asked}
    return seal_to_service(options.pop("secrets"), **options)


def opened(raw: bytes) -> SealedDocument:
    document = BootstrapDocument.from_bytes(raw)
    assert document.code_key is document.tls_key is None
    return SealedDocument.from_bytes(SealedBox(BOX).decrypt(document.sealed))


def test_key_and_secrets_are_in_the_box_and_nowhere_else() -> None:
    raw = sealed(secrets=secrets(for_operator={"region": "here"}))
    found = opened(raw)
    assert (found.code_key, dict(found.secrets)) == (KEY.hex(), {"database": "canary"})
    assert (found.bound_to.service, found.bound_to.mrenclave) == (SERVICE, b"m" * 32)
    assert BootstrapDocument.from_bytes(raw).service == SERVICE
    assert BootstrapDocument.from_bytes(raw).secrets == {"region": "here"}
    assert b"canary" not in raw
    assert KEY.hex().encode() not in raw


def test_a_box_is_padded_by_nothing_and_made_anew_each_time() -> None:
    assert json.loads(sealed())["app_sealed_secrets"] != json.loads(sealed())["app_sealed_secrets"]


@pytest.mark.parametrize("to", [b"key", None, ARGUMENTS])
def test_refuses_whatever_is_no_verified_service(to: object) -> None:
    with pytest.raises(TypeError):
        sealed(to=to)


def test_refuses_a_service_that_was_verified_too_long_ago_or_not_yet() -> None:
    for now in (NOW + timedelta(minutes=10), NOW - timedelta(seconds=1)):
        with pytest.raises(PolicyError, match="less than"):
            sealed(now=now)


def test_refuses_another_applications_code_key() -> None:
    with pytest.raises(PolicyError, match="code key"):
        sealed(secrets=secrets(code_key=CodeKey.from_bytes(b"o" * 32)))


def test_takes_a_simulated_service_by_name_alone() -> None:
    assert opened(sealed(to=SIMULATED, insecure_accept_simulated=SERVICE)).code_key == KEY.hex()
    for named in (None, UUID(int=1, version=4)):
        with pytest.raises(PolicyError, match="simulated"):
            sealed(to=SIMULATED, insecure_accept_simulated=named)


def test_refuses_a_verified_service_whose_arguments_call_it_simulated() -> None:
    with pytest.raises(PolicyError, match="do not say sgx"):
        sealed(to=replace(VERIFIED, arguments=SIMULATED.arguments))


def test_a_tls_key_goes_exactly_where_one_is_wanted() -> None:
    own = replace(VERIFIED, arguments=replace(ARGUMENTS, certificate=CertificateMode.OWN))
    assert opened(sealed(to=own, secrets=secrets(tls_key="PEM"))).tls_key == "PEM"
    with pytest.raises(PolicyError, match="needs the private key"):
        sealed(to=own)
    with pytest.raises(PolicyError, match="takes no private key"):
        sealed(secrets=secrets(tls_key="PEM"))


def test_refuses_more_than_a_service_takes_and_names_of_the_protocol() -> None:
    with pytest.raises(MalformedError, match="a service takes"):
        sealed(secrets=secrets(sealed={"large": "x" * (1 << 20)}))
    with pytest.raises(MalformedError, match="not a name"):
        sealed(secrets=secrets(sealed={"code_secret_key": "x"}))


def test_nothing_secret_is_shown() -> None:
    assert "canary" not in repr(secrets(tls_key="canary"))
