"""Strict PEM: chains of certificates as text, in the one form that Intel and the simulated TEE write.

Base64 must be canonical, lines exact, nothing may stand around the blocks. Specification:
docs/spec/quotes.md, "PEM".
"""

from __future__ import annotations

import base64
import binascii

from sealroom.core.errors import MalformedError

MAX_PEM_BYTES = 32_768
MAX_CERTIFICATES = 4
_LINE_LENGTHS = (64, 76)
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def parse_pem(raw: bytes) -> tuple[bytes, ...]:
    """Read `raw` as one to four PEM certificates and return their DER, in the order of the text."""
    if len(raw) > MAX_PEM_BYTES:
        raise MalformedError(f"pem: {len(raw)} bytes, at most {MAX_PEM_BYTES}")
    # Some clouds' quoting services join the leaf to the rest of the chain without a line break.
    lines = raw.removesuffix(b"\n").replace(_END + _BEGIN, _END + b"\n" + _BEGIN).split(b"\n")
    blocks: list[bytes] = []
    body: list[bytes] | None = None
    for line in lines:
        if body is None:
            if line != _BEGIN:
                raise MalformedError("pem: text outside a certificate block")
            body = []
        elif line == _END:
            blocks.append(_decode(body))
            body = None
        else:
            body.append(line)
    if body is not None:
        raise MalformedError("pem: block without its end")
    if len(blocks) > MAX_CERTIFICATES:
        raise MalformedError(f"pem: {len(blocks)} certificates, at most {MAX_CERTIFICATES}")
    return tuple(blocks)


def _decode(lines: list[bytes]) -> bytes:
    _check_line_lengths([len(line) for line in lines])
    text = b"".join(lines)
    try:
        der = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise MalformedError("pem: not base64") from exc
    # One certificate has one text: unused bits that are set would be a second one.
    if base64.b64encode(der) != text:
        raise MalformedError("pem: base64 is not canonical")
    return der


def _check_line_lengths(lengths: list[int]) -> None:
    width = lengths[0] if len(lengths) > 1 else max(_LINE_LENGTHS)
    if not lengths or width not in _LINE_LENGTHS:
        raise MalformedError("pem: lines of neither 64 nor 76 characters")
    if any(length != width for length in lengths[:-1]) or not 1 <= lengths[-1] <= width:
        raise MalformedError(f"pem: lines of a block are not all {width} characters with a shorter last one")
