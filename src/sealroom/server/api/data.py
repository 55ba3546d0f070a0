"""Routes: the Data Providers' sealed files."""

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from sqlalchemy.orm import Session

from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.server.api.caller import Caller, TheCaller, ThePoster, TheUuid, body_parts
from sealroom.server.api.models import DataDone, DataView, InputView, NewUpload, ProviderDataView, UploadView
from sealroom.server.api.streaming import PartialFile, append_piece
from sealroom.server.api.views import upload_view
from sealroom.server.idempotency import Answer
from sealroom.server.lifecycle import find_computation
from sealroom.server.schema import Account, ComputationRow, ParticipantRow
from sealroom.server.services import data
from sealroom.server.services.data import UploadTarget
from sealroom.server.states import Actor

router = APIRouter(tags=["data"])

OCTETS = "application/octet-stream"


@router.post("/computations/{uuid}/data", status_code=201, response_model=UploadView)
def post_upload(caller: ThePoster, uuid: TheUuid, body: NewUpload) -> Answer:
    """Announce a file; the answer says where to continue when it is already partly here."""
    platform = caller.platform
    file = InputFile(name=body.name, size=body.size, sha256=bytes.fromhex(body.sha256))

    def begin(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        upload = data.begin_upload(session, platform, computation, account, file, now=platform.now())
        if upload.size == 0:
            with platform.blobs.continue_partial(upload.id) as empty:
                platform.blobs.flush(empty)
            data.complete_upload(upload, platform.blobs, sha256(b""), now=platform.now())
        return upload_view(upload, platform.blobs)

    return caller.once_on(uuid, body_parts(body), begin)


@router.get("/computations/{uuid}/data")
def get_data(caller: TheCaller, uuid: TheUuid) -> DataView:
    """Show every Data Provider's declared list; and to a Data Provider their own uploads."""
    with caller.reading() as (session, account):
        rows = find_computation(session, uuid, account).participants
        providers = [row for row in rows if row.role == Actor.DATA_PROVIDER.value]
        return DataView(providers=[_provider_view(caller, row, account) for row in providers])


@router.get("/computations/{uuid}/data/{upload}")
def get_upload(caller: TheCaller, uuid: TheUuid, upload: str) -> UploadView:
    """Say how far one of the account's own uploads is."""
    with caller.reading() as (session, account):
        row = data.find_upload(find_computation(session, uuid, account), account, upload)
        return upload_view(row, caller.platform.blobs)


@router.put(
    "/computations/{uuid}/data/{upload}",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_piece(
    request: Request, caller: TheCaller, uuid: TheUuid, upload: str, offset: int = Query(ge=0)
) -> UploadView:
    """Continue an upload at `offset`, which must be what has been received; the last byte completes it."""
    target = await run_in_threadpool(_target, caller, uuid, upload)
    if not target.completed:
        piece_of = PartialFile(name=target.name, size=target.size)
        await append_piece(request, caller.platform.blobs, piece_of, offset)
    return await run_in_threadpool(_finish_if_whole, caller, uuid, upload)


@router.delete("/computations/{uuid}/data/{upload}", status_code=204)
def delete_upload(caller: TheCaller, uuid: TheUuid, upload: str) -> None:
    """Forget one of the account's own uploads, whole or not."""
    with caller.writing() as (session, account):
        computation = find_computation(session, uuid, account, lock=True)
        blob = data.drop_upload(session, computation, account, upload, now=caller.platform.now())
    caller.platform.blobs.delete(blob)


@router.post("/computations/{uuid}/data/done", response_model=ProviderDataView)
def post_done(caller: ThePoster, uuid: TheUuid, body: DataDone) -> Answer:
    """Declare the account's files complete, in the order that its delivery commits to."""
    files = InputList(
        files=tuple(InputFile(name=f.name, size=f.size, sha256=bytes.fromhex(f.sha256)) for f in body.files)
    )

    def declare(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        data.declare_done(session, computation, account, files, now=caller.platform.now())
        return _provider_view(caller, data.data_provider(computation, account), account)

    return caller.once_on(uuid, body_parts(body), declare)


def _target(caller: Caller, uuid: TheUuid, name: str) -> UploadTarget:
    with caller.reading() as (session, account):
        computation = find_computation(session, uuid, account)
        upload = data.find_upload(computation, account, name)
        if upload.completed_at is None:
            data.check_may_send(computation, account)
        return UploadTarget(name=upload.id, size=upload.size, completed=upload.completed_at is not None)


def _finish_if_whole(caller: Caller, uuid: TheUuid, name: str) -> UploadView:
    blobs = caller.platform.blobs
    target = _target(caller, uuid, name)
    whole = not target.completed and blobs.partial_size(name) == target.size
    digest = blobs.digest_partial(name) if whole else None
    with caller.writing() as (session, account):
        upload = data.find_upload(find_computation(session, uuid, account), account, name)
        if digest is not None:
            data.complete_upload(upload, blobs, digest, now=caller.platform.now())
        return upload_view(upload, blobs)


def _provider_view(caller: Caller, row: ParticipantRow, account: Account) -> ProviderDataView:
    own = row.email == account.email
    return ProviderDataView(
        provider=row.position,
        email=row.email,
        done_at=row.data_done_at,
        files=[InputView(name=f.name, size=f.size, sha256=f.sha256.hex()) for f in data.done_list(row).files],
        uploads=[upload_view(upload, caller.platform.blobs) for upload in row.uploads] if own else None,
    )
