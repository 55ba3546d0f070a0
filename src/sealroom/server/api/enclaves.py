"""Routes: evidence, key deliveries, and what people ask of a waiting or running enclave."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from sealroom.core.wire.byte_fields import MAX_NUMBER
from sealroom.core.wire.delivery import DELIVERY_SIZE
from sealroom.server.api.caller import Caller, Poster, TheCaller, ThePoster, TheUuid, body_parts
from sealroom.server.api.models import ComputationView, DeliveryView, OptionalReason, Reason
from sealroom.server.api.streaming import gather, send_blob
from sealroom.server.api.views import computation_view
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.idempotency import Answer
from sealroom.server.lifecycle import find_computation, who_is
from sealroom.server.schema import Account, ComputationRow, DeliveryRow
from sealroom.server.services import computations, deliveries, launches
from sealroom.server.services.launches import EndRequest
from sealroom.server.states import Cause

router = APIRouter(tags=["enclaves"])

OCTETS = "application/octet-stream"
_BINARY = {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
# How long an answer waits for the enclave; a client that still sees none asks again.
WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_Seen = TypeVar("_Seen")


@router.get("/computations/{uuid}/evidence", response_class=Response, responses={200: _BINARY})
def get_evidence(
    caller: TheCaller, uuid: TheUuid, epoch: int | None = Query(default=None, ge=1, le=MAX_NUMBER)
) -> Response:
    """Give the evidence bundle of the present enclave, or of an earlier epoch's."""
    with caller.reading() as (session, account):
        computation = find_computation(session, uuid, account)
        launch = launches.find_launch(session, computation, epoch)
    if launch.bundle_blob is None:
        raise ServiceError(ErrorCode.NO_EVIDENCE, "the enclave has no evidence yet", got=launch.epoch)
    blobs = caller.platform.blobs
    with blobs.open(launch.bundle_blob) as file:
        size = file.seek(0, 2)
    return send_blob(blobs, launch.bundle_blob, size=size, sha256=None, range_header=None)


@router.post(
    "/computations/{uuid}/deliveries",
    response_model=DeliveryView,
    openapi_extra={"requestBody": {"required": True, **_BINARY}},
)
async def post_delivery(request: Request, caller: ThePoster, uuid: TheUuid) -> DeliveryView:
    """Deliver a key to the waiting enclave, and wait a moment for its answer."""
    raw = b""
    async for piece in gather(request):
        raw += piece
        if len(raw) > DELIVERY_SIZE:
            raise ServiceError(ErrorCode.DELIVERY_LENGTH, "a delivery has one size", expected=DELIVERY_SIZE)
    answer = await run_in_threadpool(_take, caller, uuid, raw)
    number = answer["row"]

    def look() -> DeliveryView | None:
        with caller.reading() as (session, _):
            row = session.get(DeliveryRow, number)
            over = row is not None and (row.answered_at is not None or row.launch.ended_at is not None)
            return _delivery_view(row) if row is not None and over else None

    seen = await _wait_for(look)
    return seen if seen is not None else await run_in_threadpool(_unanswered, caller, number)


@router.post("/computations/{uuid}/refusal", response_model=ComputationView)
async def post_refusal(caller: ThePoster, uuid: TheUuid, body: Reason) -> ComputationView:
    """Refuse the present enclave, with a reason that everybody sees."""
    return await _end(caller, uuid, body, EndRequest(cause=Cause.PARTICIPANT_REFUSED, reason=body.reason))


@router.post("/computations/{uuid}/withdraw", response_model=ComputationView)
async def post_withdraw(
    caller: ThePoster, uuid: TheUuid, body: OptionalReason | None = None
) -> ComputationView:
    """Leave the computation for good: it ends, and the account's uploaded files are removed."""
    reason = body.reason if body else ""
    return await _end(caller, uuid, body, EndRequest(cause=Cause.WITHDRAWN, reason=reason))


@router.post("/computations/{uuid}/cancel", response_model=ComputationView)
async def post_cancel(
    caller: ThePoster, uuid: TheUuid, body: OptionalReason | None = None
) -> ComputationView:
    """End the computation for good, also a run that has begun. The owner's alone."""
    reason = body.reason if body else ""
    return await _end(caller, uuid, body, EndRequest(cause=Cause.CANCELLED, reason=reason))


@router.post("/computations/{uuid}/relaunch", response_model=ComputationView)
def post_relaunch(caller: ThePoster, uuid: TheUuid) -> Answer:
    """Launch again after a refusal, an expiry, a failure or a success. The owner's alone."""
    platform = caller.platform

    def relaunch(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        launches.relaunch(session, platform, computation, account, now=platform.now())
        return computation_view(computation, account)

    return caller.once_on(uuid, (), relaunch)


@router.post("/computations/{uuid}/archive", response_model=ComputationView)
def post_archive(caller: ThePoster, uuid: TheUuid) -> Answer:
    """Archive an ended computation: receipts and results stay, input files are removed. The owner's alone."""
    platform = caller.platform
    removed: list[str] = []

    def archive(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        removed.extend(computations.archive_computation(session, computation, account, now=platform.now()))
        return computation_view(computation, account)

    answer = caller.once_on(uuid, (), archive)
    for name in removed:
        platform.blobs.delete(name)
    return answer


def _take(caller: Poster, uuid: UUID, raw: bytes) -> Answer:
    class _Kept(BaseModel):
        row: int

    def take(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        row = deliveries.take_delivery(session, computation, account, raw, now=caller.platform.now())
        session.flush()
        return _Kept(row=row.id)

    return caller.once_on(uuid, (raw,), take)


def _unanswered(caller: Caller, number: object) -> DeliveryView:
    with caller.reading() as (session, _):
        return _delivery_view(session.get_one(DeliveryRow, number))


def _delivery_view(row: DeliveryRow) -> DeliveryView:
    status = deliveries.delivery_status(row)
    return DeliveryView(
        slot=status.slot, number=status.number, admitted=status.admitted, refused=status.refused
    )


async def _end(caller: Poster, uuid: UUID, body: BaseModel | None, wanted: EndRequest) -> ComputationView:
    def ask(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        launches.ask_to_end(
            session, computation, who_is(computation, account), wanted, now=caller.platform.now()
        )
        return computation_view(computation, account)

    def look() -> ComputationView | None:
        view = _view(caller, uuid)
        return None if any(launch.ending for launch in view.launches) else view

    await run_in_threadpool(caller.once_on, uuid, body_parts(body), ask)
    seen = await _wait_for(look)
    return seen if seen is not None else await run_in_threadpool(_view, caller, uuid)


def _view(caller: Caller, uuid: UUID) -> ComputationView:
    with caller.reading() as (session, account):
        return computation_view(find_computation(session, uuid, account), account)


async def _wait_for(look: Callable[[], _Seen | None]) -> _Seen | None:
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        seen = await run_in_threadpool(look)
        if seen is not None:
            return seen
        await asyncio.sleep(_LOOK_SECONDS)
    return None
