"""A receipt as one file: an opening, with a closing unless the process died, or a refusal.

docs/spec/receipt.md. Must never be taken for verified: that is `core.evidence`'s.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.dsse import MAX_ENVELOPE_BYTES, Envelope
from sealroom.core.wire.dsse_verification import envelope_from_value

MAX_RECEIPT_BYTES = 2 * MAX_ENVELOPE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Either an opening, with a closing unless the process died, or a refusal; nothing verified yet."""

    opening: Envelope | None = None
    closing: Envelope | None = None
    refusal: Envelope | None = None

    def __post_init__(self) -> None:
        if (self.opening is None) == (self.refusal is None):
            raise MalformedError("receipt: expected an opening or a refusal, never both")
        if self.closing is not None and self.opening is None:
            raise MalformedError("receipt: a closing stands beside an opening alone")

    def to_bytes(self) -> bytes:
        """Return the receipt in its one encoding."""
        if self.refusal is not None:
            return strict_json.encode_json({"refusal": self.refusal.to_value()})
        return strict_json.encode_json(
            {
                "opening": self.opening.to_value() if self.opening else None,
                "closing": self.closing.to_value() if self.closing else None,
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Receipt":
        """Read a receipt; raises `MalformedError` for anything but its one encoding."""
        value = strict_json.decode_json(raw, field="receipt", max_bytes=MAX_RECEIPT_BYTES)
        if isinstance(value, dict) and "refusal" in value:
            (refusal,) = strict_json.members(value, ("refusal",), field="receipt")
            receipt = cls(refusal=envelope_from_value(refusal))
        else:
            opening, closing = strict_json.members(value, ("opening", "closing"), field="receipt")
            receipt = cls(
                opening=envelope_from_value(opening),
                closing=None if closing is None else envelope_from_value(closing),
            )
        strict_json.check_canonical(raw, receipt.to_bytes(), field="receipt")
        return receipt
