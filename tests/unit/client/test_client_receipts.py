import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from sealroom.client.home import Home
from sealroom.client.private_files import make_private_folder
from sealroom.client.receipts import KnownEnclave, RunRecord, verify_record
from sealroom.client.runs import archive
from sealroom.client.store import ComputationFolder
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.delivery import (
    NO_COMMITMENT,
    RefusalReason,
    Statement,
    delivery_signature_message,
)
from sealroom.core.wire.dsse import Envelope, pae
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

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPUTATION = UUID("11111111-1111-4111-8111-111111111111")
IDENTITY = SigningKey.from_seed(bytes([50]) * 32)
RUN = SigningKey.from_seed(bytes([51]) * 32)
KEYS = {role: SigningKey.from_seed(bytes([role.code]) * 32) for role in Role}
BOX_PK, MRENCLAVE = bytes([60]) * 32, bytes([61]) * 32
INPUT = InputFile(name="a.csv", size=5, sha256=bytes([62]) * 32)
ARGUMENTS = Arguments(
    terms=Terms(
        tee=Tee.SGX,
        delivery=DeliveryForm.V1,
        computation=COMPUTATION,
        owner="o@example.org",
        code_provider="c@example.org",
        data_providers=("d@example.org",),
        result_consumers=("r@example.org",),
        logs=LogRelease.NONE,
        limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
    ),
    participants=tuple(
        Participant(role=role, index=0, email=f"{role.value[0]}@example.org", public_key=key.public_key)
        for role, key in KEYS.items()
    ),
    code_digest=bytes(32),
    packages_digest=bytes(32),
    launch=bytes(16),
)
KNOWN = KnownEnclave(
    agreement=ARGUMENTS.agreement,
    mrenclave=MRENCLAVE,
    identity_pk=IDENTITY.public_key,
    box_pk=BOX_PK,
)


def sign(key: SigningKey, payload: bytes) -> Envelope:
    return Envelope(payload=payload, signature=key.sign(pae(payload)))


def participant(role: Role, *, key: SigningKey | None = None, **changed: Any) -> ParticipantRecord:
    key = key or KEYS[role]
    commitment = input_commitment(
        InputList(files=(INPUT,)), computation=COMPUTATION, sender_pk=key.public_key
    )
    statement = replace(
        Statement(
            agreement=KNOWN.agreement,
            mrenclave=MRENCLAVE,
            identity_pk=IDENTITY.public_key,
            box_pk=BOX_PK,
            role=role,
            sender_pk=key.public_key,
            commitment=commitment if role is Role.DATA_PROVIDER else NO_COMMITMENT,
        ),
        **changed,
    )
    return ParticipantRecord(
        role=role,
        index=0,
        statement=statement,
        box_sha256=bytes(32),
        signature=key.sign(delivery_signature_message(statement, bytes(32))),
    )


def people(**changed: ParticipantRecord) -> tuple[ParticipantRecord, ...]:
    return tuple(changed.get(role.name, participant(role)) for role in Role)


def opening(**changed: Any) -> Opening:
    made = Opening(
        tee=Tee.SGX,
        delivery=DeliveryForm.V1,
        computation=COMPUTATION,
        agreement=KNOWN.agreement,
        arguments=ARGUMENTS.to_bytes(),
        mrenclave=MRENCLAVE,
        identity_pk=IDENTITY.public_key,
        box_pk=BOX_PK,
        run_key=RUN.public_key,
        participants=people(),
        inputs=(InputRecord(provider=0, name=INPUT.name, size=INPUT.size, sha256=INPUT.sha256),),
        code=bytes(32),
        packages=bytes(32),
    )
    return replace(made, **changed)


def run_receipt(
    opened: Opening, *, identity: SigningKey = IDENTITY, run: SigningKey = RUN, **closed: Any
) -> Receipt:
    signed = sign(identity, opened.to_statement())
    closing = Closing(
        agreement=KNOWN.agreement,
        opening_sha256=hashlib.sha256(signed.payload).digest(),
        outcome=Outcome.SUCCEEDED,
        exit_code=0,
        host_started=NOW,
        host_ended=NOW,
        bytes_out=1,
        bytes_log=0,
        failure=None,
        outputs=(OutputRecord(consumer=0, name="model", sha256=bytes(32)),),
        log_sha256=None,
    )
    return Receipt(opening=signed, closing=sign(run, replace(closing, **closed).to_statement()))


