"""What an enclave signs about a computation: opening and closing, or a refusal (docs/spec/receipt.md).

These are the values and their one encoding; reading them is `receipt_parsing`'s, verifying `core.evidence`'s.
Digests are of sealed containers: must never carry one of a plaintext, which could be guessed.
"""

from dataclasses import dataclass

from sealroom.core.wire.byte_fields import DIGEST_SIZE, KEY_SIZE, check_size
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.in_toto import agreement_subject, encode_statement
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
    "Refusal",
]

REFUSAL_TYPE = "urn:sealroom:receipt:refusal/v1"


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
