"""A run of two hospitals in memory, whose receipt a test can forge at any one place."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from nacl.signing import SigningKey

from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import (
    NO_COMMITMENT,
    RefusalReason,
    Statement,
    delivery_signature_message,
)
from sealroom.core.wire.dsse import Envelope, pae
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.receipt import (
    Closing,
    InputRecord,
    Opening,
    Outcome,
    OutputRecord,
    ParticipantRecord,
    Refusal,
)
from sealroom.core.wire.receipt_file import Receipt
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

COMPUTATION = UUID("5f1c8a34-6f0b-4f0e-9d2c-1d6b1f8e7a55")
IDENTITY = SigningKey(b"\x41" * 32)
RUN = SigningKey(b"\x42" * 32)
OTHER = SigningKey(b"\x43" * 32)
BOX_PK = b"\x44" * 32
MRENCLAVE = b"\x45" * 32
KEYS = {
    "code@x.example": SigningKey(b"\x51" * 32),
    "north@x.example": SigningKey(b"\x52" * 32),
    "south@x.example": SigningKey(b"\x53" * 32),
}
TERMS = Terms(
    tee=Tee.SIMULATED,
    delivery=DeliveryForm.V1,
    computation=COMPUTATION,
    owner="owner@x.example",
    code_provider="code@x.example",
    data_providers=("north@x.example", "south@x.example"),
    result_consumers=("north@x.example",),
    logs=LogRelease.PARTICIPANTS,
    limits=Limits(max_output_bytes=1000, max_log_bytes=5000, max_seconds=60, max_memory=1 << 30),
)
INPUTS = (
    InputRecord(provider=0, name="b.csv", size=200, sha256=b"\xb1" * 32),
    InputRecord(provider=0, name="a.csv", size=201, sha256=b"\xb2" * 32),
    InputRecord(provider=1, name="a.csv", size=202, sha256=b"\xb3" * 32),
)


def public(key: SigningKey) -> bytes:
    return bytes(key.verify_key)


def arguments_of(terms: Terms, launch: bytes = b"\x46" * 16) -> Arguments:
    return Arguments(
        terms=terms,
        participants=tuple(
            Participant(role=role, index=index, email=email, public_key=public(KEYS[email]))
            for role, index, email in terms.roles()
        ),
        code_digest=b"\x47" * 32,
        packages_digest=bytes(32),
        launch=launch,
    )


ARGUMENTS = arguments_of(TERMS)


def verified(arguments: Arguments = ARGUMENTS, **changes: bytes) -> VerifiedEnclave:
    enclave = VerifiedEnclave(
        arguments=arguments,
        mrenclave=MRENCLAVE,
        identity_pk=public(IDENTITY),
        box_pk=BOX_PK,
        verified_at=datetime(2026, 3, 1, tzinfo=UTC),
        policy_name="test",
        tcb_status="UpToDate",
        advisories=(),
        bundle_sha256=bytes(32),
    )
    return replace(enclave, **changes)


def simulated() -> SimulatedEnclave:
    enclave = verified()
    return SimulatedEnclave(**{name: getattr(enclave, name) for name in SimulatedEnclave.__slots__})


def statement_of(slot: Participant, inputs: tuple[InputRecord, ...] = INPUTS) -> Statement:
    commitment = NO_COMMITMENT
    if slot.role is Role.DATA_PROVIDER:
        own = [file for file in inputs if file.provider == slot.index]
        listed = InputList(
            files=tuple(InputFile(name=file.name, size=file.size, sha256=file.sha256) for file in own)
        )
        commitment = input_commitment(listed, computation=COMPUTATION, sender_pk=slot.public_key)
    return Statement(
        agreement=ARGUMENTS.agreement,
        mrenclave=MRENCLAVE,
        identity_pk=public(IDENTITY),
        box_pk=BOX_PK,
        role=slot.role,
        sender_pk=slot.public_key,
        commitment=commitment,
    )


def signed(statement: Statement, slot: Participant, key: SigningKey | None = None) -> ParticipantRecord:
    box_sha256 = sha256(slot.email.encode())
    message = delivery_signature_message(statement, box_sha256)
    return ParticipantRecord(
        role=slot.role,
        index=slot.index,
        statement=statement,
        box_sha256=box_sha256,
        signature=(key or KEYS[slot.email]).sign(message).signature,
    )


OPENING = Opening(
    tee=TERMS.tee,
    delivery=TERMS.delivery,
    computation=COMPUTATION,
    agreement=ARGUMENTS.agreement,
    arguments=ARGUMENTS.to_bytes(),
    mrenclave=MRENCLAVE,
    identity_pk=public(IDENTITY),
    box_pk=BOX_PK,
    run_key=public(RUN),
    participants=tuple(signed(statement_of(slot), slot) for slot in ARGUMENTS.participants),
    inputs=INPUTS,
    code=ARGUMENTS.code_digest,
    packages=ARGUMENTS.packages_digest,
)
CLOSING = Closing(
    agreement=ARGUMENTS.agreement,
    opening_sha256=sha256(OPENING.to_statement()),
    outcome=Outcome.SUCCEEDED,
    exit_code=0,
    host_started=datetime(2026, 3, 1, 12, tzinfo=UTC),
    host_ended=datetime(2026, 3, 1, 13, tzinfo=UTC),
    bytes_out=1000,
    bytes_log=8192,
    failure=None,
    outputs=(OutputRecord(consumer=0, name="report.json", sha256=b"\xd1" * 32),),
    log_sha256=b"\xd2" * 32,
)
REFUSAL = Refusal(
    agreement=ARGUMENTS.agreement,
    mrenclave=MRENCLAVE,
    identity_pk=public(IDENTITY),
    reason=RefusalReason.WORDS_DIFFER,
)


def seal(payload: bytes, key: SigningKey) -> Envelope:
    return Envelope(payload=payload, signature=key.sign(pae(payload)).signature)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A receipt of a run whose closing follows its opening, unless a test says otherwise."""

    opening: Opening = OPENING
    closing: Closing | None = CLOSING
    opening_key: SigningKey = IDENTITY
    closing_key: SigningKey = RUN

    def to_bytes(self) -> bytes:
        payload = self.opening.to_statement()
        closing = self.closing
        if closing is not None and closing.opening_sha256 == CLOSING.opening_sha256:
            closing = replace(closing, opening_sha256=sha256(payload))
        if closing is not None and closing.agreement == CLOSING.agreement:
            closing = replace(closing, agreement=self.opening.agreement)
        return Receipt(
            opening=seal(payload, self.opening_key),
            closing=None if closing is None else seal(closing.to_statement(), self.closing_key),
        ).to_bytes()


def with_statement(position: int, **changes: object) -> Opening:
    """Change one participant's statement, signed by that participant all the same."""
    slot = ARGUMENTS.participants[position]
    records = list(OPENING.participants)
    records[position] = signed(replace(statement_of(slot), **changes), slot)
    return replace(OPENING, participants=tuple(records))
