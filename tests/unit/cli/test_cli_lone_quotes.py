"""`sealroom evidence verify --quote`, `show --quote` and `fetch`, as a shell sees them."""

import json
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealroom.cli.main import run
from sealroom.core.wire.bundle import EvidenceBundle, RawCollateral
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.insecure.collateral import Wish, make_collateral
from sealroom.insecure.pki import SimulationPki, pem
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters"))
import provisioning_server as p

NOW = datetime.now(UTC).replace(microsecond=0)
PKI = SimulationPki.generate(now=NOW)
BODY = ReportBody(mrenclave=bytes(range(32)), report_data=bytes(64))
LATER = (NOW + timedelta(days=60)).isoformat()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "quote").write_bytes(QuotingEnclave(PKI).quote(BODY))
    (tmp_path / "collateral").write_text(json.dumps(make_collateral(PKI, now=NOW), indent=1))
    (tmp_path / "root.pem").write_bytes(pem(PKI.root.certificate))
    (tmp_path / "other.der").write_bytes(other_root())
    return tmp_path


def other_root() -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return SimulationPki.generate(now=NOW).root.certificate.public_bytes(Encoding.DER)


def verify(files, *words, quote="quote", collateral="collateral", policy="insecure-any-status"):
    given = ["--collateral", str(files / collateral)] if collateral else []
    return run(["evidence", "verify", "--quote", str(files / quote), *given, "--policy", policy, *words])


def test_a_simulated_quote_is_simulated_and_exits_1_unless_asked_for(files, capsys):
    assert verify(files, "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["accepted"], said["verdict"]) == (False, "SIMULATED")
    assert (said["status"], said["advisories"]) == ("UpToDate", [])
    assert said["issuer"].startswith("simulated")
    assert [group["name"] for group in said["checks"]] == ["quote", "platform", "enclave", "measurement"]
    assert verify(files, "--insecure-accept-simulated") == 0
    assert "SIMULATED" in capsys.readouterr().out


def test_a_root_that_is_named_is_looked_at_and_stays_simulated(files, capsys):
    assert verify(files, "--insecure-root", str(files / "root.pem"), "--json") == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "SIMULATED"
    words = ("--insecure-root", str(files / "root.pem"), "--insecure-accept-simulated")
    assert verify(files, *words) == 0
    words = ("--insecure-root", str(files / "other.der"), "--insecure-accept-simulated")
    assert verify(files, *words) == 1
    assert "none of those to be accepted" in capsys.readouterr().out


def test_a_refusal_exits_1_with_its_status(files, capsys):
    bad = make_collateral(PKI, now=NOW, wish=Wish(revoked=(PKI.pck.certificate,)))
    (files / "bad").write_text(json.dumps(bad))
    assert verify(files, "--json", "--insecure-accept-simulated", collateral="bad") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "UpToDate"


@pytest.mark.parametrize("content", [b"", b"\xff" * 70_000])
def test_a_root_that_is_no_certificate_exits_2_however_large_it_is(files, capsys, content):
    (files / "bad").write_bytes(content)
    assert verify(files, "--json", "--insecure-root", str(files / "bad")) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "malformed"


@pytest.mark.parametrize("content", [b"", b"\0", b"\x03\x00", b"\xff" * 70_000])
def test_a_malformed_quote_exits_2_with_a_verdict(files, capsys, content):
    (files / "bad").write_bytes(content)
    assert verify(files, "--json", quote="bad") == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "REFUSED"


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"[" * 5_000_000])
def test_malformed_collateral_exits_2_with_a_verdict(files, capsys, content):
    (files / "bad").write_bytes(content)
    assert verify(files, "--json", collateral="bad") == 2
    assert json.loads(capsys.readouterr().out)["accepted"] is False


def test_missing_and_stale_collateral_exit_3(files, capsys):
    assert verify(files, collateral=None) == 3
    assert verify(files, "--at", LATER) == 3
    assert "good until" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--policy", "strict"],
        ["--policy", "strict", "--quote", "no/such/file"],
        ["--quote", "QUOTE"],
        ["--quote", "QUOTE", "QUOTE", "--policy", "strict"],
        ["QUOTE", "--collateral", "QUOTE", "--policy", "strict"],
        ["--quote", "QUOTE", "--policy", "strict", "--at", "yesterday"],
    ],
)
def test_wrong_usage_exits_64(files, capsys, words):
    shown = [str(files / "quote") if word == "QUOTE" else word for word in words]
    assert run(["evidence", "verify", *shown]) == 64
    assert capsys.readouterr().err


