"""The order of a rehearsal, each step by the code that a real computation takes it with.

Must never give a program more than a real run would, nor show a result that the enclave did not release.
Spec: docs/spec/rehearsal.md.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sealroom.adapters.policies import load_policy
from sealroom.adapters.release import load_release
from sealroom.client.file_sealing import open_between
from sealroom.client.result_files import result_path, store_result
from sealroom.client.transport import Progress
from sealroom.client.verification import ROOTS
from sealroom.client.wheel_store import WheelStore
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.policy import Word
from sealroom.core.evidence.receipt import SimulatedReceipt, insecure_verify_simulated_receipt
from sealroom.core.evidence.verify import insecure_verify_simulated_evidence
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.log_opening import find_log_key, open_log, parse_log_keys
from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.wire import spool as names
from sealroom.core.wire.delivery import NO_COMMITMENT
from sealroom.core.wire.dsse_verification import parse_envelope
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing
from sealroom.core.wire.receipt_closing import OutputRecord
from sealroom.core.wire.receipt_file import MAX_RECEIPT_BYTES, Receipt
from sealroom.rehearsal.cast import Actor, Cast, Choices
from sealroom.rehearsal.data_folder import ProviderFolder
from sealroom.rehearsal.reads import Reads, watch_reads
from sealroom.rehearsal.report import InputUse, Report, WrittenResult
from sealroom.rehearsal.sending import SentCode, send_code, send_inputs
from sealroom.rehearsal.stage import EPOCH, RehearsalError, Stage, deadline, open_stage
from sealroom.server.launchers.base import LaunchPlan

_POLICY = "up-to-date"
_LOOK_SECONDS = 0.05
_LOG_OVERHEAD = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What to try: the program, who brings what, the owner's choices, and where results go.

    `wheels` is the store that has the wheels of its packages, `None` where it names none.
    `root` is a folder that all rehearsals of this account share. `tell` gets a sentence at each step, and
    again while a step goes on.
    """

    program: Path
    providers: Sequence[ProviderFolder]
    choices: Choices
    results: Path
    root: Path
    wheels: WheelStore | None
    tell: Callable[[str], None]
    progress: Progress | None = None

    def play(self) -> Report:
        """Hold the rehearsal.

        Raises what a participant's client would refuse with, and `RehearsalError` where this machine cannot
        run the enclave. Whatever the program does is in the report.
        """
        cast = Cast.gather(self.choices)
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root) as work:
            sent = send_code(self.program, cast, self.wheels, Path(work), progress=self.progress)
            plan = _plan(cast, sent)
            with open_stage(self.root, plan, sent.public) as stage:
                return self._run(cast, sent, stage)

    def _run(self, cast: Cast, sent: SentCode, stage: Stage) -> Report:
        self.tell("making the enclave")
        stage.prepare()
        commitments = self._send_inputs(cast, stage)
        self.tell("starting the enclave")
        published = stage.start()
        enclave = self._verify(published.bundle.to_bytes(), cast, sent)
        with watch_reads(stage.spool_folder, self._places(cast)) as reads:
            self.tell("delivering keys")
            _deliver(cast, commitments, enclave, stage)
            seconds = self._wait(stage)
        receipt = _read_receipt(stage, enclave)
        if receipt.refusal is not None:
            raise VerificationError(f"the enclave refused: {receipt.refusal.reason.value}")
        return self._report(cast, enclave, stage, receipt, reads, seconds)

    def _verify(self, bundle: bytes, cast: Cast, sent: SentCode) -> SimulatedEnclave:
        """Make every check that a participant's client makes: what it would refuse is refused here."""
        named = [source.requirement for source in sent.packages]
        return insecure_verify_simulated_evidence(
            bundle,
            policy=replace(load_policy(_POLICY), logs=Word.ANY),
            expected=cast.expect(sent.public.listed),
            release=load_release(),
            wheels={} if self.wheels is None else self.wheels.known(named),
            roots=ROOTS,
            now=datetime.now(UTC),
        )

    def _send_inputs(self, cast: Cast, stage: Stage) -> Mapping[int, bytes]:
        pairs = zip(self.providers, cast.in_role(Role.DATA_PROVIDER), strict=True)
        return {
            actor.participant.index: send_inputs(provider, actor, cast, stage.spool, progress=self.progress)
            for provider, actor in pairs
        }

    def _places(self, cast: Cast) -> dict[str, tuple[int, int]]:
        return {
            names.input_name(index, number): (index, number)
            for index, provider in enumerate(self.providers)
            for number in range(len(provider.files))
        }

    def _wait(self, stage: Stage) -> float:
        """Wait for the end of the run, and return how long it took."""
        if not stage.wait_for_opening():
            return 0.0
        began = time.monotonic()
        limit = self.choices.limits.max_seconds
        while True:
            passed = time.monotonic() - began
            if stage.spool.has(names.CLOSING) or stage.has_ended():
                break
            self.tell(f"the program runs: at most {limit} s")
            time.sleep(_LOOK_SECONDS)
        while not stage.has_ended():
            time.sleep(_LOOK_SECONDS)
        return passed

    def _report(
        self,
        cast: Cast,
        enclave: SimulatedEnclave,
        stage: Stage,
        receipt: SimulatedReceipt,
        reads: Reads,
        seconds: float,
    ) -> Report:
        closing = receipt.closing
        results = () if closing is None else self._open_results(cast, enclave, stage, closing)
        inputs = tuple(
            InputUse(
                provider=provider.name,
                name=path.name,
                size=path.stat().st_size,
                was_read=(index, number) in reads.seen,
            )
            for index, provider in enumerate(self.providers)
            for number, path in enumerate(provider.files)
        )
        return Report(
            outcome=None if closing is None else closing.outcome,
            failure=None if closing is None else closing.failure,
            death="" if closing is not None else stage.death(),
            seconds=seconds,
            inputs=inputs,
            results=results,
            bytes_out=0 if closing is None else closing.bytes_out,
            log=None if closing is None else _open_log(cast, enclave, stage, closing),
            logs=cast.terms.logs,
            limits=cast.terms.limits,
            protections=stage.protections(),
        )

    def _open_results(
        self, cast: Cast, enclave: SimulatedEnclave, stage: Stage, closing: Closing
    ) -> tuple[WrittenResult, ...]:
        consumers = cast.in_role(Role.RESULT_CONSUMER)
        counts, opened = [0] * len(consumers), list[WrittenResult]()
        for output in closing.outputs:
            consumer, number = consumers[output.consumer], counts[output.consumer]
            counts[output.consumer] += 1
            email = consumer.participant.email
            # With one consumer the folder is theirs.
            folder = self.results if len(consumers) == 1 else self.results / email
            folder.mkdir(parents=True, exist_ok=True)
            path = result_path(folder, output.name)
            size = _open_result(consumer, cast, enclave, stage, output, number=number, path=path)
            opened.append(WrittenResult(consumer=email, name=output.name, size=size, path=path))
        return tuple(opened)


