"""Routes: the wheels of the packages that the program needs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from sqlalchemy.orm import Session

from sealroom.core.wire.byte_fields import DIGEST_SIZE, parse_hex
from sealroom.server.api.caller import Caller, TheCaller, ThePoster, TheUuid, body_parts
from sealroom.server.api.models import NewWheels, WheelsView, WheelView
from sealroom.server.api.streaming import PartialFile, append_piece, send_blob
from sealroom.server.blobs import BlobStore
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.idempotency import Answer
from sealroom.server.lifecycle import find_computation
from sealroom.server.schema import Account, ComputationRow, WheelRow
from sealroom.server.services import wheels

router = APIRouter(tags=["packages"])

OCTETS = "application/octet-stream"


def get_sha256(sha256: Annotated[str, Path(description="the wheel, by its SHA-256")]) -> bytes:
    """Read a wheel's hash in its one spelling."""
    return parse_hex(sha256, field="sha256", size=DIGEST_SIZE)


TheWheel = Annotated[bytes, Depends(get_sha256)]


@router.post("/computations/{uuid}/wheels", status_code=201, response_model=WheelsView)
def post_wheels(caller: ThePoster, uuid: TheUuid, body: NewWheels) -> Answer:
    """Announce the wheels that the code will need; the answer says where to continue with each."""
    platform = caller.platform
    requirements = wheels.read_requirements(body.requirements.encode())

    def announce(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        wheels.check_may_send(computation, account)
        limits = platform.config.limits
        wheels.announce(session, computation, requirements, body.sizes, limits, now=platform.now())
        named = {requirement.sha256 for requirement in requirements}
        rows = [row for row in computation.wheels if row.sha256 in named]
        return WheelsView(wheels=[_view(row, platform.blobs) for row in rows])

    return caller.once_on(uuid, body_parts(body), announce)


@router.get("/computations/{uuid}/wheels")
def get_wheels(caller: TheCaller, uuid: TheUuid) -> WheelsView:
    """Show every wheel of the computation, and how far it is."""
    with caller.reading() as (session, account):
        rows = find_computation(session, uuid, account).wheels
        return WheelsView(wheels=[_view(row, caller.platform.blobs) for row in rows])


@router.put(
    "/computations/{uuid}/wheels/{sha256}",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_wheel(
    request: Request, caller: TheCaller, uuid: TheUuid, sha256: TheWheel, offset: int = Query(ge=0)
) -> WheelView:
    """Continue a wheel at `offset`, which must be what has been received; the last byte completes it."""
    target = await run_in_threadpool(_target, caller, uuid, sha256)
    if target is not None:
        await append_piece(request, caller.platform.blobs, target, offset)
    return await run_in_threadpool(_finish_if_whole, caller, uuid, sha256)


@router.get(
    "/computations/{uuid}/wheels/{sha256}",
    response_class=Response,
    responses={200: {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_wheel(
    caller: TheCaller, uuid: TheUuid, sha256: TheWheel, range: Annotated[str | None, Header()] = None
) -> Response:
    """Give a wheel to any member; one `Range` of bytes is honoured."""
    with caller.reading() as (session, account):
        row = wheels.find_wheel(find_computation(session, uuid, account), sha256)
    if row.completed_at is None:
        raise ServiceError(ErrorCode.UNKNOWN_WHEEL, "the wheel has not arrived whole", got=sha256.hex())
    return send_blob(caller.platform.blobs, row.id, size=row.size, sha256=sha256, range_header=range)


def _target(caller: Caller, uuid: TheUuid, sha256: bytes) -> PartialFile | None:
    """Return what a piece is appended to, `None` where nothing is missing."""
    with caller.reading() as (session, account):
        computation = find_computation(session, uuid, account)
        wheels.check_may_send(computation, account)
        row = wheels.find_wheel(computation, sha256)
        return None if row.completed_at else PartialFile(name=row.id, size=row.size)


def _finish_if_whole(caller: Caller, uuid: TheUuid, sha256: bytes) -> WheelView:
    blobs = caller.platform.blobs
    target = _target(caller, uuid, sha256)
    whole = target is not None and blobs.partial_size(target.name) == target.size
    digest = blobs.digest_partial(target.name) if target is not None and whole else None
    with caller.writing() as (session, account):
        row = wheels.find_wheel(find_computation(session, uuid, account), sha256)
        if digest is not None:
            wheels.complete_wheel(row, blobs, digest, now=caller.platform.now())
        return _view(row, blobs)


def _view(row: WheelRow, blobs: BlobStore) -> WheelView:
    return WheelView(
        sha256=row.sha256.hex(),
        size=row.size,
        received=wheels.received_bytes(row, blobs),
        completed=row.completed_at is not None,
    )
