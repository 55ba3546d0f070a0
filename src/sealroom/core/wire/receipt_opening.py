"""The opening of a receipt: what an enclave started with, signed before foreign code ran.

docs/spec/receipt.md. Must never carry a sealed box itself, only its digest: a receipt is public and kept.
"""

from dataclasses import dataclass
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.byte_fields import (
    DIGEST_SIZE,
    SIGNATURE_SIZE,
    check_number,
    check_size,
    sha256,
)
from sealroom.core.wire.delivery import Delivery, Statement
from sealroom.core.wire.in_toto import Subject, agreement_subject, encode_statement
from sealroom.core.wire.names import check_file_name
from sealroom.core.wire.participants import MAX_PARTICIPANTS, Role
from sealroom.core.wire.strict_json import JsonValue
from sealroom.core.wire.terms import DeliveryForm, Tee, check_computation

OPENING_TYPE = "urn:sealroom:receipt:opening/v1"
# Over all providers: what still fits a payload when every name is as long as names may be.
MAX_TOTAL_INPUTS = 16 * 1024
MAX_SLOTS = 2 * MAX_PARTICIPANTS + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantRecord:
    """The public part of one admitted delivery, enough to verify its signature again."""

    role: Role
    index: int
    statement: Statement
    box_sha256: bytes
    signature: bytes

    def __post_init__(self) -> None:
        check_number(self.index, field="participant index", maximum=MAX_PARTICIPANTS - 1)
        check_size(self.box_sha256, field="box_sha256", size=DIGEST_SIZE)
        check_size(self.signature, field="signature", size=SIGNATURE_SIZE)

    @classmethod
    def from_delivery(cls, delivery: Delivery, *, index: int) -> "ParticipantRecord":
        """Make the record of a delivery that was admitted to the slot with this `index`."""
        return cls(
            role=delivery.statement.role,
            index=index,
            statement=delivery.statement,
            box_sha256=sha256(delivery.box),
            signature=delivery.signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRecord:
    """One input file as the enclave read it; `provider` is the Data Provider's index."""

    provider: int
    name: str
    size: int
    sha256: bytes

    def __post_init__(self) -> None:
        check_number(self.provider, field="input provider", maximum=MAX_PARTICIPANTS - 1)
        check_file_name(self.name, field="input name")
        check_number(self.size, field="input size")
        check_size(self.sha256, field="input sha256", size=DIGEST_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What an enclave started with. `arguments` is the whole measured file; `run_key` signs the closing."""

    tee: Tee
    delivery: DeliveryForm
    computation: UUID
    agreement: bytes
    arguments: bytes
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes
    run_key: bytes
    participants: tuple[ParticipantRecord, ...]
    inputs: tuple[InputRecord, ...]
    code: bytes
    packages: bytes

    def __post_init__(self) -> None:
        check_computation(self.computation)
        for field in ("agreement", "mrenclave", "identity_pk", "box_pk", "run_key", "code", "packages"):
            check_size(getattr(self, field), field=field, size=DIGEST_SIZE)
        if len(self.participants) > MAX_SLOTS:
            raise MalformedError(f"participants: expected at most {MAX_SLOTS}")
        if len(self.inputs) > MAX_TOTAL_INPUTS:
            raise MalformedError(f"inputs: got {len(self.inputs)}, expected at most {MAX_TOTAL_INPUTS}")
        providers = [file.provider for file in self.inputs]
        if providers != sorted(providers):
            raise MalformedError("inputs: not in the order of the providers")
        if len({(file.provider, file.name) for file in self.inputs}) != len(self.inputs):
            raise MalformedError("inputs: one name of one provider stands twice")

    def to_statement(self) -> bytes:
        """Return the payload that the identity key signs."""
        inputs = tuple(
            Subject(name=f"inputs/{file.provider}/{file.name}", sha256=file.sha256) for file in self.inputs
        )
        return encode_statement(
            subjects=(agreement_subject(self.agreement), *inputs),
            kind=OPENING_TYPE,
            predicate=self._predicate(),
        )

    def _predicate(self) -> JsonValue:
        return {
            "tee": self.tee.value,
            "delivery": self.delivery.value,
            "computation": str(self.computation),
            "agreement": self.agreement.hex(),
            "arguments": strict_json.base64_text(self.arguments),
            "mrenclave": self.mrenclave.hex(),
            "identity_pk": self.identity_pk.hex(),
            "box_pk": self.box_pk.hex(),
            "run_key": self.run_key.hex(),
            "participants": [_participant_value(record) for record in self.participants],
            "inputs": [_input_value(record) for record in self.inputs],
            "code": self.code.hex(),
            "packages": self.packages.hex(),
        }


def _participant_value(record: ParticipantRecord) -> JsonValue:
    return {
        "role": record.role.value,
        "index": record.index,
        "statement": record.statement.to_bytes().hex(),
        "box_sha256": record.box_sha256.hex(),
        "signature": record.signature.hex(),
    }


def _input_value(record: InputRecord) -> JsonValue:
    return {
        "provider": record.provider,
        "name": record.name,
        "size": record.size,
        "sha256": record.sha256.hex(),
    }
