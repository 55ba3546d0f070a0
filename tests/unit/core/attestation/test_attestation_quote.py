"""The quote parser: sizes, types and reserved bytes, for all versions."""

import struct
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sealroom.core.attestation.pck import parse_pck_certificates
from sealroom.core.attestation.quote import CertificationKind, TeeType, parse_quote
from sealroom.core.attestation.quote_checks import AttributeRule, check_not_debug, check_trailing
from sealroom.core.attestation.reports import TdReport, parse_sgx_report, parse_td_report
from sealroom.core.errors import CollateralError, MalformedError, VerificationError
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

NOW = datetime(2026, 1, 15, tzinfo=UTC)
PKI = SimulationPki.generate(now=NOW)
BODY = ReportBody(
    mrenclave=bytes(range(32)), report_data=bytes(range(64)), isv_prod_id=7, isv_svn=9, config_svn=3
)
QUOTE = QuotingEnclave(PKI, qe_auth=b"abc").quote(BODY)
SECTION = QUOTE[436:]


def patched(offset: int, new: bytes, raw: bytes = QUOTE) -> bytes:
    return raw[:offset] + new + raw[offset + len(new) :]


def as_version(version: int, tee: int, body: bytes, descriptor: bytes = b"", outer: int = 6) -> bytes:
    """The same signature section around another body, in the layout of versions 4 and 5."""
    header = struct.pack("<HHIHH", version, 2, tee, 0, 0) + QUOTE[12:48]
    inner = SECTION[128:]
    section = SECTION[:128] + struct.pack("<HI", outer, len(inner)) + inner
    return header + descriptor + body + struct.pack("<I", len(section)) + section


def test_reads_every_field_of_a_version_3_quote():
    quote = parse_quote(QUOTE)
    assert (quote.header.version, quote.header.tee) == (3, TeeType.SGX)
    assert quote.body.mrenclave == BODY.mrenclave
    assert quote.body.report_data == BODY.report_data
    assert (quote.body.isv_prod_id, quote.body.isv_svn, quote.body.config_svn) == (7, 9, 3)
    assert quote.qe_auth_data == b"abc"
    assert quote.certification.kind is CertificationKind.PCK_CHAIN
    assert quote.signed == QUOTE[:432]
    assert quote.trailing == b""


def test_reads_version_4_and_5_bodies_of_both_kinds_of_tee():
    for size, body_type in ((584, 2), (648, 3)):
        body = bytes(index % 251 for index in range(size))
        five = parse_quote(as_version(5, 0x81, body, struct.pack("<HI", body_type, size)))
        assert five.body.raw == body
        assert five.signed[48:54] == struct.pack("<HI", body_type, size)
        assert len(five.signed) == 54 + size
    four = parse_quote(as_version(4, 0x81, bytes(584)))
    assert isinstance(four.body, TdReport)
    assert len(four.signed) == 632
    assert parse_quote(as_version(4, 0, BODY.to_bytes())).body.mrenclave == BODY.mrenclave
    assert parse_quote(as_version(5, 0, BODY.to_bytes(), struct.pack("<HI", 1, 384))).body.isv_svn == 9


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (bytes(65_537), "at most 65536"),
        (patched(0, b"\2"), "version: 2"),
        (patched(2, b"\3"), "key type: 3"),
        (patched(4, b"\1"), "unknown value 0x1"),
        (patched(4, b"\x81"), "version 3 is SGX only"),
        (patched(432, struct.pack("<I", len(SECTION) - 1)), "truncated"),
        (patched(432, struct.pack("<I", 0xFFFFFFFF)), "truncated"),
        (QUOTE[:432] + struct.pack("<I", len(SECTION) + 1) + SECTION + b"x", "left over"),
        (patched(1012, b"\xff\xff"), "truncated"),
        (patched(1012 + 5, b"\6"), "unknown type 6"),
        (patched(1012 + 5, b"\0"), "unknown type 0"),
        (patched(48 + 20, b"\1"), "isv report: reserved"),
        (patched(48 + 96, b"\1"), "isv report: reserved"),
        (patched(48 + 160, b"\1"), "isv report: reserved"),
        (patched(48 + 303, b"\1"), "isv report: reserved"),
        (patched(564 + 20, b"\1"), "qe report: reserved"),
        (patched(8, b"\1", as_version(4, 0x81, bytes(584))), "quote header: reserved"),
        (patched(10, b"\1", as_version(4, 0x81, bytes(584))), "quote header: reserved"),
        (as_version(4, 0x81, bytes(584), outer=5), "type 5, expected 6"),
        (as_version(5, 0x81, bytes(584), struct.pack("<HI", 3, 584)), "type 3 of 584"),
        (as_version(5, 0x81, bytes(584), struct.pack("<HI", 4, 584)), "type 4 of 584"),
        (as_version(5, 0, bytes(584), struct.pack("<HI", 2, 584)), "does not belong to SGX"),
        (as_version(5, 0x81, bytes(384), struct.pack("<HI", 1, 384)), "does not belong to TDX"),
    ],
)
def test_refuses_a_quote_of_another_form(raw, message):
    with pytest.raises(MalformedError, match=message):
        parse_quote(raw)


