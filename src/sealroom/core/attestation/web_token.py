"""Signed web tokens (RFC 7515, compact form) as one service writes them: RS256 and nothing else.

Must never choose an algorithm or a key by what a token says, beyond finding the named key in a set that the
caller trusts. Specification: docs/spec/maa.md, "Token".
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from sealroom.core.attestation.document import JsonObject
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire import strict_json

MAX_TOKEN_BYTES = 65_536
_MAX_KID = 128
_HEADER_MEMBERS = {"alg", "kid", "typ", "jku"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebToken:
    """A token in its three parts. `signed` is what the signature covers; `raw_payload` is not believed."""

    key_id: str
    key_set_url: str | None
    signed: bytes
    raw_payload: bytes
    signature: bytes


def parse_web_token(raw: bytes) -> WebToken:
    """Take a token apart and read its header; any algorithm but RS256 is refused here.

    Raises `VerificationError` for another algorithm, `MalformedError` for what is no token.
    """
    if len(raw) > MAX_TOKEN_BYTES:
        raise MalformedError(f"token: {len(raw)} bytes, at most {MAX_TOKEN_BYTES}")
    parts = raw.split(b".")
    if len(parts) != 3:
        raise MalformedError(f"token: {len(parts)} parts, expected 3")
    header = decode_object(decode_base64url(parts[0], field="token header"), field="token header")
    _check_algorithm(header)
    if unknown := set(header) - _HEADER_MEMBERS:
        raise MalformedError(f"token header: unknown member {min(unknown)!r}")
    if header.get("typ", "JWT") != "JWT":
        raise MalformedError("token header: typ is not JWT")
    key_set_url = header.get("jku")
    return WebToken(
        key_id=strict_json.text(header.get("kid"), field="token kid", max_chars=_MAX_KID),
        key_set_url=None if key_set_url is None else strict_json.text(key_set_url, field="token jku"),
        signed=parts[0] + b"." + parts[1],
        raw_payload=decode_base64url(parts[1], field="token payload"),
        signature=decode_base64url(parts[2], field="token signature"),
    )


def decode_object(raw: bytes, *, field: str) -> JsonObject:
    """Read `raw` as a JSON object that names no member twice."""
    value = strict_json.decode_json(raw, field=field, max_bytes=MAX_TOKEN_BYTES)
    if not isinstance(value, dict):
        raise MalformedError(f"{field}: not a JSON object")
    return value


def decode_base64url(text: bytes, *, field: str) -> bytes:
    """Decode base64url without padding, in its one form."""
    try:
        decoded = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise MalformedError(f"{field}: not base64url") from exc
    if encode_base64url(decoded) != text:
        raise MalformedError(f"{field}: base64url is not canonical")
    return decoded


def encode_base64url(data: bytes) -> bytes:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _check_algorithm(header: JsonObject) -> None:
    algorithm = strict_json.text(header.get("alg"), field="token alg", max_chars=16)
    if algorithm != "RS256":
        raise VerificationError(f"token alg: {algorithm!r}, and only RS256 is a signature here")
