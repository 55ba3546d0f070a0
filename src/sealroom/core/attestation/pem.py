"""Strict PEM: chains of certificates as text, in the one form that Intel and the simulated TEE write.

Base64 must be canonical, lines exact, nothing may stand around the blocks. Specification:
docs/spec/quotes.md, "PEM".
"""

from __future__ import annotations

import binascii

from sealroom.core.errors import MalformedError

MAX_PEM_BYTES = 32_768
MAX_CERTIFICATES = 4
_LINE_LENGTHS = (64, 76)
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
_OUTSIDE = "pem: text outside a certificate block"


def parse_pem(raw: bytes) -> tuple[bytes, ...]:
    """Read `raw` as one to four PEM certificates and return their DER, in the order of the text."""
    return tuple(decode_block(block) for block in split_pem(raw))


def split_pem(raw: bytes) -> list[bytes]:
    """Cut `raw` into the texts of one to four certificates, each to be read by `decode_block`."""
    if len(raw) > MAX_PEM_BYTES:
        raise MalformedError(f"pem: {len(raw)} bytes, at most {MAX_PEM_BYTES}")
    *blocks, rest = raw.removesuffix(b"\n").split(_END)
    if rest or not blocks:
        raise MalformedError("pem: block without its end" if rest.count(_BEGIN) else _OUTSIDE)
    if len(blocks) > MAX_CERTIFICATES:
        raise MalformedError(f"pem: {len(blocks)} certificates, at most {MAX_CERTIFICATES}")
    # Some clouds' quoting services join the leaf to the rest of the chain without a line break.
    return [blocks[0], *(block.removeprefix(b"\n") for block in blocks[1:])]


def decode_block(block: bytes) -> bytes:
    """Read what `split_pem` cut out as the DER of one certificate."""
    if not block.startswith(_BEGIN + b"\n"):
        raise MalformedError(_OUTSIDE)
    lines = block[len(_BEGIN) + 1 :].split(b"\n")
    # Each line ends in a line feed, the last one, too.
    if lines.pop():
        raise MalformedError("pem: end of a block is not on a line of its own")
    _check_line_lengths([len(line) for line in lines])
    text = b"".join(lines)
    try:
        der = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as exc:
        raise MalformedError("pem: not base64") from exc
    # One certificate has one text: unused bits that are set would be a second one.
    if binascii.b2a_base64(der, newline=False) != text:
        raise MalformedError("pem: base64 is not canonical")
    return der


def _check_line_lengths(lengths: list[int]) -> None:
    last = lengths.pop() if lengths else 0
    width = lengths[0] if lengths else max(_LINE_LENGTHS)
    if not last or width not in _LINE_LENGTHS:
        raise MalformedError("pem: lines of neither 64 nor 76 characters")
    if lengths.count(width) != len(lengths) or last > width:
        raise MalformedError(f"pem: lines of a block are not all {width} characters with a shorter last one")
