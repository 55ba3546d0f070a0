"""The opening of a receipt: what an enclave started with, signed before foreign code ran.

docs/spec/receipt.md. Must never carry a sealed box itself, only its digest: a receipt is public and kept.
"""

from dataclasses import dataclass
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire import strict_json
from sealroom.core.wire.arguments import MAX_ARGUMENTS_BYTES
from sealroom.core.wire.byte_fields import (
    DIGEST_SIZE,
    KEY_SIZE,
    SIGNATURE_SIZE,
    check_number,
    check_size,
    parse_choice,
    sha256,
)
from sealroom.core.wire.delivery import STATEMENT_SIZE, Delivery, Statement
from sealroom.core.wire.in_toto import Subject, agreement_subject, decode_statement, encode_statement
from sealroom.core.wire.names import MAX_NAME_BYTES, check_file_name
from sealroom.core.wire.participants import MAX_PARTICIPANTS, Role
from sealroom.core.wire.strict_json import JsonValue
from sealroom.core.wire.terms import DeliveryForm, Tee, check_computation, parse_computation

OPENING_TYPE = "urn:sealroom:receipt:opening/v1"
# Over all providers: what still fits a payload when every name is as long as names may be.
MAX_TOTAL_INPUTS = 16 * 1024
_MAX_SLOTS = 2 * MAX_PARTICIPANTS + 1
_MEMBERS = (
    "tee",
    "delivery",
    "computation",
    "agreement",
    "arguments",
    "mrenclave",
    "identity_pk",
    "box_pk",
    "run_key",
    "participants",
    "inputs",
    "code",
    "packages",
)
_PARTICIPANT_MEMBERS = ("role", "index", "statement", "box_sha256", "signature")
_INPUT_MEMBERS = ("provider", "name", "size", "sha256")


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
        if len(self.participants) > _MAX_SLOTS:
            raise MalformedError(f"participants: expected at most {_MAX_SLOTS}")
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

    @classmethod
    def from_payload(cls, payload: bytes) -> "Opening":
        """Read a verified payload; raises `MalformedError` for anything but its one encoding."""
        _, predicate = decode_statement(payload, kind=OPENING_TYPE)
        value = dict(zip(_MEMBERS, strict_json.members(predicate, _MEMBERS, field="opening"), strict=True))
        participants = strict_json.array(value["participants"], field="participants", max_items=_MAX_SLOTS)
        inputs = strict_json.array(value["inputs"], field="inputs", max_items=MAX_TOTAL_INPUTS)
        opening = cls(
            tee=parse_choice(Tee, strict_json.text(value["tee"], field="tee"), field="tee"),
            delivery=parse_choice(
                DeliveryForm, strict_json.text(value["delivery"], field="delivery"), field="delivery"
            ),
            computation=parse_computation(strict_json.text(value["computation"], field="computation")),
            agreement=_digest(value["agreement"], "agreement"),
            arguments=strict_json.base64_bytes(
                value["arguments"], field="arguments", max_bytes=MAX_ARGUMENTS_BYTES
            ),
            mrenclave=_digest(value["mrenclave"], "mrenclave"),
            identity_pk=_digest(value["identity_pk"], "identity_pk"),
            box_pk=_digest(value["box_pk"], "box_pk"),
            run_key=_digest(value["run_key"], "run_key"),
            participants=tuple(_parse_participant(item) for item in participants),
            inputs=tuple(_parse_input(item) for item in inputs),
            code=_digest(value["code"], "code"),
            packages=_digest(value["packages"], "packages"),
        )
        strict_json.check_canonical(payload, opening.to_statement(), field="opening")
        return opening


def _participant_value(record: ParticipantRecord) -> JsonValue:
    return {
        "role": record.role.value,
        "index": record.index,
        "statement": record.statement.to_bytes().hex(),
        "box_sha256": record.box_sha256.hex(),
        "signature": record.signature.hex(),
    }


def _parse_participant(value: JsonValue) -> ParticipantRecord:
    role, index, statement, box_sha256, signature = strict_json.members(
        value, _PARTICIPANT_MEMBERS, field="participant"
    )
    return ParticipantRecord(
        role=parse_choice(Role, strict_json.text(role, field="role"), field="role"),
        index=strict_json.integer(index, field="participant index", maximum=MAX_PARTICIPANTS - 1),
        statement=Statement.from_bytes(
            strict_json.hex_bytes(statement, field="statement", size=STATEMENT_SIZE)
        ),
        box_sha256=_digest(box_sha256, "box_sha256"),
        signature=strict_json.hex_bytes(signature, field="signature", size=SIGNATURE_SIZE),
    )


def _input_value(record: InputRecord) -> JsonValue:
    return {
        "provider": record.provider,
        "name": record.name,
        "size": record.size,
        "sha256": record.sha256.hex(),
    }


def _parse_input(value: JsonValue) -> InputRecord:
    provider, name, size, digest = strict_json.members(value, _INPUT_MEMBERS, field="input")
    return InputRecord(
        provider=strict_json.integer(provider, field="input provider", maximum=MAX_PARTICIPANTS - 1),
        name=strict_json.text(name, field="input name", max_chars=MAX_NAME_BYTES),
        size=strict_json.integer(size, field="input size"),
        sha256=_digest(digest, "input sha256"),
    )


def _digest(value: JsonValue, field: str) -> bytes:
    return strict_json.hex_bytes(value, field=field, size=KEY_SIZE)
