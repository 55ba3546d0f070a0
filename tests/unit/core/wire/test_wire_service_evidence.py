"""Evidence of services, and what a channel's quote binds."""

import hashlib
import hmac
import json
from dataclasses import fields, replace
from uuid import UUID

import pytest
import wire_samples as samples

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.channel import channel_report_data
from sealroom.core.wire.code_list import CodeFile, ServiceCode
from sealroom.core.wire.service_evidence import ServiceEvidence

EVIDENCE = ServiceEvidence(
    release="0.1.0",
    certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    collateral=samples.BUNDLE.collateral,
    manifest=b"manifest",
    arguments=b"arguments",
    requirements=None,
    code_list=ServiceCode(files=(CodeFile(path="src/app.py", size=3, sha256=bytes(32)),)),
    sigstruct=None,
    pal=b"pal",
)


def canonical(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def test_evidence_reads_back() -> None:
    assert ServiceEvidence.from_bytes(EVIDENCE.to_bytes()) == EVIDENCE
    assert EVIDENCE.sha256 == hashlib.sha256(EVIDENCE.to_bytes()).digest()


def test_evidence_has_all_its_members_null_where_there_is_none() -> None:
    value = json.loads(replace(EVIDENCE, collateral=None).to_bytes())
    assert list(value) == [field.name for field in fields(ServiceEvidence)]
    assert [name for name in value if value[name] is None] == ["collateral", "requirements", "sigstruct"]


@pytest.mark.parametrize("name", [field.name for field in fields(ServiceEvidence)])
def test_every_member_is_needed_and_typed(name: str) -> None:
    value = json.loads(EVIDENCE.to_bytes())
    for wrong in (1, [], {"a": 1}, "n\u00f6"):
        with pytest.raises(MalformedError):
            ServiceEvidence.from_bytes(canonical({**value, name: wrong}))
    del value[name]
    with pytest.raises(MalformedError):
        ServiceEvidence.from_bytes(canonical(value))


def test_refuses_a_second_encoding() -> None:
    with pytest.raises(MalformedError, match="one accepted"):
        ServiceEvidence.from_bytes(json.dumps(json.loads(EVIDENCE.to_bytes())).encode())


def test_refuses_a_signature_of_another_size() -> None:
    with pytest.raises(MalformedError, match="sigstruct"):
        replace(EVIDENCE, sigstruct=b"short")


def test_the_channel_binds_nonce_connection_and_key_and_leaves_the_rest_zero() -> None:
    nonce, exporter, info = b"n" * 32, b"e" * 32, b"any length"
    hashed = b"sealroom/v1/channel\0" + nonce + exporter + hashlib.sha256(info).digest()
    expected = hashlib.sha256(hashed).digest() + bytes(32)
    assert channel_report_data(nonce=nonce, exporter=exporter, key_info=info) == expected


@pytest.mark.parametrize("field", ["nonce", "exporter"])
def test_refuses_a_nonce_or_an_exporter_of_another_size(field: str) -> None:
    parts = {"nonce": bytes(32), "exporter": bytes(32), "key_info": b"key"}
    with pytest.raises(MalformedError, match=field):
        channel_report_data(**{**parts, field: bytes(31)})


def test_an_id_is_of_one_key_and_one_name_and_is_a_uuid_of_version_4() -> None:
    key, other = CodeKey.from_bytes(b"k" * 32), CodeKey.from_bytes(b"o" * 32)
    made = hmac.digest(b"k" * 32, b"sealroom/v1/service-id\0scores", hashlib.sha256)
    assert service_id(key, "scores") == UUID(bytes=made[:16], version=4)
    ids = {service_id(key, "scores"), service_id(key, "score"), service_id(other, "scores")}
    assert len(ids) == 3
    assert service_id(key, "scores") == service_id(CodeKey.from_bytes(b"k" * 32), "scores")
    assert {each.version for each in ids} == {4}
    with pytest.raises(MalformedError):
        service_id(key, "Scores")


def test_a_file_of_a_service_has_no_owner_and_no_launch() -> None:
    service = UUID(int=5, version=4)
    context = Context.service(service=service, path="src/app.py")
    assert context.to_bytes() == service.bytes + b"\x05" + bytes(64) + b"\x00\x0asrc/app.py"
