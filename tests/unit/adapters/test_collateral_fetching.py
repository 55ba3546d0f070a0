"""Collateral from a service on this machine that behaves, and from ones that do not."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import provisioning_server as p
from sealroom.adapters.collateral_cache import CollateralCache
from sealroom.adapters.pccs import CollateralFetcher, FetchOptions
from sealroom.adapters.provisioning import INTEL_ROOT_CRL_URL, Source, read_chain, read_crl, read_signed
from sealroom.core.errors import MalformedError, SealroomError, TransportError
from sealroom.core.wire.bundle import RawCollateral
from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

# Against a real server.
pytestmark = pytest.mark.e2e

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PKI = SimulationPki.generate(now=NOW)
QUOTE = QuotingEnclave(PKI).quote(ReportBody(mrenclave=bytes(32), report_data=bytes(64)))
COLLATERAL = make_collateral(PKI, now=NOW)
QUICK = FetchOptions(connect_seconds=2, answer_seconds=0.5, attempts=3)

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("SEALROOM_VECTORS", ROOT.parent / "shared" / "vectors")) / "evidence"


@pytest.fixture
def server(tmp_path):
    with p.ProvisioningServer(collateral=dict(COLLATERAL), folder=tmp_path) as running:
        yield running


def fetcher(*servers, pauses=None, cache=None, options=QUICK, trusted=True):
    return CollateralFetcher(
        [Source.parse(server.url) for server in servers],
        source_ca=servers[0].certificate if trusted else None,
        cache=cache,
        options=options,
        sleep=(pauses.append if pauses is not None else p.patient),
    )


def fetch(*servers, now=NOW, **how):
    with fetcher(*servers, **how) as asking:
        return asking.fetch(QUOTE, now=now)


@pytest.mark.parametrize("form", ["der", "hex", "pem"])
def test_the_nine_documents_come_byte_for_byte(server, form):
    server.crl_form = form
    found = fetch(server)
    assert found.collateral == RawCollateral(**COLLATERAL)
    assert found.source == server.url
    assert found.warnings == ()
    assert found.pck_chain is None
    fmspc = PKI.tcb.fmspc.hex()
    assert server.asked == [
        f"/sgx/certification/v4/tcb?fmspc={fmspc}",
        "/sgx/certification/v4/qe/identity",
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        "/sgx/certification/v4/rootcacrl",
    ]


def test_genuine_collateral_of_every_kind_comes_byte_for_byte(tmp_path, capsys):
    index = FOLDER / "INDEX.json"
    if not index.is_file():
        pytest.skip(f"no genuine quotes at {FOLDER}: set SEALROOM_VECTORS to the folder that has them")
    count = 0
    with p.ProvisioningServer(collateral={}, folder=tmp_path) as server, fetcher(server) as asking:
        for entry in json.loads(index.read_text())["entries"]:
            bundles = {e["bundle"]: e["at"] for e in entry.get("expected", ())}
            if not bundles or entry["kind"] == "negative-quote":
                continue
            bundle, at = next(iter(bundles.items()))
            server.collateral = p.collateral_file(FOLDER / "collateral" / "bundles" / f"{bundle}.json")
            raw = (FOLDER / entry["file"]).read_bytes()
            found = asking.fetch(raw, now=datetime.fromisoformat(at))
            assert found.collateral == RawCollateral(**server.collateral)
            assert f"/{entry['tee'].lower()}/certification/v4/tcb?fmspc={entry['fmspc']}" in server.asked
            assert f"pckcrl?ca={entry['pck_ca']}&" in server.asked[-2]
            count += 1
    with capsys.disabled():
        print(f"\ncollateral of {count} genuine quotes fetched")
    assert count > 70


def test_a_service_whose_certificate_nobody_trusts_is_not_asked(server):
    with pytest.raises(TransportError, match="certificate verify failed"):
        fetch(server, trusted=False)
    assert server.asked == []


def test_a_certificate_for_another_name_is_not_trusted(server):
    other = Source(url=server.url.replace("127.0.0.1", "localhost"))
    with (
        CollateralFetcher([other], source_ca=server.certificate, options=QUICK, sleep=p.patient) as asking,
        pytest.raises(TransportError, match=r"mismatch|verify failed"),
    ):
        asking.fetch(QUOTE, now=NOW)
    assert server.asked == []


def test_a_busy_service_is_asked_again_after_the_pause_that_it_wants(server):
    left = [429, 503]
    honest = server.answer

    def answer(request):
        if left:
            p.failing(left.pop(0), retry_after="4")(request)
        else:
            honest(request)

    server.instead["/tcb?"] = answer
    pauses = []
    assert fetch(server, pauses=pauses).collateral == RawCollateral(**COLLATERAL)
    assert pauses == [4.0, 4.0]


def test_no_pause_is_longer_than_the_bound(server):
    server.instead["/tcb?"] = p.failing(429, retry_after="86400")
    pauses = []
    with pytest.raises(TransportError, match="answered 429"):
        fetch(server, pauses=pauses)
    assert pauses == [10.0, 10.0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_service_that_stays_broken_is_given_up(server, status):
    server.instead["/qe/identity"] = p.failing(status)
    with pytest.raises(TransportError, match=f"answered {status}"):
        fetch(server)
    assert sum("qe/identity" in path for path in server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 461])
def test_a_refusal_is_not_asked_again(server, status):
    server.instead["/tcb?"] = p.failing(status)
    with pytest.raises(TransportError, match=f"answered {status}"):
        fetch(server)
    assert len(server.asked) == 1


def test_a_redirection_is_not_followed(server):
    server.instead["/tcb?"] = p.redirecting(f"{server.url}/elsewhere")
    with pytest.raises(TransportError, match="answered 302"):
        fetch(server)
    assert len(server.asked) == 1


def test_an_endless_answer_is_cut_off(server):
    server.instead["/rootcacrl"] = p.endless
    started = time.monotonic()
    with pytest.raises(SealroomError, match="larger than 262144 bytes"):
        fetch(server)
    assert time.monotonic() - started < 5


def test_an_answer_that_drips_is_cut_off(server):
    server.instead["/tcb?"] = p.dripping(server)
    started = time.monotonic()
    with pytest.raises(SealroomError, match="not whole after"):
        fetch(server)
    assert time.monotonic() - started < 5


def test_silence_ends_in_time(server):
    server.instead["/tcb?"] = p.silent(server)
    started = time.monotonic()
    with pytest.raises(TransportError, match="no answer"):
        fetch(server)
    assert time.monotonic() - started < 5


def test_a_connection_that_breaks_off_is_tried_again(server):
    server.instead["/tcb?"] = p.hanging_up
    with pytest.raises(TransportError, match="no answer"):
        fetch(server)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/tcb?", b"<html>", {}),
        ("/tcb?", b"<html>", {"TCB-Info-Issuer-Chain": "x"}),
        ("/tcb?", b"\xff\xfe", {"TCB-Info-Issuer-Chain": "x"}),
        ("/tcb?", b'{"tcbInfo":' + b"[" * 60_000, {"TCB-Info-Issuer-Chain": "x"}),
        ("/tcb?", b'{"tcbInfo":{},"signature":"00"}', {"TCB-Info-Issuer-Chain": "x"}),
        ("/qe/identity", b'{"tcbInfo":{},"signature":""}', {"SGX-Enclave-Identity-Issuer-Chain": "x"}),
        ("/rootcacrl", b"", {}),
        ("/rootcacrl", b"<html>", {}),
        ("/rootcacrl", b"-----BEGIN X509 CRL-----\nA\n-----END X509 CRL-----\n", {}),
        ("/pckcrl?", b"0\x00", {"SGX-PCK-CRL-Issuer-Chain": "%ff"}),
        ("/pckcrl?", b"0\x00", {"SGX-PCK-CRL-Issuer-Chain": "not a chain"}),
    ],
)
def test_an_answer_of_another_form_is_not_collateral(server, path, body, headers):
    server.instead[path] = p.with_body(body, headers)
    with pytest.raises(TransportError):
        fetch(server)


@pytest.mark.parametrize("member", ["tcb_info", "qe_identity", "pck_crl", "root_ca_crl"])
def test_documents_of_another_root_are_not_taken(server, member):
    other = make_collateral(SimulationPki.generate(now=NOW), now=NOW)
    server.collateral |= {name: text for name, text in other.items() if name.startswith(member)}
    with pytest.raises(TransportError):
        fetch(server)


def test_the_next_service_is_asked_where_one_has_nothing_usable(server, tmp_path):
    (tmp_path / "other").mkdir()
    server.instead["/tcb?"] = p.failing(404)
    with p.ProvisioningServer(collateral=COLLATERAL, folder=tmp_path / "other") as second:
        trusted = tmp_path / "both.pem"
        trusted.write_bytes(server.certificate.read_bytes() + second.certificate.read_bytes())
        sources = [Source.parse(server.url), Source.parse(second.url + "/sgx/certification/v4/")]
        with CollateralFetcher(sources, source_ca=trusted, options=QUICK, sleep=p.patient) as asking:
            found = asking.fetch(QUOTE, now=NOW)
    assert found.source == second.url
    assert "answered 404" in found.warnings[0]


def test_fresh_documents_of_the_second_service_win_over_stale_ones_of_the_first(server, tmp_path):
    (tmp_path / "other").mkdir()
    later = NOW + timedelta(days=40)
    fresh = make_collateral(PKI, now=later)
    with p.ProvisioningServer(collateral=fresh, folder=tmp_path / "other") as second:
        trusted = tmp_path / "both.pem"
        trusted.write_bytes(server.certificate.read_bytes() + second.certificate.read_bytes())
        sources = [Source.parse(server.url), Source.parse(second.url)]
        with CollateralFetcher(sources, source_ca=trusted, options=QUICK, sleep=p.patient) as asking:
            found = asking.fetch(QUOTE, now=later)
    assert found.source == second.url
    assert found.collateral == RawCollateral(**fresh)


def test_documents_of_the_second_service_win_over_those_of_the_first_that_are_not_good_yet(server, tmp_path):
    (tmp_path / "other").mkdir()
    server.collateral = make_collateral(PKI, now=NOW + timedelta(days=5))
    with p.ProvisioningServer(collateral=COLLATERAL, folder=tmp_path / "other") as second:
        trusted = tmp_path / "both.pem"
        trusted.write_bytes(server.certificate.read_bytes() + second.certificate.read_bytes())
        sources = [Source.parse(server.url), Source.parse(second.url)]
        with CollateralFetcher(sources, source_ca=trusted, options=QUICK, sleep=p.patient) as asking:
            found = asking.fetch(QUOTE, now=NOW)
    assert found.source == second.url
    alone = fetch(server)
    assert [warning.split(":")[0] for warning in alone.warnings] == ["not good yet"]


def test_stale_documents_come_with_a_warning(server):
    found = fetch(server, now=NOW + timedelta(days=40))
    assert [warning.split(":")[0] for warning in found.warnings] == ["expired"]


def test_documents_that_expire_soon_come_with_a_warning(server):
    found = fetch(server, now=NOW + timedelta(days=26))
    assert [warning.split(":")[0] for warning in found.warnings] == ["soon expired"]


def test_what_was_fetched_lately_is_not_asked_for_again(server, tmp_path):
    cache = CollateralCache(folder=tmp_path / "cache")
    first = fetch(server, cache=cache)
    asked = len(server.asked)
    again = fetch(server, cache=cache, now=NOW + timedelta(hours=23))
    assert again.collateral == first.collateral
    assert again.source.endswith("kept here")
    assert len(server.asked) == asked
    fetch(server, cache=cache, now=NOW + timedelta(hours=25))
    assert len(server.asked) == 2 * asked


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[]", b'{"format":2,"fetched_at":0,"collateral":{}}'])
def test_a_cache_that_was_spoilt_is_as_good_as_none(server, tmp_path, spoilt):
    cache = CollateralCache(folder=tmp_path / "cache")
    fetch(server, cache=cache)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(spoilt)
    assert fetch(server, cache=cache).collateral == RawCollateral(**COLLATERAL)


def test_forged_documents_in_the_cache_are_not_believed(server, tmp_path):
    cache = CollateralCache(folder=tmp_path / "cache")
    fetch(server, cache=cache)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"UpToDate", b"Outdated"))
    assert fetch(server, cache=cache).source == server.url


def test_kept_documents_that_have_expired_are_fetched_again(server, tmp_path):
    cache = CollateralCache(folder=tmp_path / "cache")
    late = NOW + timedelta(days=29, hours=20)
    fetch(server, cache=cache, now=late)
    server.collateral = make_collateral(PKI, now=late + timedelta(hours=10))
    found = fetch(server, cache=cache, now=late + timedelta(hours=10))
    assert found.source == server.url


def test_a_folder_that_cannot_be_written_fails_no_fetch(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = CollateralCache(folder=tmp_path / "file" / "cache")
    assert fetch(server, cache=cache).collateral == RawCollateral(**COLLATERAL)


def test_certificates_of_a_platform_that_is_named_by_its_ppid_are_looked_up(server):
    section = QUOTE.index(b"-----BEGIN") - 6
    ppid, svn = bytes(range(256)) + bytes(128), bytes(16) + b"\x0b\x00" + b"\x00\x00"
    certification = (3).to_bytes(2, "little") + len(ppid + svn).to_bytes(4, "little") + ppid + svn
    start = 48 + 384
    signature = QUOTE[start + 4 : section] + certification
    raw = QUOTE[:start] + len(signature).to_bytes(4, "little") + signature
    leaf, *rest = PKI.pck_chain_pem.decode().split("-----END CERTIFICATE-----\n")
    chain = "-----END CERTIFICATE-----\n".join(rest)
    headers = {"SGX-PCK-Certificate-Issuer-Chain": p.quote(chain)}
    server.instead["/pckcert?"] = p.with_body(f"{leaf}-----END CERTIFICATE-----\n".encode(), headers)
    with fetcher(server) as asking:
        found = asking.fetch(raw, now=NOW)
    assert found.pck_chain is not None
    assert found.pck_chain.strip() == PKI.pck_chain_pem.strip()
    assert f"encrypted_ppid={ppid.hex()}&cpusvn={'00' * 16}&pcesvn=0b00&pceid=0000&qeid=" in server.asked[0]


@pytest.mark.parametrize(
    "text",
    [
        "http://pccs.example",
        "pccs.example",
        "https://",
        "https://[",
        "https://a:b@pccs.example",
        "https://p/?q",
    ],
)
def test_a_source_is_an_https_address(text):
    with pytest.raises(MalformedError):
        Source.parse(text)


def test_intel_and_azure_are_known_by_name_and_use_intels_root_list():
    assert Source.parse("intel").url == "https://api.trustedservices.intel.com"
    assert Source.parse("azure").root_crl == INTEL_ROOT_CRL_URL
    own = Source.parse("https://pccs.example:8081/sgx/certification/v4/")
    assert own.root_crl == "https://pccs.example:8081/sgx/certification/v4/rootcacrl"


def test_the_signed_bytes_are_cut_out_and_never_written_anew():
    answer = b'{ "tcbInfo" : {"b": 1,  "a":"\\u00e9"} , "signature": "' + b"AB" * 64 + b'" }\n'
    cut = read_signed(answer, member="tcbInfo", chain="")
    assert cut.document == '{"b": 1,  "a":"\\u00e9"}'
    assert cut.signature == "ab" * 64


def test_a_list_in_hexadecimal_may_begin_like_der():
    assert read_crl(b"3082\n") == "3082"
    assert read_chain("a%0Ab", name="h") == "a\nb"


def test_a_fetch_needs_a_source_and_readable_certificates(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        CollateralFetcher([])
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(MalformedError, match="source ca"):
        CollateralFetcher([Source.parse("intel")], source_ca=tmp_path / "ca.pem")


def test_options_may_be_changed_one_by_one(server):
    assert fetch(server, options=replace(QUICK, attempts=1)).collateral == RawCollateral(**COLLATERAL)
