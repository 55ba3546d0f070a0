"""Tokens of Microsoft Azure Attestation: are they its word about an SGX enclave, and what do they say.

A token is worth what the service and its instance's policy are worth: it never replaces a quote. Must never
believe a claim before the signature over it held. Specification: docs/spec/maa.md.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sealroom.core.attestation.certificate_walk import check_in_validity
from sealroom.core.attestation.document import JsonObject, hex_member, member, number_member, text_member
from sealroom.core.attestation.maa_keys import MaaKeySet
from sealroom.core.attestation.public_keys import SignatureAlgorithm, verify_signature
from sealroom.core.attestation.web_token import (
    WebToken,
    decode_base64url,
    decode_object,
    parse_web_token,
)
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire import strict_json

MAX_LIFETIME = timedelta(days=1)
_VERSION = "1.0"
_KIND = "sgx"
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z

_NAMES = (
    "x-ms-sgx-mrenclave",
    "x-ms-sgx-mrsigner",
    "x-ms-sgx-product-id",
    "x-ms-sgx-svn",
    "x-ms-sgx-is-debuggable",
)
_OLDER_NAMES = ("sgx-mrenclave", "sgx-mrsigner", "product-id", "svn", "is-debuggable")
_HELD_DATA = ("x-ms-sgx-ehd", "maa-ehd", "aas-ehd")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveClaims:
    """What the service says of an enclave."""

    mrenclave: bytes
    mrsigner: bytes
    product: int
    svn: int
    debug: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MaaClaims:
    """A verified token's claims. `report_data` and `held_data` are missing from some tokens."""

    issuer: str
    issued_at: datetime
    not_before: datetime
    expires_at: datetime
    enclave: EnclaveClaims
    report_data: bytes | None
    held_data: bytes | None
    policy_hash: bytes


def verify_maa_token(
    raw: bytes, *, keys: MaaKeySet, issuer: str, leeway: timedelta, now: datetime
) -> MaaClaims:
    """Return what the service `issuer` says, if the token is its own and valid at `now`.

    1. The form, and RS256. 2. The key it names is in `keys`, which the caller fetched from that service.
    3. The key's certificate is valid. 4. The signature, over the bytes received. 5. Issuer. 6. Times, at most
    `leeway` apart. 7. An SGX enclave's, in the known version, and both sets of claims agree.
    """
    token = parse_web_token(raw)
    certificate = keys.certificate(token.key_id)
    check_in_validity(certificate, now=now)
    verify_signature(
        certificate.key,
        SignatureAlgorithm.RSA_SHA256,
        message=token.signed,
        signature=token.signature,
        name="token",
    )
    payload = decode_object(token.raw_payload, field="token payload")
    _check_issuer(payload, token, issuer)
    issued_at, not_before, expires_at = (_moment(payload, name) for name in ("iat", "nbf", "exp"))
    _check_lifetime(issued_at, not_before, expires_at)
    _check_times(issued_at, not_before, expires_at, leeway=leeway, now=now)
    _check_kind(payload)
    report_data, held_data = _read_data(payload)
    return MaaClaims(
        issuer=issuer,
        issued_at=issued_at,
        not_before=not_before,
        expires_at=expires_at,
        enclave=_read_enclave(payload),
        report_data=report_data,
        held_data=held_data,
        policy_hash=_read_policy_hash(payload),
    )


def _check_issuer(payload: JsonObject, token: WebToken, issuer: str) -> None:
    found = text_member(payload, "iss")
    if found != issuer:
        raise VerificationError(f"iss: {found!r}, expected {issuer!r}")
    if token.key_set_url not in (None, f"{issuer}/certs"):
        raise VerificationError(f"token jku: {token.key_set_url!r} is not the issuer's")


def _moment(payload: JsonObject, name: str) -> datetime:
    return datetime.fromtimestamp(number_member(payload, name, maximum=_LAST_SECOND), tz=UTC)


def _check_lifetime(issued_at: datetime, not_before: datetime, expires_at: datetime) -> None:
    if expires_at <= max(issued_at, not_before) or expires_at - issued_at > MAX_LIFETIME:
        raise VerificationError("exp: not within a day after iat and nbf")


def _check_times(
    issued_at: datetime, not_before: datetime, expires_at: datetime, *, leeway: timedelta, now: datetime
) -> None:
    # Seconds apart, not moments: adding to a date near either end of the calendar overflows.
    if now - expires_at >= leeway:
        raise VerificationError(f"exp: {expires_at:%Y-%m-%dT%H:%M:%SZ} has passed")
    if max(issued_at, not_before) - now > leeway:
        raise VerificationError(f"nbf, iat: {max(issued_at, not_before):%Y-%m-%dT%H:%M:%SZ} is to come")


def _check_kind(payload: JsonObject) -> None:
    for name, expected in (("x-ms-attestation-type", _KIND), ("x-ms-ver", _VERSION)):
        found = text_member(payload, name)
        if found != expected:
            raise VerificationError(f"{name}: {found!r}, expected {expected!r}")


def _read_enclave(payload: JsonObject) -> EnclaveClaims:
    sets = [
        _read_set(payload, names)
        for names in (_NAMES, _OLDER_NAMES)
        if any(name in payload for name in names)
    ]
    if not sets:
        raise MalformedError("token payload: no claims about an enclave")
    if any(claims != sets[0] for claims in sets):
        raise VerificationError("token payload: the two sets of claims about the enclave differ")
    if any(name in payload for name in _OLDER_NAMES) and text_member(payload, "tee") != _KIND:
        raise VerificationError(f"tee: not {_KIND}")
    return sets[0]


def _read_set(payload: JsonObject, names: tuple[str, str, str, str, str]) -> EnclaveClaims:
    mrenclave, mrsigner, product, svn, debug = names
    debuggable = member(payload, debug)
    if not isinstance(debuggable, bool):
        raise MalformedError(f"{debug}: expected true or false")
    return EnclaveClaims(
        mrenclave=hex_member(payload, mrenclave, size=32),
        mrsigner=hex_member(payload, mrsigner, size=32),
        product=number_member(payload, product),
        svn=number_member(payload, svn),
        debug=debuggable,
    )


def _read_data(payload: JsonObject) -> tuple[bytes | None, bytes | None]:
    """Return report data and held data, which agree where both are there."""
    name = "x-ms-sgx-report-data"
    report_data = hex_member(payload, name, size=64) if name in payload else None
    held = {_base64url_member(payload, name) for name in _HELD_DATA if name in payload}
    if len(held) > 1:
        raise VerificationError("token payload: the claims about held data differ")
    held_data = held.pop() if held else None
    if held_data is not None and report_data is not None:
        digest = hashlib.sha256(held_data).digest()
        if not hmac.compare_digest(digest, report_data[:32]):
            raise VerificationError(f"{name}: does not bind the held data")
    return report_data, held_data


def _read_policy_hash(payload: JsonObject) -> bytes:
    digest = _base64url_member(payload, "x-ms-policy-hash")
    if len(digest) != 32:
        raise MalformedError(f"x-ms-policy-hash: {len(digest)} bytes, expected 32")
    return digest


def _base64url_member(payload: JsonObject, name: str) -> bytes:
    text = strict_json.text(member(payload, name), field=name, max_chars=65_536)
    # ASCII, as the whole of a token is; base64url leaves nothing else.
    return decode_base64url(text.encode("utf-8"), field=name)
