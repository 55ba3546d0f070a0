"""A key delivery as everybody may see it: the statement, the sealed box, the signature over both.

402 bytes, one size (docs/spec/key-delivery.md). Opening the box is `core.sealing`'s; must never hold a key
that is not public.
"""

from dataclasses import dataclass
from enum import Enum

from sealroom.core.errors import MalformedError
from sealroom.core.wire.byte_fields import (
    DIGEST_SIZE,
    KEY_SIZE,
    SIGNATURE_SIZE,
    check_size,
    label_bytes,
    labelled_digest,
    sha256,
)
from sealroom.core.wire.participants import Role
from sealroom.core.wire.signatures import verify_ed25519

STATEMENT_LABEL = "sealroom/v1/statement"
DELIVERY_LABEL = "sealroom/v1/delivery"
VERSION = 1
STATEMENT_SIZE = 193
BOX_SIZE = 144
DELIVERY_SIZE = 1 + STATEMENT_SIZE + BOX_SIZE + SIGNATURE_SIZE
NO_COMMITMENT = bytes(DIGEST_SIZE)


class DeliveryRefusal(Enum):
    """Why an enclave answered a delivery with no; it filled no slot and changed nothing."""

    MALFORMED = "malformed"
    AGREEMENT = "agreement"
    MRENCLAVE = "mrenclave"
    ENCLAVE_KEYS = "enclave-keys"
    NOT_LISTED = "not-listed"
    SLOT_FILLED = "slot-filled"
    SIGNATURE = "signature"


class RefusalReason(Enum):
    """Why an enclave refused the whole computation and signed that it did."""

    BOX_UNREADABLE = "box-unreadable"
    BOX_OF_ANOTHER_STATEMENT = "box-of-another-statement"
    COMMITMENT = "commitment"
    WORDS_DIFFER = "words-differ"
    DATA_KEYS_EQUAL = "data-keys-equal"
    INPUTS_DIFFER = "inputs-differ"
    CODE_SIGNATURE = "code-signature"
    CODE_UNREADABLE = "code-unreadable"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a sender says in the clear: to which enclave, under which contract, in which role.

    Nothing here is believed before the delivery's signature is verified and the fields are compared.
    """

    agreement: bytes
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes
    role: Role
    sender_pk: bytes
    commitment: bytes

    def __post_init__(self) -> None:
        check_size(self.agreement, field="agreement", size=DIGEST_SIZE)
        check_size(self.mrenclave, field="mrenclave", size=DIGEST_SIZE)
        check_size(self.identity_pk, field="identity_pk", size=KEY_SIZE)
        check_size(self.box_pk, field="box_pk", size=KEY_SIZE)
        check_size(self.sender_pk, field="sender_pk", size=KEY_SIZE)
        check_size(self.commitment, field="commitment", size=DIGEST_SIZE)

    def to_bytes(self) -> bytes:
        """Return the 193 bytes."""
        return (
            self.agreement
            + self.mrenclave
            + self.identity_pk
            + self.box_pk
            + bytes((self.role.code,))
            + self.sender_pk
            + self.commitment
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Statement":
        """Read the 193 bytes; raises `MalformedError` for another length or an unknown role."""
        check_size(raw, field="statement", size=STATEMENT_SIZE)
        return cls(
            agreement=raw[0:32],
            mrenclave=raw[32:64],
            identity_pk=raw[64:96],
            box_pk=raw[96:128],
            role=Role.from_code(raw[128]),
            sender_pk=raw[129:161],
            commitment=raw[161:193],
        )

    @property
    def digest(self) -> bytes:
        """The 32 bytes that the box repeats from inside, and the signature covers."""
        return labelled_digest(STATEMENT_LABEL, self.to_bytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One key delivery as received: parsed, not verified."""

    statement: Statement
    box: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_size(self.box, field="box", size=BOX_SIZE)
        check_size(self.signature, field="signature", size=SIGNATURE_SIZE)

    def to_bytes(self) -> bytes:
        """Return the 402 bytes of the wire."""
        return bytes((VERSION,)) + self.statement.to_bytes() + self.box + self.signature

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Delivery":
        """Read the 402 bytes; raises `MalformedError` for another length, version or an unknown role."""
        check_size(raw, field="delivery", size=DELIVERY_SIZE)
        if raw[0] != VERSION:
            raise MalformedError(f"delivery version: got {raw[0]}, expected {VERSION}")
        box_at = 1 + STATEMENT_SIZE
        signature_at = box_at + BOX_SIZE
        return cls(
            statement=Statement.from_bytes(raw[1:box_at]),
            box=raw[box_at:signature_at],
            signature=raw[signature_at:],
        )


def delivery_signature_message(statement: Statement, box_sha256: bytes) -> bytes:
    """Return the bytes that a sender signs: this statement together with this box."""
    check_size(box_sha256, field="box_sha256", size=DIGEST_SIZE)
    return label_bytes(DELIVERY_LABEL) + statement.digest + box_sha256


def verify_statement_signature(*, statement: Statement, box_sha256: bytes, signature: bytes) -> None:
    """Verify a sender's signature where only the box's digest is left, as in a receipt.

    Raises `VerificationError`. That the sender is listed is for the caller to check.
    """
    message = delivery_signature_message(statement, box_sha256)
    verify_ed25519(
        public_key=statement.sender_pk, message=message, signature=signature, field="delivery signature"
    )


def verify_delivery_signature(delivery: Delivery) -> None:
    """Verify that the sender named in the statement signed this statement with this box.

    Raises `VerificationError`. That the sender is listed is for the caller to check.
    """
    verify_statement_signature(
        statement=delivery.statement, box_sha256=sha256(delivery.box), signature=delivery.signature
    )
