"""Strict DER and strict PEM: one encoding of each value, everything else refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.attestation import der, pem
from sealroom.core.attestation.certificates import parse_certificate
from sealroom.core.attestation.crl import parse_crl
from sealroom.core.attestation.der import DerReader
from sealroom.core.attestation.pck_extension import parse_pck_extension
from sealroom.core.attestation.quote import parse_quote
from sealroom.core.errors import MalformedError


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "truncated"),
        ("02", "truncated"),
        ("1f8101", "tag 0x1f"),
        ("0280", "indefinite"),
        ("028400000001aa", "indefinite, too long"),
        ("0282ff", "indefinite, too long or truncated"),
        ("028101aa", "not minimal"),
        ("02820080" + "11" * 128, "not minimal"),
        ("0203aa", "needs 3 bytes"),
        ("0401aa", "tag 0x04"),
        ("0200", "integer of 0 bytes"),
        ("0216" + "01" * 22, "integer of 22 bytes"),
        ("0201ff", "negative"),
        ("02020001", "not minimal"),
    ],
)
def test_refuses_an_integer_that_is_not_der(raw, message):
    with pytest.raises(MalformedError, match=message):
        DerReader(bytes.fromhex(raw)).integer("field")


@pytest.mark.parametrize(("raw", "value"), [("020100", 0), ("0201 7f", 127), ("0202 0080", 128)])
def test_reads_a_minimal_integer(raw, value):
    reader = DerReader(bytes.fromhex(raw))
    assert reader.integer("field") == value
    reader.finish("field")


def test_refuses_bytes_left_over_in_a_container():
    reader = DerReader(bytes.fromhex("3006 020101 020102")).inside(der.SEQUENCE, "outer")
    reader.integer("first")
    with pytest.raises(MalformedError, match="3 bytes left over"):
        reader.finish("outer")


@pytest.mark.parametrize("raw", ["010101", "01020000", "0100"])
def test_refuses_a_boolean_that_is_neither_00_nor_ff(raw):
    with pytest.raises(MalformedError):
        DerReader(bytes.fromhex(raw)).boolean("field")


@pytest.mark.parametrize("raw", ["0300", "030201aa", "030207aa"])
def test_refuses_a_bit_string_that_is_not_whole_bytes(raw):
    with pytest.raises(MalformedError, match="whole number of bytes"):
        DerReader(bytes.fromhex(raw)).bits("field")


def encode_time(tag: int, text: str) -> bytes:
    return bytes([tag, len(text)]) + text.encode()


@pytest.mark.parametrize(
    ("tag", "text", "year"),
    [(0x17, "491231235959Z", 2049), (0x17, "500101000000Z", 1950), (0x18, "20500101000000Z", 2050)],
)
def test_reads_both_kinds_of_time(tag, text, year):
    assert DerReader(encode_time(tag, text)).time("field").year == year


@pytest.mark.parametrize(
    ("tag", "text", "message"),
    [
        (0x17, "4912312359Z", "digits to the second"),
        (0x17, "491231235959+0000", "digits to the second"),
        (0x17, "49123123595xZ", "digits to the second"),
        (0x17, "491231235959X", "digits to the second"),
        (0x17, "491331235959Z", "no such time"),
        (0x18, "20491231235959Z", "before 2050"),
        (0x18, "00001231235959Z", "no such time"),
        (0x0C, "20501231235959Z", "tag 0x0c"),
    ],
)
def test_refuses_a_time_of_another_form(tag, text, message):
    with pytest.raises(MalformedError, match=message):
        DerReader(encode_time(tag, text)).time("field")


def test_encodes_object_identifiers_with_long_arcs():
    assert der.object_identifier("1.2.840.113741.1.13.1").hex() == "2a864886f84d010d01"


def block(der_bytes: bytes, *, width: int = 64) -> bytes:
    text = base64.b64encode(der_bytes).decode()
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    body = "\n".join(lines)
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode()


DER = bytes(range(200))


@pytest.mark.parametrize("width", [64, 76])
def test_reads_blocks_of_both_line_widths(width):
    assert pem.parse_pem(block(DER, width=width) + block(b"x", width=width)) == (DER, b"x")


def test_reads_blocks_that_share_a_line_and_a_missing_last_line_feed():
    joined = block(DER).removesuffix(b"\n") + block(b"x").removesuffix(b"\n")
    assert pem.parse_pem(joined) == (DER, b"x")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "outside a certificate block"),
        (b"\n" + block(DER), "outside a certificate block"),
        (block(DER) + b"\n", "outside a certificate block"),
        (block(DER) + b"\n" + block(DER), "outside a certificate block"),
        (block(DER) + b"x", "outside a certificate block"),
        (block(DER).replace(b"\n", b"\r\n"), "outside a certificate block"),
        (block(DER)[:-30], "block without its end"),
        (block(DER).replace(b"\n-----END", b"-----END"), "not on a line of its own"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "neither 64 nor 76"),
        (block(DER, width=60), "neither 64 nor 76"),
        (block(DER)[:60] + b"\n" + block(DER)[60:], "neither 64 nor 76"),
        (block(DER)[:200] + b"\n" + block(DER)[200:], "not all 64"),
        (block(b"x" * 105).replace(b"\neHh4eHh4eHh4\n", b"eHh4eHh4eHh4\n"), "not all 64"),
        (block(b"xyz1").replace(b"==", b"=*"), "not base64"),
        (block(b"x").replace(b"eA==", b"eB=="), "not canonical"),
        (block(b"x").replace(b"eA==", b"eA"), "not base64"),
        (block(DER) * 5, "5 certificates, at most 4"),
        (b"x" * 32_769, "at most 32768"),
    ],
)
def test_refuses_pem_of_another_form(raw, message):
    with pytest.raises(MalformedError, match=message):
        pem.parse_pem(raw)


@given(raw=st.binary(max_size=300))
def test_parsers_return_a_value_or_malformed_for_any_bytes(raw):
    for parse in (
        pem.parse_pem,
        parse_certificate,
        parse_pck_extension,
        parse_quote,
        lambda data: parse_crl(data, name="crl"),
    ):
        try:
            parse(raw)
        except MalformedError:
            continue
