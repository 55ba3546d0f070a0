"""Routes: the Code Provider's program."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from sealroom.core.wire.byte_fields import SIGNATURE_SIZE, parse_hex
from sealroom.core.wire.terms import Tee
from sealroom.server.api.caller import Caller, Poster, TheCaller, ThePoster, TheUuid
from sealroom.server.api.models import CodeListView, ComputationView
from sealroom.server.api.streaming import receive_into
from sealroom.server.api.views import computation_view
from sealroom.server.blobs import Blob, BlobStore
from sealroom.server.errors import ServiceError
from sealroom.server.idempotency import Answer
from sealroom.server.lifecycle import find_computation
from sealroom.server.schema import Account, ComputationRow
from sealroom.server.services import code as codes
from sealroom.server.services import wheels

router = APIRouter(tags=["code"])

TAR = "application/x-tar"


@router.post(
    "/computations/{uuid}/code",
    status_code=201,
    response_model=ComputationView,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {TAR: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def post_code(
    request: Request, caller: ThePoster, uuid: TheUuid, sealroom_code_signature: Annotated[str, Header()]
) -> Answer:
    """Send the program: a plain tar, with the signature over its list of files."""
    signature = parse_hex(sealroom_code_signature, field="Sealroom-Code-Signature", size=SIGNATURE_SIZE)
    await run_in_threadpool(_check_sender, caller, uuid)
    # Headers and padding of a tar: two blocks a file, and its end.
    limits = caller.platform.config.limits
    most = limits.max_code_bytes + 2048 * limits.max_code_files + 64 * 1024
    archive = await receive_into(request, caller.platform.blobs, max_bytes=most)
    try:
        return await run_in_threadpool(_take, caller, uuid, archive, signature)
    finally:
        caller.platform.blobs.delete(archive.name)


@router.get(
    "/computations/{uuid}/code",
    response_class=StreamingResponse,
    responses={200: {"content": {TAR: {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_code(caller: TheCaller, uuid: TheUuid) -> StreamingResponse:
    """Give the newest program out as a tar: run.py in the clear, the rest sealed."""
    with caller.reading() as (session, account):
        code = codes.newest_code(find_computation(session, uuid, account))
    return StreamingResponse(codes.stream_archive(code, caller.platform.blobs), media_type=TAR)


@router.get("/computations/{uuid}/code/list")
def get_code_list(caller: TheCaller, uuid: TheUuid) -> CodeListView:
    """Show the signed list of the newest program's files."""
    with caller.reading() as (session, account):
        code = codes.newest_code(find_computation(session, uuid, account))
    files = [(row.path, row.size, row.sha256.hex()) for row in code.files]
    return CodeListView(files=files, signature=code.signature.hex())


def _check_sender(caller: Caller, uuid: TheUuid) -> None:
    with caller.reading() as (session, account):
        codes.check_sender(find_computation(session, uuid, account), account)


def _take(caller: Poster, uuid: TheUuid, archive: Blob, signature: bytes) -> Answer:
    platform = caller.platform
    repeatable = caller.repeatable(archive.sha256, signature)
    with platform.blobs.open(archive.name) as source:
        unpacked = codes.unpack(source, platform.blobs, platform.config.limits)
    kept = False
    try:
        _check_wheels(caller, uuid, unpacked)
    except ServiceError:
        _discard(unpacked, platform.blobs)
        raise

    def add(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        nonlocal kept
        version = codes.add_code(
            session, platform, computation, account, unpacked, signature, now=platform.now()
        )
        kept = version.files[0].blob == unpacked.blobs[0].name
        return computation_view(computation, account)

    try:
        return caller.once(
            repeatable,
            lambda session, account: add(
                session, account, find_computation(session, uuid, account, lock=True)
            ),
        )
    finally:
        if not kept:
            _discard(unpacked, platform.blobs)


def _check_wheels(caller: Caller, uuid: TheUuid, unpacked: codes.UnpackedCode) -> None:
    """Look into every wheel that the code names; outside of the transaction, because it takes seconds."""
    with caller.reading() as (session, account):
        computation = find_computation(session, uuid, account)
        stored = wheels.stored_wheels(computation, unpacked.requirements)
        tee = Tee(computation.tee)
    wheels.check_wheels(stored, caller.platform.blobs, tee)


def _discard(unpacked: codes.UnpackedCode, blobs: BlobStore) -> None:
    for blob in unpacked.blobs:
        blobs.delete(blob.name)
