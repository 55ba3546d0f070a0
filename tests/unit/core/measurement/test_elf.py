import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.elf import MAX_ELF_BYTES, parse_elf
from sealroom.insecure.synthetic_pal import synthetic_pal

_SECOND_HEADER = 64 + 56


def _changed(offset: int, value: bytes) -> bytes:
    raw = bytearray(synthetic_pal())
    raw[offset : offset + len(value)] = value
    return bytes(raw)


def _u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def test_reads_the_synthetic_pal() -> None:
    image = parse_elf(synthetic_pal())
    text, data = image.segments
    assert (text.first_page, text.end_page, text.executable, text.writable) == (0, 0x1000, True, False)
    assert (data.first_page, data.end_page, data.executable, data.writable) == (0x1000, 0x3000, False, True)
    assert b"SIMULATED" in text.content
    assert image.size == 0x3000


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "size"),
        (synthetic_pal()[:63], "size"),
        (bytes(MAX_ELF_BYTES + 1), "size"),
        (_changed(0, b"\x7fELG"), "identification"),
        (_changed(4, b"\x01"), "identification"),
        (_changed(5, b"\x02"), "identification"),
        (_changed(16, b"\x02\x00"), "kind"),
        (_changed(18, b"\x03\x00"), "kind"),
        (_changed(54, b"\x39\x00"), "program headers"),
        (_changed(56, b"\x00\x00"), "program headers"),
        (_changed(56, b"\xff\xff"), "program headers"),
        (_changed(32, _u64(1 << 63)), "past the end"),
        (_changed(_SECOND_HEADER + 8, _u64(1 << 40)), "do not fit"),
        (_changed(_SECOND_HEADER + 32, _u64(0x1801)), "do not fit"),
        (_changed(_SECOND_HEADER + 16, _u64(1 << 50)), "ends beyond"),
        (_changed(_SECOND_HEADER + 8, _u64(0xFFF) + _u64(0xFFF)), "share a page"),
        (_changed(_SECOND_HEADER + 16, _u64(0x1001)), "within their pages"),
        (_changed(_SECOND_HEADER + 8, _u64(0xFFF)), "within their pages"),
        (_changed(64, struct.pack("<I", 2)), "start at address zero"),
        (_changed(24, _u64(0x1000)), "entry point"),
    ],
)
def test_refuses_what_the_loader_would_place_elsewhere(raw: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        parse_elf(raw)


@given(st.integers(0, 0xB0), st.binary(min_size=1, max_size=8))
def test_any_change_of_the_headers_is_parsed_or_malformed(offset: int, value: bytes) -> None:
    try:
        parse_elf(_changed(offset, value))
    except MalformedError:
        return
