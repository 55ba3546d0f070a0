"""One look at one launch, and whatever follows from it.

Every step reads first what the database knows and what the launch folder shows, then writes one transaction.
It keeps nothing in memory, so a server killed anywhere in it finds the same situation again and goes on.
"""

import logging
import shutil
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session, joinedload, selectinload

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.spool import (
    END,
    MAX_ANSWER_BYTES,
    Answer,
    answer_name,
    inbox_name,
    input_list_name,
    input_name,
)
from sealroom.server.blobs import CHUNK
from sealroom.server.launchers.base import (
    CodeSource,
    Launcher,
    LaunchPlan,
    LaunchState,
    LaunchStatus,
    WheelSource,
)
from sealroom.server.launchers.host_files import HOST_FOLDER, EndReason, read_refused
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool
from sealroom.server.lifecycle import ENCLAVE, change
from sealroom.server.platform import Platform
from sealroom.server.schema import (
    CodeFileRow,
    CodeVersion,
    ComputationRow,
    DeliveryRow,
    Launch,
    ParticipantRow,
)
from sealroom.server.services import data, endings
from sealroom.server.services.code import code_list
from sealroom.server.services.endings import Ended
from sealroom.server.services.evidence import compose_evidence
from sealroom.server.services.outputs import take_outputs
from sealroom.server.services.signed import read_closing, read_opening, read_refusal
from sealroom.server.services.wheels import StoredWheel, wheels_of
from sealroom.server.states import Actor, Cause, State

_log = logging.getLogger("sealroom.server")
_GONE = (LaunchState.ABSENT, LaunchState.ENDED, LaunchState.LOST)
# How long an enclave that finished may take to exit before its folder is removed under it.
_EXIT_SECONDS = 15
# Seconds between two looks at a launch. Requests wake the reconciler before that.
_SOON, _RUNNING, _WAITING = 0.1, 0.25, 1.0


