"""Asking the Azure attestation service, over real TLS to a server that answers as a test says."""

import json
import ssl
import sys
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sealroom.adapters.maa import MaaInstance, attest_sgx_quote, fetch_key_set
from sealroom.core.attestation.maa_keys import parse_key_set
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.evidence.maa import MaaPolicy, verify_maa_evidence
from sealroom.core.evidence.policy import Word

sys.path.append(str(Path(__file__).parents[1] / "client"))
sys.path.append(str(Path(__file__).parents[1] / "core" / "attestation"))
import maa_world as w
from scripted_server import Say, scripted_server

SERVICE = w.Service()


@pytest.fixture
def server(tmp_path):
    with scripted_server(tmp_path) as running:
        yield running


@pytest.fixture
def instance(server, tmp_path):
    tls = ssl.create_default_context(cafile=next(tmp_path.rglob("*cert*.pem")))
    return MaaInstance(url=server.address.url, tls=tls, timeout_seconds=5, first_pause_seconds=0.001)


def token_answer(token):
    return Say(body=json.dumps({"token": token.decode()}).encode())


def test_asks_as_the_service_documents_it(server, instance):
    server.script = [token_answer(SERVICE.token())]
    assert attest_sgx_quote(instance, b"\xff\xfequote", held_data=w.HELD) == SERVICE.token()
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/attest/SgxEnclave?api-version=2022-08-01")
    body = json.loads(asked.body)
    assert set(body) == {"quote", "runtimeData"}
    assert urlsafe_b64decode(body["quote"] + "==") == b"\xff\xfequote"
    assert body["runtimeData"]["dataType"] == "Binary"
    assert urlsafe_b64decode(body["runtimeData"]["data"] + "==") == w.HELD
    assert "=" not in body["quote"] + body["runtimeData"]["data"]


def test_names_no_held_data_where_there_is_none(server, instance):
    server.script = [token_answer(SERVICE.token())]
    attest_sgx_quote(instance, b"quote", held_data=None)
    assert set(json.loads(server.asked[0].body)) == {"quote"}


def test_from_key_set_and_token_to_an_accepted_enclave(server, instance):
    issuer = instance.url
    header = {"jku": f"{issuer}/certs"}
    server.script = [
        Say(body=w.key_set(SERVICE.jwk())),
        token_answer(SERVICE.token({"iss": issuer}, header=header)),
        token_answer(SERVICE.token({"iss": "https://evil.test"}, header=header)),
    ]
    keys = parse_key_set(fetch_key_set(instance))
    policy = MaaPolicy(
        issuer=issuer,
        measurement=frozenset({w.MRENCLAVE}),
        report_data=w.REPORT_DATA,
        policy_hashes=Word.ANY,
        leeway=timedelta(0),
    )
    token = attest_sgx_quote(instance, b"quote", held_data=w.HELD)
    assert verify_maa_evidence(token, policy=policy, keys=keys, now=w.NOW).held_data == w.HELD
    other = attest_sgx_quote(instance, b"quote", held_data=w.HELD)
    with pytest.raises(VerificationError, match="iss"):
        verify_maa_evidence(other, policy=policy, keys=keys, now=w.NOW)
    assert [asked.path.split("?")[0] for asked in server.asked] == [
        "/certs",
        "/attest/SgxEnclave",
        "/attest/SgxEnclave",
    ]


@pytest.mark.parametrize("passing", [Say(status=503), Say(status=429), Say(status=500), Say(cut=0)])
def test_tries_again_after_what_passes(server, instance, passing):
    server.script = [passing, passing, Say(body=b"key set")]
    assert fetch_key_set(instance) == b"key set"
    assert len(server.asked) == 3


@pytest.mark.parametrize(("answer", "code"), [(Say(status=503), "maa_refused"), (Say(cut=0), "unreachable")])
def test_gives_up_after_its_attempts(server, instance, answer, code):
    server.script = [answer]
    with pytest.raises(TransportError) as raised:
        fetch_key_set(instance)
    assert raised.value.code == code
    assert len(server.asked) == 3


def test_a_refusal_is_not_asked_again_and_its_words_cannot_draw(server, instance):
    server.script = [Say(status=400, body=b'{"error":{"code":"InvalidParameter"}}\x1b[2J' + b"x" * 10_000)]
    with pytest.raises(TransportError, match="InvalidParameter") as raised:
        attest_sgx_quote(instance, b"quote", held_data=None)
    assert raised.value.code == "maa_refused"
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 10_000
    assert len(server.asked) == 1


def test_does_not_follow_elsewhere(server, instance):
    server.script = [Say(status=302, headers={"Location": "https://evil.test/certs"})]
    with pytest.raises(TransportError, match="302"):
        fetch_key_set(instance)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": 5}',
        b'{"token": "a", "token": "b"}',
        b" " * 200_000,
        b'{"token": "' + b"a" * 70_000 + b'"}',
    ],
)
def test_refuses_answers_that_are_none(server, instance, body):
    server.script = [Say(body=body)]
    with pytest.raises(MalformedError):
        attest_sgx_quote(instance, b"quote", held_data=None)


def test_refuses_a_key_set_without_end(server, instance):
    server.script = [Say(body=bytes(300_000))]
    with pytest.raises(MalformedError, match="more than"):
        fetch_key_set(instance)


def test_a_server_that_is_not_the_instance_gets_nothing(server, instance):
    strangers = replace(instance, tls=ssl.create_default_context(), attempts=1)
    with pytest.raises(TransportError, match=r"(?i)certificate"):
        attest_sgx_quote(strangers, b"quote", held_data=None)
    assert server.asked == []


def test_an_instance_is_never_reached_without_verified_tls():
    careless = ssl.create_default_context()
    careless.check_hostname = False
    for wrong in (
        {"url": "http://instance.test"},
        {"url": "https://instance.test/"},
        {"url": "https://instance.test", "tls": careless},
    ):
        with pytest.raises(ValueError, match="maa instance"):
            MaaInstance(**wrong)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="verified"):
        MaaInstance(url="https://instance.test", tls=careless)
    with pytest.raises(ValueError, match="attempt"):
        fetch_key_set(MaaInstance(url="https://instance.test", attempts=0))
