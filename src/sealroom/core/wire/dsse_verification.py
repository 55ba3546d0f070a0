"""Reading DSSE envelopes, and the one way to their payload (docs/spec/receipt.md).

Must never show a payload as parsed before its signature holds: `verify_envelope` is the way to the bytes.
"""

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import SIGNATURE_SIZE
from sealroom.core.wire.dsse import MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, Envelope, pae
from sealroom.core.wire.signatures import verify_ed25519
from sealroom.core.wire.strict_json import JsonValue

_MAX_KEYID_CHARS = 256


def parse_envelope(raw: bytes) -> Envelope:
    """Read an envelope; raises `MalformedError` for anything but its one encoding."""
    value = strict_json.decode_json(raw, field="envelope", max_bytes=MAX_ENVELOPE_BYTES)
    envelope = envelope_from_value(value)
    strict_json.check_canonical(raw, envelope.to_bytes(), field="envelope")
    return envelope


def envelope_from_value(value: JsonValue) -> Envelope:
    """Read an envelope from a JSON value whose encoding the caller compares."""
    names = ("payload", "payloadType", "signatures")
    payload, payload_type, signatures = strict_json.members(value, names, field="envelope")
    entries = strict_json.array(signatures, field="signatures", max_items=1)
    if len(entries) != 1:
        raise MalformedError("signatures: got none, expected exactly one")
    keyid, signature = strict_json.members(entries[0], ("keyid", "sig"), field="signature")
    return Envelope(
        payload=strict_json.base64_bytes(payload, field="payload", max_bytes=MAX_PAYLOAD_BYTES),
        payload_type=strict_json.text(payload_type, field="payloadType"),
        signature=strict_json.base64_bytes(signature, field="sig", max_bytes=SIGNATURE_SIZE),
        keyid=strict_json.text(keyid, field="keyid", max_chars=_MAX_KEYID_CHARS),
    )


def verify_envelope(envelope: Envelope, *, public_key: bytes) -> bytes:
    """Return the payload that the holder of `public_key` signed; raises `VerificationError`."""
    message = pae(envelope.payload, payload_type=envelope.payload_type)
    verify_ed25519(
        public_key=public_key, message=message, signature=envelope.signature, field="envelope signature"
    )
    return envelope.payload
