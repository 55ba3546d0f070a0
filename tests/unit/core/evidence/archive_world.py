"""The receipt that the enclave of `evidence_world` signs: with its evidence, what an archive holds."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import evidence_world as w
from nacl.signing import SigningKey

from sealroom.core.measurement.mrenclave import measure
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.wire.byte_fields import sha256
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

IDENTITY = SigningKey(b"the enclave's own seed, 32 bytes")
RUN = SigningKey(b"the run's own key, made of a see")
INPUT = InputFile(name="records.csv", size=4242, sha256=b"\xb1" * 32)
KEYS = {Role.CODE_PROVIDER: w.CODE, Role.DATA_PROVIDER: w.DATA, Role.RESULT_CONSUMER: w.RESULT}


def seal(payload: bytes, key: SigningKey) -> Envelope:
    return Envelope(payload=payload, signature=key.sign(pae(payload)).signature)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One launch: its evidence, and what its enclave signed, which a test may change."""

    evidence: w.World

    @cached_property
    def bundle(self) -> bytes:
        return self.evidence.bundle.to_bytes()

    @cached_property
    def mrenclave(self) -> bytes:
        return measure(self.evidence.built_manifest, self.evidence.pal_bytes).mrenclave

    def _record(self, slot: Participant) -> ParticipantRecord:
        commitment = NO_COMMITMENT
        if slot.role is Role.DATA_PROVIDER:
            commitment = input_commitment(
                InputList(files=(INPUT,)),
                computation=self.evidence.arguments.computation,
                sender_pk=slot.public_key,
            )
        statement = Statement(
            agreement=self.evidence.arguments.agreement,
            mrenclave=self.mrenclave,
            identity_pk=w.IDENTITY_PK,
            box_pk=w.BOX_PK,
            role=slot.role,
            sender_pk=slot.public_key,
            commitment=commitment,
        )
        message = delivery_signature_message(statement, bytes(32))
        return ParticipantRecord(
            role=slot.role,
            index=slot.index,
            statement=statement,
            box_sha256=bytes(32),
            signature=KEYS[slot.role].sign(message).signature,
        )

    @cached_property
    def opening(self) -> Opening:
        arguments = self.evidence.arguments
        return Opening(
            tee=arguments.terms.tee,
            delivery=arguments.terms.delivery,
            computation=arguments.computation,
            agreement=arguments.agreement,
            arguments=arguments.to_bytes(),
            mrenclave=self.mrenclave,
            identity_pk=w.IDENTITY_PK,
            box_pk=w.BOX_PK,
            run_key=bytes(RUN.verify_key),
            participants=tuple(self._record(slot) for slot in arguments.participants),
            inputs=(InputRecord(provider=0, name=INPUT.name, size=INPUT.size, sha256=INPUT.sha256),),
            code=arguments.code_digest,
            packages=arguments.packages_digest,
        )

    @cached_property
    def closing(self) -> Closing:
        return Closing(
            agreement=self.evidence.arguments.agreement,
            opening_sha256=sha256(self.opening.to_statement()),
            outcome=Outcome.SUCCEEDED,
            exit_code=0,
            host_started=datetime(2026, 3, 1, 12, tzinfo=UTC),
            host_ended=datetime(2026, 3, 1, 12, 1, tzinfo=UTC),
            bytes_out=1000,
            bytes_log=4096,
            failure=None,
            outputs=(OutputRecord(consumer=0, name="report.json", sha256=b"\xd1" * 32),),
            log_sha256=b"\xd2" * 32,
        )

    def run(self, *, key: SigningKey = IDENTITY, closed: bool = True, **changes: object) -> bytes:
        """The receipt of a run, its closing changed by `changes`, or left out."""
        closing = seal(replace(self.closing, **changes).to_statement(), RUN) if closed else None
        return Receipt(opening=seal(self.opening.to_statement(), key), closing=closing).to_bytes()

    def refusal(self) -> bytes:
        refused = Refusal(
            agreement=self.evidence.arguments.agreement,
            mrenclave=self.mrenclave,
            identity_pk=w.IDENTITY_PK,
            reason=RefusalReason.WORDS_DIFFER,
        )
        return Receipt(refusal=seal(refused.to_statement(), IDENTITY)).to_bytes()


def archive(**changes: object) -> Archive:
    return Archive(evidence=w.world(**changes))