def _plan(cast: Cast, sent: SentCode) -> LaunchPlan:
    return LaunchPlan(
        computation=cast.computation,
        epoch=EPOCH,
        deadline=deadline(),
        arguments=cast.agree(sent.public.listed).to_bytes(),
        code=sent.sources,
        packages=sent.packages,
        code_list=sent.public.listed.to_json(),
        code_signature=sent.public.signature,
    )


def _deliver(cast: Cast, commitments: Mapping[int, bytes], enclave: SimulatedEnclave, stage: Stage) -> None:
    for number, actor in enumerate(cast.actors):
        role, index = actor.participant.role, actor.participant.index
        preshared_key = cast.preshared_key()
        try:
            wire = seal_delivery(
                to=enclave,
                role=role,
                signing_key=actor.signing_key,
                commitment=commitments[index] if role is Role.DATA_PROVIDER else NO_COMMITMENT,
                preshared_key=preshared_key,
                data_key=actor.data_key,
                now=datetime.now(UTC),
                insecure_accept_simulated=cast.computation,
            )
        finally:
            preshared_key.wipe()
        stage.spool.write(names.inbox_name(number), wire)


def _read_receipt(stage: Stage, enclave: SimulatedEnclave) -> SimulatedReceipt:
    """Read and verify what the enclave signed."""
    found = {
        name: None if raw is None else parse_envelope(raw)
        for name in (names.OPENING, names.CLOSING, names.REFUSAL)
        for raw in (stage.spool.read(name, max_bytes=MAX_RECEIPT_BYTES),)
    }
    if found[names.OPENING] is None and found[names.REFUSAL] is None:
        raise RehearsalError(f"the enclave ended before the program began: {stage.death()}")
    receipt = Receipt(
        opening=found[names.OPENING], closing=found[names.CLOSING], refusal=found[names.REFUSAL]
    )
    return insecure_verify_simulated_receipt(receipt.to_bytes(), enclave=enclave)


def _open_result(
    consumer: Actor,
    cast: Cast,
    enclave: SimulatedEnclave,
    stage: Stage,
    output: OutputRecord,
    *,
    number: int,
    path: Path,
) -> int:
    """Open one result to `path` as its consumer does, and return its size."""
    place = names.result_name(output.consumer, number)
    sealed = stage.spool.open(place)
    if sealed is None:
        raise VerificationError(f"result {output.name}: named by the receipt, and not there")
    context = Context.result(
        computation=cast.computation,
        owner_pk=consumer.public_key,
        box_pk=enclave.box_pk,
        name=output.name,
    )
    key = derive_output_key(
        consumer.data_key,
        box_pk=enclave.box_pk,
        computation=cast.computation,
        consumer_pk=consumer.public_key,
    )
    with sealed:
        if hashlib.file_digest(sealed, "sha256").digest() != output.sha256:
            raise VerificationError(f"result {output.name}: not the one that the receipt names")
        sealed.seek(0)
        try:
            return store_result(
                path, lambda sink: open_between(sealed, sink, key=key, context=context, hashed=True)
            ).size
        finally:
            key.wipe()


def _open_log(cast: Cast, enclave: SimulatedEnclave, stage: Stage, closing: Closing) -> bytes | None:
    """Open the log as the Code Provider does, if it may."""
    if closing.log_sha256 is None:
        return None
    most = 2 * cast.terms.limits.max_log_bytes + _LOG_OVERHEAD
    container = stage.spool.read(names.LOG, max_bytes=most)
    raw_keys = stage.spool.read(names.LOG_KEYS, max_bytes=names.MAX_LOG_KEYS_BYTES)
    if container is None or raw_keys is None or hashlib.sha256(container).digest() != closing.log_sha256:
        raise VerificationError("log: not the one that the receipt names")
    key = find_log_key(parse_log_keys(raw_keys), signing_key=cast.code_provider.signing_key)
    return open_log(container, key=key, computation=cast.computation, box_pk=enclave.box_pk)
