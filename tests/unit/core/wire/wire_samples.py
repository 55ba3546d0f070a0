"""Valid values of every message, small, for tests to change one thing in."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from nacl.signing import SigningKey

from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.bundle import EvidenceBundle, RawCollateral
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.core.wire.delivery import Delivery, RefusalReason, Statement, delivery_signature_message
from sealroom.core.wire.dsse import Envelope, pae
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.receipt import (
    Closing,
    Failure,
    InputRecord,
    Opening,
    Outcome,
    OutputRecord,
    ParticipantRecord,
    Refusal,
)
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

COMPUTATION = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
ENCLAVE_KEY = SigningKey(b"\x01" * 32)
RUN_KEY = SigningKey(b"\x02" * 32)
PERSON_KEYS = {
    "code@clinic.example": SigningKey(b"\x11" * 32),
    "north@clinic.example": SigningKey(b"\x12" * 32),
    "south@clinic.example": SigningKey(b"\x13" * 32),
}
BOX_PK = bytes(ENCLAVE_KEY.verify_key.to_curve25519_public_key())
BOX = b"\x5a" * 144


def public(key: SigningKey) -> bytes:
    return bytes(key.verify_key)


TERMS = Terms(
    tee=Tee.SIMULATED,
    delivery=DeliveryForm.V1,
    computation=COMPUTATION,
    owner="owner@clinic.example",
    code_provider="code@clinic.example",
    data_providers=("north@clinic.example", "south@clinic.example"),
    result_consumers=("north@clinic.example",),
    logs=LogRelease.PARTICIPANTS,
    limits=Limits(max_output_bytes=1048576, max_log_bytes=65536, max_seconds=600, max_memory=2147483648),
)
CODE_LIST = CodeList.from_files(
    (
        CodeFile(path="run.py", size=120, sha256=b"\xa1" * 32),
        CodeFile(path="model/fit.py", size=4196, sha256=b"\xa2" * 32),
    )
)


def slots_of(terms: Terms) -> tuple[Participant, ...]:
    return tuple(
        Participant(role=role, index=index, email=email, public_key=public(PERSON_KEYS[email]))
        for role, index, email in terms.roles()
    )


ARGUMENTS = Arguments(
    terms=TERMS,
    participants=slots_of(TERMS),
    code_digest=CODE_LIST.digest,
    packages_digest=bytes(32),
    launch=b"\x77" * 16,
)
MRENCLAVE = b"\xee" * 32


def delivery_of(slot: Participant) -> Delivery:
    statement = Statement(
        agreement=ARGUMENTS.agreement,
        mrenclave=MRENCLAVE,
        identity_pk=public(ENCLAVE_KEY),
        box_pk=BOX_PK,
        role=slot.role,
        sender_pk=slot.public_key,
        commitment=b"\xcc" * 32 if slot.role is Role.DATA_PROVIDER else bytes(32),
    )
    message = delivery_signature_message(statement, sha256(BOX))
    return Delivery(statement=statement, box=BOX, signature=PERSON_KEYS[slot.email].sign(message).signature)


DELIVERY = delivery_of(ARGUMENTS.participants[1])
OPENING = Opening(
    tee=TERMS.tee,
    delivery=TERMS.delivery,
    computation=COMPUTATION,
    agreement=ARGUMENTS.agreement,
    arguments=ARGUMENTS.to_bytes(),
    mrenclave=MRENCLAVE,
    identity_pk=public(ENCLAVE_KEY),
    box_pk=BOX_PK,
    run_key=public(RUN_KEY),
    participants=tuple(
        ParticipantRecord.from_delivery(delivery_of(slot), index=slot.index)
        for slot in ARGUMENTS.participants
    ),
    inputs=(
        InputRecord(provider=0, name="north.csv", size=300, sha256=b"\xb1" * 32),
        InputRecord(provider=1, name="süd.csv", size=301, sha256=b"\xb2" * 32),
    ),
    code=ARGUMENTS.code_digest,
    packages=ARGUMENTS.packages_digest,
)
CLOSING = Closing(
    agreement=ARGUMENTS.agreement,
    opening_sha256=sha256(OPENING.to_statement()),
    outcome=Outcome.SUCCEEDED,
    exit_code=0,
    host_started=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC),
    host_ended=datetime(2026, 3, 1, 12, 0, 9, tzinfo=UTC),
    bytes_out=420,
    bytes_log=4200,
    failure=None,
    outputs=(OutputRecord(consumer=0, name="coefficients.json", sha256=b"\xd1" * 32),),
    log_sha256=b"\xd2" * 32,
)
FAILED = replace(
    CLOSING,
    outcome=Outcome.FAILED,
    exit_code=1,
    failure=Failure(type="ValueError", file="model/fit.py", line=12),
    outputs=(),
    log_sha256=None,
)
REFUSAL = Refusal(
    agreement=ARGUMENTS.agreement,
    mrenclave=MRENCLAVE,
    identity_pk=public(ENCLAVE_KEY),
    reason=RefusalReason.WORDS_DIFFER,
)
COLLATERAL = RawCollateral(
    pck_crl_issuer_chain="-----BEGIN CERTIFICATE-----\n",
    root_ca_crl="30",
    pck_crl="31",
    tcb_info_issuer_chain="chain",
    tcb_info='{"tcbInfo":{}}',
    tcb_info_signature="00",
    qe_identity_issuer_chain="chain",
    qe_identity="{}",
    qe_identity_signature="01",
)
BUNDLE = EvidenceBundle(
    release="0.1.0",
    quote=b"\x03\x00quote",
    identity_pk=public(ENCLAVE_KEY),
    collateral=COLLATERAL,
    manifest=b'libos.entrypoint = "python3"\n',
    arguments=ARGUMENTS.to_bytes(),
    entry_point=b"print()\n",
    requirements=None,
    code_list=CODE_LIST,
    code_signature=b"\x99" * 64,
    sigstruct=None,
    pal=b"\x7fELF",
)


def sealed(payload: bytes, key: SigningKey) -> Envelope:
    """Sign a payload as the enclave does."""
    return Envelope(payload=payload, signature=key.sign(pae(payload)).signature)