def test_show_says_the_issuer_first(files, capsys):
    shown = ["evidence", "show", "--quote", str(files / "quote")]
    assert run([*shown, "--collateral", str(files / "collateral"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    names = ["issuer", "mrenclave", "mrsigner", "product", "svn", "debug", "tcb_status"]
    assert list(said)[: len(names)] == names
    assert said["issuer"].startswith("simulated")
    assert said["mrenclave"] == BODY.mrenclave.hex()
    assert said["tcb_status"] == "UpToDate"
    assert run(shown) == 0
    assert "simulated" in capsys.readouterr().out
    late = [*shown, "--collateral", str(files / "collateral"), "--at", LATER, "--json"]
    assert run(late) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tcb_status"] is None
    assert "not at" in said["tcb_status_unknown_because"]


def test_show_says_in_words_what_is_not_known_and_why(files, capsys):
    assert run(["evidence", "show", "--quote", str(files / "quote")]) == 0
    shown = capsys.readouterr().out
    assert "not known" in shown
    assert "none was given" in shown
    assert "None" not in shown


def test_certificates_for_a_quote_that_carries_its_own_are_wrong_usage(files, capsys):
    assert verify(files, "--pck-chain", str(files / "quote")) == 64
    assert "this quote carries its certificates" in capsys.readouterr().err


def test_show_reads_a_quote_once_so_it_may_come_through_a_pipe(files, capsys):
    end, other = os.pipe()
    os.write(other, (files / "quote").read_bytes())
    os.close(other)
    words = ["--quote", f"/dev/fd/{end}", "--collateral", str(files / "collateral"), "--json"]
    assert run(["evidence", "show", *words]) == 0
    os.close(end)
    said = json.loads(capsys.readouterr().out)
    assert (said["mrenclave"], said["tcb_status"]) == (BODY.mrenclave.hex(), "UpToDate")


def fetch(files, server, *words):
    where = ["--source", server.url, "--source-ca", str(server.certificate), "--home", str(files / "home")]
    return run(["evidence", "fetch", str(files / "quote"), *where, "--save", str(files / "saved"), *words])


def test_what_was_fetched_verifies(files, tmp_path, capsys):
    with p.ProvisioningServer(collateral=make_collateral(PKI, now=NOW), folder=tmp_path) as server:
        assert fetch(files, server, "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert said["source"] == server.url
        assert said["warnings"] == []
        asked = len(server.asked)
        assert fetch(files, server) == 0
        assert len(server.asked) == asked
        assert fetch(files, server, "--no-cache") == 0
        assert len(server.asked) == 2 * asked
    saved = RawCollateral.from_json((files / "saved").read_bytes())
    assert saved == RawCollateral(**make_collateral_again(saved))
    assert verify(files, "--insecure-accept-simulated", collateral="saved") == 0


def make_collateral_again(saved: RawCollateral) -> dict[str, str]:
    value = saved.to_value()
    assert isinstance(value, dict)
    return {name: str(text) for name, text in value.items()}


def test_a_bundle_is_completed_and_nothing_else_of_it_changed(files, tmp_path, capsys):
    entry = CodeFile(path="run.py", size=1, sha256=bytes(32))
    bundle = EvidenceBundle(
        release="0.1.0",
        quote=(files / "quote").read_bytes(),
        identity_pk=bytes(32),
        collateral=None,
        manifest=b"m",
        arguments=b"a",
        entry_point=b"\n",
        requirements=None,
        code_list=CodeList.from_files((entry,)),
        code_signature=bytes(64),
        sigstruct=None,
        pal=b"p",
    )
    (files / "quote").write_bytes(bundle.to_bytes())
    members = make_collateral(PKI, now=NOW)
    with p.ProvisioningServer(collateral=members, folder=tmp_path) as server:
        assert fetch(files, server) == 0
    assert server.url in capsys.readouterr().out
    completed = EvidenceBundle.from_bytes((files / "saved").read_bytes())
    assert completed == replace(bundle, collateral=RawCollateral(**members))


def test_a_source_that_does_not_answer_exits_4(files, tmp_path, capsys):
    with p.ProvisioningServer(collateral=make_collateral(PKI, now=NOW), folder=tmp_path) as server:
        server.instead["/tcb?"] = p.failing(404)
        assert fetch(files, server) == 4
    said = capsys.readouterr().err
    assert "answered 404" in said
    assert "--source-ca" in said
    assert not (files / "saved").exists()


def test_a_source_that_is_no_address_is_wrong_usage(files):
    words = ["evidence", "fetch", str(files / "quote"), "--save", str(files / "saved")]
    assert run([*words, "--source", "ftp://pccs.example"]) == 64
    assert run([*words, "--source", ""]) == 64
