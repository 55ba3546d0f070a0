"""DSSE envelopes with one payload type and one signature (docs/spec/receipt.md).

What is made here is read by `dsse_verification`.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import SIGNATURE_SIZE, check_at_most, check_size
from sealroom.core.wire.strict_json import JsonValue

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
MAX_ENVELOPE_BYTES = 48 * 1024 * 1024


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

    def to_bytes(self) -> bytes:
        """Return the envelope in its one encoding."""
        return strict_json.encode_json(self.to_value())


def pae(payload: bytes, *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