def verified(receipt: Receipt) -> RunRecord:
    return verify_record(receipt, (replace(KNOWN, identity_pk=RUN.public_key), KNOWN))


def test_a_true_receipt_is_believed() -> None:
    receipt = run_receipt(opening())
    record = verified(receipt)
    assert record.enclave == KNOWN
    assert record.arguments == ARGUMENTS
    assert record.closing is not None
    assert record.closing.outputs[0].name == "model"
    assert record.raw == receipt.to_bytes()


def test_a_run_that_died_has_an_opening_alone() -> None:
    record = verified(replace(run_receipt(opening()), closing=None))
    assert record.closing is None
    assert record.opening is not None


def test_nobody_known_signed_it() -> None:
    with pytest.raises(VerificationError, match="verified from this home"):
        verify_record(run_receipt(opening()), ())
    with pytest.raises(VerificationError, match="verified from this home"):
        verified(run_receipt(opening(), identity=KEYS[Role.CODE_PROVIDER]))


OTHER = SigningKey.from_seed(bytes([9]) * 32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: run_receipt(opening(agreement=bytes(32))),
        lambda: run_receipt(opening(mrenclave=bytes(32))),
        lambda: run_receipt(opening(identity_pk=RUN.public_key)),
        lambda: run_receipt(opening(box_pk=bytes(32))),
        lambda: run_receipt(opening(arguments=replace(ARGUMENTS, launch=bytes([1]) * 16).to_bytes())),
        lambda: run_receipt(opening(participants=people()[:2])),
        lambda: run_receipt(opening(participants=people()[::-1])),
        lambda: run_receipt(
            opening(participants=people(DATA_PROVIDER=participant(Role.DATA_PROVIDER, key=OTHER)))
        ),
        lambda: run_receipt(
            opening(
                participants=people(CODE_PROVIDER=participant(Role.CODE_PROVIDER, sender_pk=OTHER.public_key))
            )
        ),
        lambda: run_receipt(
            opening(participants=people(CODE_PROVIDER=participant(Role.CODE_PROVIDER, agreement=bytes(32))))
        ),
        lambda: run_receipt(
            opening(participants=people(CODE_PROVIDER=participant(Role.CODE_PROVIDER, mrenclave=bytes(32))))
        ),
        lambda: run_receipt(
            opening(participants=people(CODE_PROVIDER=participant(Role.CODE_PROVIDER, box_pk=bytes(32))))
        ),
        lambda: run_receipt(
            opening(
                participants=people(CODE_PROVIDER=participant(Role.CODE_PROVIDER, identity_pk=RUN.public_key))
            )
        ),
        lambda: run_receipt(
            opening(
                participants=people(
                    RESULT_CONSUMER=replace(
                        participant(Role.RESULT_CONSUMER), signature=OTHER.sign(b"something else")
                    )
                )
            )
        ),
        lambda: run_receipt(
            opening(
                participants=people(
                    RESULT_CONSUMER=replace(participant(Role.RESULT_CONSUMER), box_sha256=bytes([1]) * 32)
                )
            )
        ),
        lambda: run_receipt(opening(inputs=())),
        lambda: run_receipt(
            opening(inputs=(InputRecord(provider=0, name="a.csv", size=5, sha256=bytes(32)),))
        ),
        lambda: run_receipt(opening(tee=Tee.SIMULATED)),
        lambda: run_receipt(opening(delivery=DeliveryForm.LEGACY)),
        lambda: run_receipt(opening(computation=UUID("22222222-2222-4222-8222-222222222222"))),
        lambda: run_receipt(opening(code=bytes([1]) * 32)),
        lambda: run_receipt(opening(packages=bytes([1]) * 32)),
        lambda: run_receipt(
            opening(
                inputs=tuple(
                    InputRecord(provider=provider, name=INPUT.name, size=INPUT.size, sha256=INPUT.sha256)
                    for provider in (0, 1)
                )
            )
        ),
        lambda: run_receipt(
            opening(
                participants=people(CODE_PROVIDER=participant(Role.CODE_PROVIDER, commitment=bytes([1]) * 32))
            )
        ),
        lambda: run_receipt(opening(), bytes_out=2),
        lambda: run_receipt(opening(), log_sha256=bytes(32)),
        lambda: run_receipt(opening(), outputs=(OutputRecord(consumer=1, name="model", sha256=bytes(32)),)),
        lambda: run_receipt(opening(), run=OTHER),
        lambda: run_receipt(opening(), opening_sha256=bytes(32)),
        lambda: run_receipt(opening(), agreement=bytes(32)),
    ],
)
def test_a_receipt_with_one_thing_wrong_is_refused(make: Callable[[], Receipt]) -> None:
    with pytest.raises(VerificationError):
        verified(make())