def test_refuses_an_inner_certification_that_does_not_fill_the_outer_one():
    raw = as_version(4, 0x81, bytes(584))
    section = raw[636:]
    grown = section[:130] + struct.pack("<I", len(section) - 134) + section[134:] + b"x"
    with pytest.raises(MalformedError, match="left over"):
        parse_quote(raw[:632] + struct.pack("<I", len(grown)) + grown)


@pytest.mark.parametrize("size", [0, 383, 385])
def test_refuses_reports_of_another_size(size):
    with pytest.raises(MalformedError, match="expected 384"):
        parse_sgx_report(bytes(size), name="report")
    with pytest.raises(MalformedError, match="expected 584 or 648"):
        parse_td_report(bytes(size), name="report")


def test_every_bit_of_the_untrusted_group_makes_a_td_debuggable():
    for bit in range(8):
        report = parse_td_report(patched(120, bytes([1 << bit]), bytes(584)), name="td")
        with pytest.raises(VerificationError, match="debug"):
            check_not_debug(report)
    check_not_debug(parse_td_report(bytes(584), name="td"))


def test_trailing_bytes_are_kept_apart_and_never_silently_accepted():
    parsed = parse_quote(QUOTE + b"\0\1")
    assert parsed.trailing == b"\0\1"
    with pytest.raises(VerificationError, match="not zero"):
        check_trailing(parsed, accept_zero_padding=True)
    check_trailing(parse_quote(QUOTE + bytes(99)), accept_zero_padding=True)
    check_trailing(parse_quote(QUOTE), accept_zero_padding=False)


@pytest.mark.parametrize(
    "kind", [kind for kind in CertificationKind if kind is not CertificationKind.PCK_CHAIN]
)
def test_a_quote_that_only_names_its_platform_asks_for_collateral(kind):
    certification = replace(parse_quote(QUOTE).certification, kind=kind)
    with pytest.raises(CollateralError, match="must be fetched"):
        parse_pck_certificates(certification)


@pytest.mark.parametrize("suffix", [b"\0\0", b"\0\n", b" "])
def test_refuses_more_than_one_nul_after_the_chain(suffix):
    certification = parse_quote(QUOTE).certification
    text = certification.raw.removesuffix(b"\0") + suffix
    with pytest.raises(MalformedError):
        parse_pck_certificates(replace(certification, raw=text))


def test_an_attribute_rule_cannot_demand_bits_that_it_masks_out():
    with pytest.raises(ValueError, match="flags"):
        AttributeRule(flags=2, flags_mask=1, xfrm=0, xfrm_mask=0, miscselect=0, miscselect_mask=0)
