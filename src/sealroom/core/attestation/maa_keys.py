"""The keys with which an attestation service signs its tokens, as the service publishes them.

The set is trusted for how it came: over TLS, from the instance itself.
Specification: docs/spec/maa.md, "Key set".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from sealroom.core.attestation.certificate_walk import WalkedCertificate, walk_certificate
from sealroom.core.attestation.document import JsonObject, member, objects
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire import strict_json
from sealroom.core.wire.ra_tls import KeyAlgorithm

MAX_KEY_SET_BYTES = 262_144
_MAX_KEYS = 32
_MAX_CERTIFICATES = 8
_MAX_KID = 128
_KEY_MEMBERS = {"kid", "kty", "x5c", "alg", "use"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaaKeySet:
    """The certificates of the signing keys, by key id."""

    certificates: Mapping[str, WalkedCertificate]

    def certificate(self, key_id: str) -> WalkedCertificate:
        """Return the certificate of the key that a token names."""
        if key_id not in self.certificates:
            raise VerificationError(f"token kid: {key_id!r} is no key of the service's set")
        return self.certificates[key_id]


def parse_key_set(raw: bytes) -> MaaKeySet:
    """Read the JSON that a service publishes at `/certs`."""
    document = strict_json.decode_json(raw, field="key set", max_bytes=MAX_KEY_SET_BYTES)
    if not isinstance(document, dict) or set(document) != {"keys"}:
        raise MalformedError("key set: expected an object with exactly keys")
    certificates: dict[str, WalkedCertificate] = {}
    for key in objects(document["keys"], field="keys", max_items=_MAX_KEYS):
        key_id = strict_json.text(member(key, "kid"), field="kid", max_chars=_MAX_KID)
        if not key_id or key_id in certificates:
            raise MalformedError(f"key set: kid {key_id!r} is empty or stands twice")
        certificates[key_id] = _parse_key(key)
    if not certificates:
        raise MalformedError("key set: no keys")
    return MaaKeySet(certificates=certificates)


def _parse_key(key: JsonObject) -> WalkedCertificate:
    if unknown := set(key) - _KEY_MEMBERS:
        raise MalformedError(f"key set: unknown member {min(unknown)!r}")
    for name, expected in (("kty", "RSA"), ("alg", "RS256"), ("use", "sig")):
        if key.get(name, None if name == "kty" else expected) != expected:
            raise MalformedError(f"key set: {name} is not {expected}")
    chain = strict_json.array(member(key, "x5c"), field="x5c", max_items=_MAX_CERTIFICATES)
    if not chain:
        raise MalformedError("x5c: no certificates")
    certificate = walk_certificate(_decode(chain[0]))
    if certificate.key.algorithm is not KeyAlgorithm.RSA:
        raise MalformedError("x5c: not a certificate of an RSA key")
    return certificate


def _decode(value: strict_json.JsonValue) -> bytes:
    text = strict_json.text(value, field="x5c", max_chars=2 * MAX_KEY_SET_BYTES)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("x5c: not base64") from exc
    if base64.b64encode(decoded).decode("ascii") != text:
        raise MalformedError("x5c: base64 is not canonical")
    return decoded