def test_a_receipt_that_is_whole_and_of_another_contract_is_refused() -> None:
    other = replace(ARGUMENTS, launch=bytes([1]) * 16)
    signed = tuple(participant(role, agreement=other.agreement) for role in Role)
    of_other = opening(arguments=other.to_bytes(), agreement=other.agreement, participants=signed)
    receipt = run_receipt(of_other, agreement=other.agreement)
    verify_record(receipt, (replace(KNOWN, agreement=other.agreement),))
    with pytest.raises(VerificationError, match="agreement"):
        verified(receipt)


def refusal(key: SigningKey = IDENTITY, **changed: Any) -> Receipt:
    said = Refusal(
        agreement=KNOWN.agreement,
        mrenclave=MRENCLAVE,
        identity_pk=IDENTITY.public_key,
        reason=RefusalReason.WORDS_DIFFER,
    )
    return Receipt(refusal=sign(key, replace(said, **changed).to_statement()))


def test_a_true_refusal_is_believed() -> None:
    record = verified(refusal())
    assert record.refusal is not None
    assert record.refusal.reason is RefusalReason.WORDS_DIFFER
    assert record.arguments is None


@pytest.mark.parametrize(
    "receipt",
    [
        refusal(OTHER),
        refusal(agreement=bytes(32)),
        refusal(mrenclave=bytes(32)),
        refusal(identity_pk=OTHER.public_key),
    ],
)
def test_a_false_refusal_is_refused(receipt: Receipt) -> None:
    with pytest.raises(VerificationError):
        verified(receipt)


def test_an_opening_is_not_a_refusal() -> None:
    signed = sign(IDENTITY, opening().to_statement())
    with pytest.raises(MalformedError):
        verified(Receipt(refusal=signed))


def test_a_known_enclave_is_the_one_that_was_delivered_to() -> None:
    statement = participant(Role.RESULT_CONSUMER).statement
    wire = b"\x01" + statement.to_bytes() + bytes(144) + bytes(64)
    assert KnownEnclave.from_delivery(wire) == KNOWN


@pytest.fixture
def folder(home: Home) -> ComputationFolder:
    return ComputationFolder(home, COMPUTATION)


def test_a_second_closing_does_not_replace_the_archived_one(folder: ComputationFolder) -> None:
    make_private_folder(folder.path)
    archive(folder, verified(run_receipt(opening())))
    first = folder.receipt(MRENCLAVE)
    forged = run_receipt(opening(), outputs=(OutputRecord(consumer=0, name="model", sha256=bytes([9]) * 32),))
    with pytest.raises(VerificationError, match="closing is another one"):
        archive(folder, verified(forged))
    assert folder.receipt(MRENCLAVE) == first


def test_a_closing_completes_an_archived_opening_and_stays(folder: ComputationFolder) -> None:
    make_private_folder(folder.path)
    whole = run_receipt(opening())
    died = Receipt(opening=whole.opening)
    for receipt in (died, whole, died):
        archive(folder, verified(receipt))
    assert folder.receipt(MRENCLAVE) == whole.to_bytes()


@pytest.mark.parametrize("later", ["opening", "refusal"])
def test_an_enclave_that_signed_an_opening_and_a_refusal_is_found_out(
    folder: ComputationFolder, later: str
) -> None:
    make_private_folder(folder.path)
    receipts = [run_receipt(opening()), refusal()]
    if later == "opening":
        receipts.reverse()
    archive(folder, verified(receipts[0]))
    with pytest.raises(VerificationError, match="an opening and a refusal"):
        archive(folder, verified(receipts[1]))
