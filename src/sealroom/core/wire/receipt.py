"""What an enclave signs about a computation: opening and closing, or a refusal (docs/spec/receipt.md).

These are the values and their one encoding; verifying a receipt is `core.evidence`'s. Digests are of sealed
containers: must never carry one of a plaintext, which could be guessed.
"""

from dataclasses import dataclass

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import DIGEST_SIZE, KEY_SIZE, check_size, parse_choice
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.dsse import MAX_ENVELOPE_BYTES, Envelope
from sealroom.core.wire.in_toto import agreement_subject, decode_statement, encode_statement
from sealroom.core.wire.receipt_closing import Closing, Failure, Outcome, OutputRecord
from sealroom.core.wire.receipt_opening import InputRecord, Opening, ParticipantRecord

__all__ = [
    "Closing",
    "Failure",
    "InputRecord",
    "Opening",
    "Outcome",
    "OutputRecord",
    "ParticipantRecord",
    "Receipt",
    "Refusal",
]

REFUSAL_TYPE = "urn:sealroom:receipt:refusal/v1"
MAX_RECEIPT_BYTES = 2 * MAX_ENVELOPE_BYTES
_REFUSAL_MEMBERS = ("agreement", "mrenclave", "identity_pk", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An enclave's statement that it wiped its keys and will never run under this contract."""

    agreement: bytes
    mrenclave: bytes
    identity_pk: bytes
    reason: RefusalReason

    def __post_init__(self) -> None:
        check_size(self.agreement, field="agreement", size=DIGEST_SIZE)
        check_size(self.mrenclave, field="mrenclave", size=DIGEST_SIZE)
        check_size(self.identity_pk, field="identity_pk", size=KEY_SIZE)

    def to_statement(self) -> bytes:
        """Return the payload that the identity key signs."""
        return encode_statement(
            subjects=(agreement_subject(self.agreement),),
            kind=REFUSAL_TYPE,
            predicate={
                "agreement": self.agreement.hex(),
                "mrenclave": self.mrenclave.hex(),
                "identity_pk": self.identity_pk.hex(),
                "reason": self.reason.value,
            },
        )

    @classmethod
    def from_payload(cls, payload: bytes) -> "Refusal":
        """Read a verified payload; raises `MalformedError` for anything but its one encoding."""
        _, predicate = decode_statement(payload, kind=REFUSAL_TYPE)
        agreement, mrenclave, identity_pk, reason = strict_json.members(
            predicate, _REFUSAL_MEMBERS, field="refusal"
        )
        refusal = cls(
            agreement=strict_json.hex_bytes(agreement, field="agreement", size=DIGEST_SIZE),
            mrenclave=strict_json.hex_bytes(mrenclave, field="mrenclave", size=DIGEST_SIZE),
            identity_pk=strict_json.hex_bytes(identity_pk, field="identity_pk", size=KEY_SIZE),
            reason=parse_choice(RefusalReason, strict_json.text(reason, field="reason"), field="reason"),
        )
        strict_json.check_canonical(payload, refusal.to_statement(), field="refusal")
        return refusal


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
            receipt = cls(refusal=Envelope.from_value(refusal))
        else:
            opening, closing = strict_json.members(value, ("opening", "closing"), field="receipt")
            receipt = cls(
                opening=Envelope.from_value(opening),
                closing=None if closing is None else Envelope.from_value(closing),
            )
        strict_json.check_canonical(raw, receipt.to_bytes(), field="receipt")
        return receipt