class LaunchFollower:
    """Brings one launch forward; the reconciler calls `follow` again and again."""

    def __init__(self, platform: Platform, launcher: Launcher) -> None:
        self._platform = platform
        self._launcher = launcher

    def follow(self, launch_id: int) -> float:
        """Look once at a launch and do what is due; returns the seconds after which to look again."""
        launch = self._load(launch_id)
        if launch.ended_at is not None:
            self._clear(launch)
            return _SOON
        # Looked at before the spool: of an enclave that is gone by now, the spool says the last word.
        status = self._launcher.watch(UUID(launch.computation_uuid), launch.epoch)
        if launch.launched_at is None:
            status = self._start(launch, status)
        if launch.end_cause is not None:
            self._launcher.stop(UUID(launch.computation_uuid), launch.epoch)
        if launch.computation.state == State.LAUNCHING.value and self._publish_evidence(launch):
            launch = self._load(launch_id)
        self._pass_deliveries_on(launch)
        if not self._take_signed(launch) and status.state in _GONE:
            self._end(launch_id, _lost(status))
        return _pace(launch)

    # Starting

    def _start(self, launch: Launch, status: LaunchStatus) -> LaunchStatus:
        uuid = UUID(launch.computation_uuid)
        if status.state is LaunchState.ABSENT and launch.end_cause is not None:
            return status
        if status.state in (LaunchState.ABSENT, LaunchState.PREPARED):
            self._launcher.prepare(self._plan(launch))
            self._launcher.start(uuid, launch.epoch)
        with self._platform.store.write() as session:
            row = self._find(session, launch.id)
            row.launched_at = row.launched_at or self._platform.now()
        return self._launcher.watch(uuid, launch.epoch)

    def give_up(self, launch_id: int, reason: str) -> None:
        """Note that there will be no enclave, after the reconciler tried often enough."""
        launch = self._load(launch_id)
        if launch.end_cause is not None:
            self._end(launch_id, Ended(what=reason))
            return
        with self._platform.store.write() as session:
            endings.fail_launch(session, self._find(session, launch_id), reason, now=self._platform.now())

    def _plan(self, launch: Launch) -> LaunchPlan:
        return LaunchPlan(
            computation=UUID(launch.computation_uuid),
            epoch=launch.epoch,
            deadline=launch.deadline_at,
            arguments=launch.arguments,
            code=tuple(self._source(row) for row in launch.code.files),
            packages=tuple(self._wheel(wheel) for wheel in self._wheels(launch)),
            code_list=code_list(launch.code).to_json(),
            code_signature=launch.code.signature,
        )

    def _source(self, row: CodeFileRow) -> CodeSource:
        blobs = self._platform.blobs
        return CodeSource(
            path=row.path, sha256=row.sha256, copy_to=lambda target: blobs.copy_to(row.blob, target)
        )

    def _wheels(self, launch: Launch) -> tuple[StoredWheel, ...]:
        with self._platform.store.read() as session:
            row = self._find(session, launch.id)
            return wheels_of(row.code, row.computation, self._platform.blobs)

    def _wheel(self, wheel: StoredWheel) -> WheelSource:
        blobs = self._platform.blobs
        return WheelSource(requirement=wheel.requirement, open=lambda: blobs.open(wheel.blob))

    # While it waits

    def _publish_evidence(self, launch: Launch) -> bool:
        """Publish the evidence once the enclave has shown it; says whether anything changed."""
        blobs = self._platform.blobs
        try:
            evidence = compose_evidence(launch, self._launcher, blobs)
        except (MalformedError, VerificationError) as exc:
            self.give_up(launch.id, f"the enclave showed evidence that cannot be: {exc}")
            return True
        if evidence is None:
            return False
        blob = blobs.put(evidence.bundle.to_bytes())
        with self._platform.store.write() as session:
            row, now = self._find(session, launch.id), self._platform.now()
            details = {"mrenclave": evidence.mrenclave.hex(), "bundle": blob.sha256.hex()}
            change(session, row.computation, Cause.EVIDENCE_PUBLISHED, ENCLAVE, now=now, **details)
            row.evidence_at, row.bundle_blob, row.mrenclave = now, blob.name, evidence.mrenclave
            row.identity_pk, row.box_pk = evidence.keys.identity_pk, evidence.keys.box_pk
            row.protections = [asdict(protection) for protection in evidence.protections]
        return True

    def _pass_deliveries_on(self, launch: Launch) -> None:
        waiting = [row for row in launch.deliveries if row.answered_at is None]
        if not waiting:
            return
        spool = self._launcher.spool(UUID(launch.computation_uuid), launch.epoch)
        answers: dict[int, Answer] = {}
        for row in waiting:
            self._pass_on(spool, row)
            with suppress(MalformedError):
                raw = spool.read(answer_name(row.number), max_bytes=MAX_ANSWER_BYTES)
                if raw is not None:
                    answers[row.number] = Answer.from_bytes(raw)
        if answers:
            self._note_answers(launch.id, answers)

    def _pass_on(self, spool: Spool, row: DeliveryRow) -> None:
        # A spool that is gone belongs to a lost enclave: the next look notices that. In one that a program
        # rearranged, nothing is delivered any more, and how it ended must be seen all the same.
        with suppress(FileNotFoundError, MalformedError):
            if spool.has(inbox_name(row.number)):
                return
            if row.participant.role == Actor.DATA_PROVIDER.value:
                self._place_inputs(spool, row.participant)
            spool.write(inbox_name(row.number), row.raw)

    def _place_inputs(self, spool: Spool, participant: ParticipantRow) -> None:
        for place, upload in enumerate(data.done_uploads(participant)):
            with self._platform.blobs.open(upload.id) as source:
                copy = partial(shutil.copyfileobj, source, length=CHUNK)
                spool.write_from(input_name(participant.position, place), copy)
        spool.write(input_list_name(participant.position), data.done_list(participant).to_json())

    def _note_answers(self, launch_id: int, answers: dict[int, Answer]) -> None:
        with self._platform.store.write() as session:
            launch, now = self._find(session, launch_id), self._platform.now()
            for row in launch.deliveries:
                answer = answers.get(row.number)
                if answer is None or row.answered_at is not None:
                    continue
                refused = answer.refused.value if answer.refused else None
                details = {"number": row.number, "slot": row.participant.slot, "refused": refused}
                change(session, launch.computation, Cause.DELIVERY_ANSWERED, ENCLAVE, now=now, **details)
                row.answered_at, row.admitted, row.refused = now, refused is None, refused

    # What it signed, and how it ended

    def _take_signed(self, launch: Launch) -> bool:
        """Take the next thing that the enclave signed; says whether there was one."""
        spool = self._launcher.spool(UUID(launch.computation_uuid), launch.epoch)
        if launch.run is not None:
            return self._take_closing(launch, spool, launch.run.opening)
        opening = read_opening(spool, launch)
        if opening is not None:
            self._begin_run(launch, opening.raw)
            return True
        refusal = read_refusal(spool, launch)
        if refusal is not None:
            self._end(launch.id, Ended(refusal=refusal.raw, reason=refusal.statement.reason))
            return True
        return False

    def _begin_run(self, launch: Launch, opening: bytes) -> None:
        with self._platform.store.write() as session:
            row = self._find(session, launch.id)
            endings.begin_run(session, row, opening, now=self._platform.now())
            cancelled = row.end_cause is not None
        if not cancelled:
            # Else the supervisor would end a run because somebody asked for something too late.
            folder = self._launcher.folder(UUID(launch.computation_uuid), launch.epoch)
            (folder / SPOOL_FOLDER / END).unlink(missing_ok=True)

    def _take_closing(self, launch: Launch, spool: Spool, opening: bytes) -> bool:
        closing = read_closing(spool, opening)
        if closing is None:
            return False
        outputs = take_outputs(launch, self._launcher, closing.statement, self._platform.blobs)
        with self._platform.store.write() as session:
            row = self._find(session, launch.id)
            finished = endings.Finished(envelope=closing.raw, closing=closing.statement, outputs=outputs)
            endings.finish_run(session, row, finished, now=self._platform.now())
        return True

    def _end(self, launch_id: int, ended: Ended) -> None:
        with self._platform.store.write() as session:
            launch, now = self._find(session, launch_id), self._platform.now()
            removed = endings.end_launch(session, self._platform, launch, ended, now=now)
        for name in removed:
            self._platform.blobs.delete(name)
        self._platform.wake.set()

    def _clear(self, launch: Launch) -> None:
        """Remove the folder of an ended launch, once its process had time to go."""
        uuid, now = UUID(launch.computation_uuid), self._platform.now()
        alive = self._launcher.watch(uuid, launch.epoch).state is LaunchState.ALIVE
        if alive and launch.ended_at is not None and (now - launch.ended_at).total_seconds() < _EXIT_SECONDS:
            return
        # The folder goes, and with it the only place that says which files a manifest lacked.
        for line in read_refused(self._launcher.folder(uuid, launch.epoch) / HOST_FOLDER):
            _log.warning("computation %s, launch %d: %s", uuid, launch.epoch, line)
        self._launcher.discard(uuid, launch.epoch)
        with self._platform.store.write() as session:
            self._find(session, launch.id).cleared_at = now

    # Rows

    def _load(self, launch_id: int) -> Launch:
        """Read a launch with all that the steps look at, and let the database go."""
        with self._platform.store.read() as session:
            return session.get_one(Launch, launch_id, options=_ALL)

    def _find(self, session: Session, launch_id: int) -> Launch:
        """Read a launch inside a writing transaction, its computation locked first."""
        uuid = session.get_one(Launch, launch_id).computation_uuid
        session.get_one(ComputationRow, uuid, with_for_update={"of": ComputationRow}, populate_existing=True)
        return session.get_one(Launch, launch_id, populate_existing=True)


_ALL = (
    joinedload(Launch.computation).selectinload(ComputationRow.participants),
    joinedload(Launch.code).selectinload(CodeVersion.files),
    joinedload(Launch.run),
    selectinload(Launch.deliveries).joinedload(DeliveryRow.participant).selectinload(ParticipantRow.uploads),
)


def _pace(launch: Launch) -> float:
    """Say when to look at a launch again: at once while something must happen, else now and then."""
    admitted = sum(row.admitted is True for row in launch.deliveries)
    due = (
        launch.evidence_at is None
        or launch.end_cause is not None
        or any(row.answered_at is None for row in launch.deliveries)
        or (launch.run is None and admitted == len(launch.computation.participants))
    )
    return _SOON if due else _RUNNING if launch.run is not None else _WAITING


def _lost(status: LaunchStatus) -> Ended:
    """Say how an enclave ended that is gone and left nothing signed."""
    if status.exit is None:
        return Ended(what="its supervisor is gone")
    reason = status.exit.reason
    return Ended(what=f"it ended: {reason.value}", expired=reason is EndReason.EXPIRED)
