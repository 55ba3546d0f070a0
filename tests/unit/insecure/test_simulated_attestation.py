"""The simulated PKI, quotes and collateral: Intel's shape, other names, never Intel's root."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest

from sealroom.core.attestation.collateral import check_not_revoked, parse_collateral, verify_collateral
from sealroom.core.attestation.pck import parse_pck_certificates, verify_pck_chain
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.attestation.quote_checks import verify_quote_signatures
from sealroom.core.attestation.roots import SIMULATION_QE_VENDOR_ID, Provenance
from sealroom.core.attestation.tcb import TcbVerdict, match_tcb
from sealroom.core.attestation.tcb_status import TcbStatus, converge
from sealroom.core.errors import MalformedError
from sealroom.core.wire.bundle import RawCollateral
from sealroom.insecure.collateral import DOCUMENT_LIFETIME, Wish, make_collateral
from sealroom.insecure.pck_extension import PlatformTcb
from sealroom.insecure.pki import FILE_NAME, SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody, local_report

NOW = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)
PKI = SimulationPki.generate(now=NOW)
BODY = ReportBody(mrenclave=bytes(range(32)), report_data=bytes(range(64)))
DOCUMENT_STATUSES = [status for status in TcbStatus if not status.derived]


def verify(pki: SimulationPki, quote: bytes, collateral: dict[str, str], now: datetime) -> TcbVerdict:
    parsed = parse_quote(quote)
    platform = verify_pck_chain(parse_pck_certificates(parsed.certification), now=now)
    assert platform.provenance is Provenance.SIMULATED
    verified = verify_quote_signatures(parsed, platform)
    documents = verify_collateral(
        parse_collateral(RawCollateral(**collateral)), root_key=pki.root.point, now=now
    )
    check_not_revoked(platform, root_crl=documents.root_crl, pck_crl=documents.pck_crl)
    return match_tcb(verified, tcb_info=documents.tcb_info, qe_identity=documents.qe_identity)


@pytest.mark.parametrize("status", DOCUMENT_STATUSES)
@pytest.mark.parametrize("qe_status", [TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE, TcbStatus.REVOKED])
def test_any_status_can_be_had(status, qe_status):
    wish = Wish(status=status, qe_status=qe_status, evaluation_number=21)
    verdict = verify(PKI, QuotingEnclave(PKI).quote(BODY), make_collateral(PKI, now=NOW, wish=wish), NOW)
    assert verdict.status is converge(status, qe_status, name="qe")
    assert (verdict.platform.status, verdict.qe.status) == (status, qe_status)
    assert verdict.evaluation_number == 21


@pytest.mark.parametrize("status", [TcbStatus.TD_RELAUNCH_ADVISED])
def test_a_status_that_no_document_holds_cannot_be_wished_for(status):
    with pytest.raises(ValueError, match="derived"):
        Wish(status=status)


def test_fresh_collateral_is_good_for_a_month_and_a_kept_pki_for_years():
    for years in (0, 3, 6):
        now = NOW + timedelta(days=365 * years)
        for moment in (now, now + DOCUMENT_LIFETIME - timedelta(hours=2)):
            verify(PKI, QuotingEnclave(PKI).quote(BODY), make_collateral(PKI, now=now), moment)


def test_every_name_says_simulation_and_the_vendor_is_not_intel():
    for holder in (PKI.root, PKI.platform_ca, PKI.pck, PKI.tcb_signing):
        assert "SIMULATION" in holder.certificate.subject.rfc4514_string()
    quote = parse_quote(QuotingEnclave(PKI).quote(BODY))
    assert quote.header.qe_vendor_id == SIMULATION_QE_VENDOR_ID == b"SEALROOM-NOT-SGX"


def test_a_kept_pki_comes_back_as_it_was():
    again = SimulationPki.from_bytes(PKI.to_bytes())
    assert again.to_bytes() == PKI.to_bytes()
    verify(PKI, QuotingEnclave(again).quote(BODY), make_collateral(again, now=NOW), NOW)


def test_a_platform_with_another_tcb_is_up_to_date_by_its_own_collateral():
    pki = SimulationPki.generate(now=NOW, tcb=PlatformTcb(components=bytes(range(16)), pce_svn=300))
    again = SimulationPki.from_bytes(pki.to_bytes())
    verdict = verify(again, QuotingEnclave(again).quote(BODY), make_collateral(again, now=NOW), NOW)
    assert verdict.status is TcbStatus.UP_TO_DATE


def test_one_pki_is_kept_in_a_folder_and_only_its_owner_may_read_it(tmp_path):
    first = SimulationPki.load_or_create(tmp_path, now=NOW)
    assert SimulationPki.load_or_create(tmp_path, now=NOW).to_bytes() == first.to_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_of_two_starts_at_once_one_pki_wins(tmp_path, monkeypatch):
    winner = PKI.to_bytes()
    generate = SimulationPki.generate

    def slow(**arguments):
        (tmp_path / FILE_NAME).write_bytes(winner)
        return generate(**arguments)

    monkeypatch.setattr(SimulationPki, "generate", slow)
    assert SimulationPki.load_or_create(tmp_path, now=NOW).to_bytes() == winner
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


DAMAGED = json.loads(PKI.to_bytes())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({**DAMAGED, "root": {}}).encode(),
        json.dumps({**DAMAGED, "root": "x"}).encode(),
        json.dumps({**DAMAGED, "root": {"key": "x", "certificate": "y"}}).encode(),
        json.dumps({**DAMAGED, "tcb": {**DAMAGED["tcb"], "fmspc": 1}}).encode(),
    ],
)
def test_a_damaged_file_is_malformed(raw):
    with pytest.raises(MalformedError):
        SimulationPki.from_bytes(raw)


def test_private_keys_do_not_show():
    assert "PRIVATE" not in repr(PKI)
    assert "key=" not in repr(PKI.root)


def test_a_local_report_has_the_size_and_layout_of_hardware():
    report = local_report(BODY)
    assert len(report) == 432
    assert report[64:96] == BODY.mrenclave
    assert report[320:384] == BODY.report_data
    assert report[:384] == BODY.to_bytes()


@pytest.mark.parametrize("field", ["mrenclave", "mrsigner", "report_data", "config_id"])
def test_a_report_field_of_another_size_is_our_own_mistake(field):
    from dataclasses import replace

    with pytest.raises(ValueError, match=field):
        replace(BODY, **{field: os.urandom(31)}).to_bytes()
