"""Launches: an epoch is planned as a row with its measured arguments; the reconciler does the rest.

Planning happens in the transaction that makes a computation ready, so a crash before, between or after leaves
either no launch or one that will be started. Only the highest epoch of a computation counts.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import SERVER, Who, change, who_is
from sealroom.server.platform import Platform
from sealroom.server.schema import Account, CodeVersion, ComputationRow, Launch
from sealroom.server.states import Cause, State, check_allowed

ENTRY = "run.py"


def plan_if_ready(
    session: Session, platform: Platform, computation: ComputationRow, *, now: datetime
) -> None:
    """Plan the first launch once every participant has a key here and the code is there."""
    if computation.state != State.REGISTERING.value or not _is_ready(computation):
        return
    change(session, computation, Cause.LAUNCH_PLANNED, SERVER, now=now)
    plan_launch(session, platform, computation, now=now)


def relaunch(
    session: Session, platform: Platform, computation: ComputationRow, account: Account, *, now: datetime
) -> None:
    """Plan another launch because the owner asks for it; everybody verifies and delivers again."""
    change(session, computation, Cause.RELAUNCH_ASKED, who_is(computation, account), now=now)
    computation.lost_enclaves = 0
    plan_launch(session, platform, computation, now=now)


def plan_launch(
    session: Session, platform: Platform, computation: ComputationRow, *, now: datetime
) -> Launch:
    """Write the launch of the computation's present epoch, with its arguments fixed to the byte."""
    code = computation.codes[-1]
    arguments = make_arguments(computation, code, nonce=secrets.token_bytes(16))
    launch = Launch(
        epoch=computation.epoch,
        code=code,
        nonce=arguments.launch,
        planned_at=now,
        deadline_at=now + timedelta(seconds=platform.config.waiting_deadline_seconds),
        arguments=arguments.to_bytes(),
        agreement=arguments.agreement,
    )
    computation.launches.append(launch)
    computation.refusal_by = computation.refusal_reason = computation.refusal_epoch = None
    session.flush()
    return launch


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRequest:
    """What a person wants ended, as the state table names it, and why."""

    cause: Cause
    reason: str


def ask_to_end(
    session: Session, computation: ComputationRow, who: Who, request: EndRequest, *, now: datetime
) -> None:
    """End a computation's enclave, or the computation where there is none, because `who` asks for it.

    A living enclave is asked first: it answers with a signed refusal, or has begun to run and then this came
    too late. Until it has ended the state stays what it is.
    """
    launch = live_launch(computation)
    if launch is None:
        change(session, computation, request.cause, who, now=now, reason=request.reason)
        return
    check_allowed(request.cause, State(computation.state), who.actors)
    change(
        session,
        computation,
        Cause.END_ASKED,
        who,
        now=now,
        asked=request.cause.value,
        reason=request.reason,
    )
    # Of several, the one that ends more counts: a withdrawal or cancellation over a refusal or new code.
    if launch.end_cause is None or request.cause is not Cause.PARTICIPANT_REFUSED:
        launch.end_cause, launch.end_by = request.cause.value, who.name
        launch.end_reason, launch.end_asked_at = request.reason, now


def ask_for_new_code(computation: ComputationRow, who: Who, *, now: datetime) -> None:
    """Ask a waiting enclave to end because newer code is there; the next epoch follows its end."""
    launch = live_launch(computation)
    if launch is not None and launch.end_cause is None:
        launch.end_cause, launch.end_by, launch.end_asked_at = Cause.CODE_SENT.value, who.name, now
        launch.end_reason = "new code"


def live_launch(computation: ComputationRow) -> Launch | None:
    """Return the launch that has not ended, if there is one: always that of the present epoch."""
    launch = computation.launches[-1] if computation.launches else None
    return launch if launch is not None and launch.ended_at is None else None


def find_launch(session: Session, computation: ComputationRow, epoch: int | None) -> Launch:
    """Return the launch of an epoch (the present one when none is named)."""
    wanted = computation.epoch if epoch is None else epoch
    launch = session.scalars(
        select(Launch).where(Launch.computation_uuid == computation.uuid, Launch.epoch == wanted)
    ).first()
    if launch is None:
        raise ServiceError(ErrorCode.NO_EVIDENCE, "there was no such launch", got=wanted)
    return launch


def make_arguments(computation: ComputationRow, code: CodeVersion, *, nonce: bytes) -> Arguments:
    """Build the measured arguments of a launch from what was registered."""
    participants = tuple(
        Participant(
            role=Role(row.role), index=row.position, email=row.email, public_key=row.public_key or b""
        )
        for row in computation.participants
    )
    return Arguments(
        terms=make_terms(computation),
        participants=participants,
        entry=ENTRY,
        code_digest=code.digest,
        packages_digest=code.packages_digest,
        launch=nonce,
    )


def make_terms(computation: ComputationRow) -> Terms:
    """Build the terms as the owner chose them."""
    emails = {
        role: tuple(row.email for row in computation.participants if row.role == role.value) for role in Role
    }
    return Terms(
        tee=Tee(computation.tee),
        delivery=DeliveryForm(computation.delivery),
        computation=UUID(computation.uuid),
        owner=computation.owner.email,
        code_provider=emails[Role.CODE_PROVIDER][0],
        data_providers=emails[Role.DATA_PROVIDER],
        result_consumers=emails[Role.RESULT_CONSUMER],
        logs=LogRelease(computation.logs),
        limits=Limits(
            max_output_bytes=computation.max_output_bytes,
            max_log_bytes=computation.max_log_bytes,
            max_seconds=computation.max_seconds,
            max_memory=computation.max_memory,
        ),
    )


def _is_ready(computation: ComputationRow) -> bool:
    return bool(computation.codes) and all(row.public_key is not None for row in computation.participants)
