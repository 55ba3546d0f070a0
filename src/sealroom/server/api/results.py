"""Routes: receipts, logs and sealed results."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response

from sealroom.core.wire.byte_fields import MAX_NUMBER
from sealroom.server.api.caller import Caller, TheCaller, TheUuid
from sealroom.server.api.models import ResultList, ResultView
from sealroom.server.api.streaming import send_blob
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import find_computation
from sealroom.server.services import results

router = APIRouter(tags=["results"])

Epoch = Annotated[
    int | None, Query(ge=1, le=MAX_NUMBER, description="a launch; without it, the latest that has one")
]
Range = Annotated[str | None, Header()]
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_JSON = {"content": {"application/json": {"schema": {"type": "object"}}}}


@router.get("/computations/{uuid}/receipt", response_class=Response, responses={200: _JSON})
def get_receipt(caller: TheCaller, uuid: TheUuid, epoch: Epoch = None) -> Response:
    """Give what an enclave signed: opening and closing, or a refusal."""
    with caller.reading() as (session, account):
        receipt = results.find_receipt(session, find_computation(session, uuid, account), epoch)
    return Response(receipt.to_bytes(), media_type="application/json")


@router.get("/computations/{uuid}/log", response_class=Response, responses={200: _BINARY})
def get_log(caller: TheCaller, uuid: TheUuid, epoch: Epoch = None) -> Response:
    """Give the sealed log of a run."""
    return _log_part(caller, uuid, epoch, keys=False)


@router.get("/computations/{uuid}/log-keys", response_class=Response, responses={200: _BINARY})
def get_log_keys(caller: TheCaller, uuid: TheUuid, epoch: Epoch = None) -> Response:
    """Give the log's key, sealed to each reader, or in the clear where the log is public."""
    return _log_part(caller, uuid, epoch, keys=True)


@router.get("/computations/{uuid}/results")
def list_results(caller: TheCaller, uuid: TheUuid, epoch: Epoch = None) -> ResultList:
    """List the sealed results of a run."""
    with caller.reading() as (session, account):
        run = results.find_run(session, find_computation(session, uuid, account), epoch)
        rows = [
            ResultView(
                consumer=row.consumer, index=row.place, name=row.name, size=row.size, sha256=row.sha256.hex()
            )
            for row in run.results
        ]
        return ResultList(epoch=run.launch.epoch, results=rows)


@router.get(
    "/computations/{uuid}/results/{consumer}/{place}",
    response_class=Response,
    responses={200: _BINARY, 206: _BINARY},
)
def get_result(
    caller: TheCaller, uuid: TheUuid, consumer: int, place: int, epoch: Epoch = None, range: Range = None
) -> Response:
    """Give one sealed result to its consumer; a `Range` header continues a download."""
    with caller.reading() as (session, account):
        computation = find_computation(session, uuid, account)
        run = results.find_run(session, computation, epoch)
        row = results.find_result(computation, account, run, consumer=consumer, place=place)
    return send_blob(caller.platform.blobs, row.blob, size=row.size, sha256=row.sha256, range_header=range)


def _log_part(caller: Caller, uuid: UUID, epoch: int | None, *, keys: bool) -> Response:
    with caller.reading() as (session, account):
        run = results.find_run(session, find_computation(session, uuid, account), epoch)
    blob = run.log_keys_blob if keys else run.log_blob
    if blob is None:
        raise ServiceError(ErrorCode.NO_LOG, "no log left the enclave")
    blobs = caller.platform.blobs
    with blobs.open(blob) as file:
        size = file.seek(0, 2)
    return send_blob(blobs, blob, size=size, sha256=None, range_header=None)
