"""`evidence from-cert` and `evidence from-url`, as a person types them."""

import json
import ssl
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from transcript import play

from sealroom.insecure.collateral import make_collateral

sys.path.append(str(Path(__file__).parents[1] / "core" / "attestation"))
sys.path.append(str(Path(__file__).parents[1] / "adapters"))
import ratls_world as w
from tls_stranger import tls_server

import provisioning_server as p

AT = ["--at", w.NOW.isoformat()]
LOOK = ["--policy", "insecure-any-status"]
POINT = ["--binding", "uncompressed-point"]
SIMULATED = "--insecure-accept-simulated"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "certificate.pem").write_text(ssl.DER_cert_to_PEM_cert(w.made()))
    (tmp_path / "certificate.der").write_bytes(w.made())
    (tmp_path / "collateral.json").write_text(json.dumps(make_collateral(w.PKI, now=w.NOW)))
    return tmp_path


def played(folder, *words):
    return play(["evidence", *words], folder=folder, environment={})


def from_cert(folder, *words, file="certificate.pem", binding="uncompressed-point"):
    options = ["--binding", binding, *LOOK, *AT, "--collateral", "collateral.json"]
    return played(folder, "from-cert", file, *options, *words)


@pytest.mark.parametrize("file", ["certificate.pem", "certificate.der"])
def test_shows_every_check_and_accepts_a_simulation_only_where_asked(folder, file):
    shown = from_cert(folder, file=file)
    assert shown.exit_code == 1
    assert "SIMULATED: this enclave protects nothing" in shown.output
    for question in ("Is the certificate its key's?", "Is the TLS key the enclave's own?"):
        assert question in shown.output
    accepted = from_cert(folder, SIMULATED, file=file)
    assert accepted.exit_code == 0
    assert "That a connection ends there is not proven" in accepted.output


def test_as_json_says_who_vouches_for_it(folder):
    shown = json.loads(from_cert(folder, "--json").output)
    assert (shown["of"], shown["verdict"], shown["accepted"]) == ("certificate", "SIMULATED", False)
    assert shown["issuer"].startswith("simulated")
    assert shown["status"] == "UpToDate"
    assert [group["name"] for group in shown["checks"]] == [
        "certificate",
        "quote",
        "platform",
        "enclave",
        "measurement",
        "key",
    ]


def test_the_wrong_binding_is_refused_even_where_a_simulation_is_accepted(folder):
    refused = from_cert(folder, SIMULATED, binding="subject-public-key-info")
    assert refused.exit_code == 1
    assert "does not bind the certificate's key" in refused.output


def test_binding_and_policy_have_no_default(folder):
    assert played(folder, "from-cert", "certificate.pem", *LOOK).exit_code == 64
    assert played(folder, "from-cert", "certificate.pem", *POINT).exit_code == 64
    assert from_cert(folder, binding="guess").exit_code == 64


def test_a_missing_choice_is_named_on_one_line_without_control_characters(folder):
    shown = played(folder, "from-cert", "certificate.pem", *LOOK)
    assert "Choose from: uncompressed-point, subject-public-key-info," in shown.output


def test_a_source_that_is_no_address_is_wrong_usage(folder):
    assert from_cert(folder, "--source", "http://pccs.example").exit_code == 64
    assert from_cert(folder, "--source-ca", "certificate.pem").exit_code == 64


def test_a_source_that_does_not_answer_says_what_helps(folder):
    options = [*POINT, *LOOK, *AT, "--home", "home", "--source", "https://127.0.0.1:1"]
    shown = played(folder, "from-cert", "certificate.pem", *options)
    assert shown.exit_code == 4
    assert "name other sources with --source" in shown.output


def test_what_is_no_certificate_is_malformed(folder):
    (folder / "not.der").write_bytes(b"not a certificate")
    (folder / "two.pem").write_text(2 * ssl.DER_cert_to_PEM_cert(w.made()))
    (folder / "huge.der").write_bytes(bytes(1_000_000))
    for file in ("not.der", "two.pem", "huge.der"):
        assert from_cert(folder, file=file).exit_code == 2


def test_missing_collateral_has_an_exit_code_of_its_own(folder):
    assert played(folder, "from-cert", "certificate.pem", *POINT, *LOOK, *AT).exit_code == 3


def test_fetches_the_documents_from_a_source(folder):
    collateral = json.loads((folder / "collateral.json").read_text())
    options = [*POINT, *LOOK, *AT, SIMULATED, "--home", "home"]
    with p.ProvisioningServer(collateral=collateral, folder=folder) as server:
        source = ["--source", server.url, "--source-ca", str(server.certificate)]
        shown = played(folder, "from-cert", "certificate.pem", *options, *source)
        both = played(
            folder, "from-cert", "certificate.pem", *options, *source, "--collateral", "collateral.json"
        )
        bad = played(folder, "from-cert", "collateral.json", *options, *source)
    assert shown.exit_code == 0, shown.output
    assert both.exit_code == 64
    assert bad.exit_code == 2
    assert len(server.asked) == 4


def test_keeps_the_certificate_only_once_it_is_accepted(folder):
    from_cert(folder, "--save", "kept.pem")
    assert not (folder / "kept.pem").exists()
    from_cert(folder, "--save", "kept.pem", SIMULATED)
    assert (folder / "kept.pem").read_bytes() == (folder / "certificate.pem").read_bytes()


def test_asks_a_running_service_for_its_certificate(folder):
    key = w.TlsKey.generate()
    private = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = ssl.DER_cert_to_PEM_cert(w.made(key)).encode()
    options = [*POINT, *LOOK, *AT, "--collateral", "collateral.json", SIMULATED, "--save", "kept.pem"]
    with tls_server(certificate, private, folder) as port:
        shown = played(folder, "from-url", f"https://127.0.0.1:{port}", *options)
    assert shown.exit_code == 0, shown.output
    assert (folder / "kept.pem").read_bytes() == certificate
    gone = played(folder, "from-url", f"https://127.0.0.1:{port}", *options)
    assert gone.exit_code == 4
    assert "a service that speaks TLS must answer there" in gone.output
    assert played(folder, "from-url", "http://127.0.0.1", *options).exit_code == 64


def test_a_certificate_out_of_date_is_refused(folder):
    late = (w.FIELDS.not_after + timedelta(days=1)).isoformat()
    shown = played(folder, "from-cert", "certificate.pem", *POINT, *LOOK, "--at", late)
    assert shown.exit_code == 1
    assert "valid from" in shown.output
