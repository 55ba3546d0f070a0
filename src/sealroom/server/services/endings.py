"""How a launch goes on and ends: what the reconciler saw becomes one transaction.

Each function first looks whether the launch is still live, so that seeing the same thing twice changes
nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.receipt import Closing, Outcome
from sealroom.server.lifecycle import ENCLAVE, SERVER, Who, change
from sealroom.server.platform import Platform
from sealroom.server.schema import ComputationRow, Launch, ResultRow, Run
from sealroom.server.services.computations import drop_uploads
from sealroom.server.services.launches import plan_launch
from sealroom.server.states import PARTICIPANTS, Actor, Cause, State

LOST = "lost"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an enclave that did not finish a run ended.

    `refusal` is its signed envelope and `reason` what it says, both `None` for one that left nothing;
    `expired` is the supervisor's word that it waited until its deadline.
    """

    refusal: bytes | None = None
    reason: RefusalReason | None = None
    expired: bool = False
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What left the enclave with a closing, as blobs; `missing` is listed there and was not found."""

    results: tuple[ResultRow, ...]
    log_blob: str | None
    log_keys_blob: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that ended with a signed closing: its envelope, what it says, what left the enclave."""

    envelope: bytes
    closing: Closing
    outputs: Outputs


def begin_run(session: Session, launch: Launch, opening: bytes, *, now: datetime) -> None:
    """Note that the enclave signed its opening: whatever but a cancellation was asked came too late."""
    if launch.computation.state != State.AWAITING_KEYS.value:
        return
    late = None if launch.end_cause == Cause.CANCELLED.value else launch.end_cause
    change(session, launch.computation, Cause.RUN_STARTED, ENCLAVE, now=now, too_late=late)
    if late is not None:
        launch.end_cause = launch.end_by = launch.end_reason = launch.end_asked_at = None
    launch.run = Run(started_at=now, opening=opening)


def finish_run(session: Session, launch: Launch, finished: Finished, *, now: datetime) -> None:
    """Note that the run ended with a signed closing, and keep what left the enclave."""
    run, closing, outputs = launch.run, finished.closing, finished.outputs
    if run is None or launch.ended_at is not None:
        return
    succeeded = closing.outcome is Outcome.SUCCEEDED
    cause = Cause.RUN_SUCCEEDED if succeeded else Cause.RUN_FAILED
    details = {"outcome": closing.outcome.value, "missing": list(outputs.missing)}
    change(session, launch.computation, cause, ENCLAVE, now=now, **details)
    run.closing, run.ended_at = finished.envelope, now
    run.outcome, run.exit_code = closing.outcome.value, closing.exit_code
    run.log_blob, run.log_keys_blob = outputs.log_blob, outputs.log_keys_blob
    run.results.extend(outputs.results)
    launch.ended_at = now


def fail_launch(session: Session, launch: Launch, reason: str, *, now: datetime) -> None:
    """Note that no enclave could be made, or that it showed evidence which cannot be."""
    if launch.ended_at is not None or launch.computation.state != State.LAUNCHING.value:
        return
    change(session, launch.computation, Cause.LAUNCH_FAILED, SERVER, now=now, reason=reason)
    launch.ended_at = now


def end_launch(
    session: Session, platform: Platform, launch: Launch, ended: Ended, *, now: datetime
) -> list[str]:
    """Note that an enclave is gone without finishing a run; returns blobs to remove after the commit.

    What a person had asked for decides first, then what the enclave signed, then whether it may be tried
    again.
    """
    if launch.ended_at is not None:
        return []
    launch.ended_at, launch.refusal = now, ended.refusal
    computation = launch.computation
    if computation.state == State.RUNNING.value:
        return _end_in_run(session, launch, ended, now=now)
    _note_refusal(launch, ended)
    match launch.end_cause:
        case Cause.CODE_SENT.value:
            _launch_again(session, platform, computation, now=now, because="new code")
        case Cause.PARTICIPANT_REFUSED.value | Cause.WITHDRAWN.value | Cause.CANCELLED.value:
            return _as_asked(session, launch, now=now)
        case _:
            _by_itself(session, platform, launch, ended, now=now)
    return []


def _end_in_run(session: Session, launch: Launch, ended: Ended, *, now: datetime) -> list[str]:
    run = launch.run
    cancelled = launch.end_cause == Cause.CANCELLED.value
    if run is not None:
        run.ended_at, run.outcome = now, CANCELLED if cancelled else LOST
    if cancelled:
        return _as_asked(session, launch, now=now)
    change(session, launch.computation, Cause.ENCLAVE_LOST, SERVER, now=now, what=ended.what)
    return []


def _as_asked(session: Session, launch: Launch, *, now: datetime) -> list[str]:
    computation, name = launch.computation, launch.end_by or ""
    cause = Cause(launch.end_cause)
    # The role was checked when it was asked for.
    actors = frozenset({Actor.OWNER}) if cause is Cause.CANCELLED else PARTICIPANTS
    signed = launch.refusal is not None
    change(
        session,
        computation,
        cause,
        Who(name=name, actors=actors),
        now=now,
        reason=launch.end_reason or "",
        signed=signed,
    )
    if cause is not Cause.WITHDRAWN:
        return []
    leaving = [participant for participant in computation.participants if participant.email == name]
    return [blob for participant in leaving for blob in drop_uploads(session, participant)]


def _by_itself(session: Session, platform: Platform, launch: Launch, ended: Ended, *, now: datetime) -> None:
    computation = launch.computation
    if ended.reason is RefusalReason.EXPIRED or (ended.reason is None and ended.expired):
        who = ENCLAVE if ended.reason is not None else SERVER
        change(session, computation, Cause.ENCLAVE_EXPIRED, who, now=now, signed=ended.reason is not None)
    elif ended.reason is not None:
        change(session, computation, Cause.ENCLAVE_REFUSED, ENCLAVE, now=now, reason=ended.reason.value)
    elif computation.lost_enclaves < platform.config.limits.max_lost_enclaves:
        computation.lost_enclaves += 1
        _launch_again(session, platform, computation, now=now, because=ended.what)
    else:
        change(session, computation, Cause.ENCLAVE_LOST, SERVER, now=now, what=ended.what)


def _launch_again(
    session: Session, platform: Platform, computation: ComputationRow, *, now: datetime, because: str
) -> None:
    change(session, computation, Cause.LAUNCHED_AGAIN, SERVER, now=now, because=because)
    plan_launch(session, platform, computation, now=now)


def _note_refusal(launch: Launch, ended: Ended) -> None:
    computation = launch.computation
    asked = launch.end_cause in (
        Cause.PARTICIPANT_REFUSED.value,
        Cause.WITHDRAWN.value,
        Cause.CANCELLED.value,
    )
    own_words = ended.reason not in (None, RefusalReason.CANCELLED)
    if own_words or (ended.reason is not None and not asked):
        by, reason = "enclave", ended.reason.value if ended.reason else ""
    elif asked:
        by, reason = launch.end_by or "", launch.end_reason or ""
    else:
        return
    computation.refusal_by, computation.refusal_reason, computation.refusal_epoch = by, reason, launch.epoch
