"""DSSE envelopes with one payload type and one signature (docs/spec/receipt.md).

Must never show a payload as parsed before its signature holds: `verify_envelope` is the way to the bytes.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import SIGNATURE_SIZE, check_at_most, check_size
from sealroom.core.wire.signatures import verify_ed25519
from sealroom.core.wire.strict_json import JsonValue

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
MAX_ENVELOPE_BYTES = 48 * 1024 * 1024
_MAX_KEYID_CHARS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload and one signature, not verified. `keyid` is kept as received and decides nothing."""

    payload: bytes
    signature: bytes
    payload_type: str = PAYLOAD_TYPE
    keyid: str = ""

    def __post_init__(self) -> None:
        if self.payload_type != PAYLOAD_TYPE:
            raise MalformedError(f"payloadType: expected {PAYLOAD_TYPE}")
        check_at_most(self.payload, field="payload", max_bytes=MAX_PAYLOAD_BYTES)
        check_size(self.signature, field="sig", size=SIGNATURE_SIZE)

    def to_value(self) -> JsonValue:
        """Return the envelope as a JSON value, to stand inside another message."""
        return {
            "payload": strict_json.base64_text(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.keyid, "sig": strict_json.base64_text(self.signature)}],
        }

    @classmethod
    def from_value(cls, value: JsonValue) -> "Envelope":
        """Read an envelope from a JSON value whose encoding the caller compares."""
        names = ("payload", "payloadType", "signatures")
        payload, payload_type, signatures = strict_json.members(value, names, field="envelope")
        entries = strict_json.array(signatures, field="signatures", max_items=1)
        if len(entries) != 1:
            raise MalformedError("signatures: got none, expected exactly one")
        keyid, signature = strict_json.members(entries[0], ("keyid", "sig"), field="signature")
        return cls(
            payload=strict_json.base64_bytes(payload, field="payload", max_bytes=MAX_PAYLOAD_BYTES),
            payload_type=strict_json.text(payload_type, field="payloadType"),
            signature=strict_json.base64_bytes(signature, field="sig", max_bytes=SIGNATURE_SIZE),
            keyid=strict_json.text(keyid, field="keyid", max_chars=_MAX_KEYID_CHARS),
        )

    def to_bytes(self) -> bytes:
        """Return the envelope in its one encoding."""
        return strict_json.encode_json(self.to_value())

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Envelope":
        """Read an envelope; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="envelope", max_bytes=MAX_ENVELOPE_BYTES)
        envelope = cls.from_value(value)
        strict_json.check_canonical(raw, envelope.to_bytes(), field="envelope")
        return envelope


def pae(payload: bytes, *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify_envelope(envelope: Envelope, *, public_key: bytes) -> bytes:
    """Return the payload that the holder of `public_key` signed; raises `VerificationError`."""
    message = pae(envelope.payload, payload_type=envelope.payload_type)
    verify_ed25519(
        public_key=public_key, message=message, signature=envelope.signature, field="envelope signature"
    )
    return envelope.payload
