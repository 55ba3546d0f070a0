"""What came out of a launch: receipt, log and sealed results, as they left the enclave."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from sealroom.core.wire.dsse_verification import parse_envelope
from sealroom.core.wire.receipt_file import Receipt
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import find_participant
from sealroom.server.schema import Account, ComputationRow, Launch, ResultRow, Run
from sealroom.server.services.launches import find_launch
from sealroom.server.states import Actor


def find_receipt(session: Session, computation: ComputationRow, epoch: int | None) -> Receipt:
    """Return what the enclave of an epoch signed; without an epoch, of the latest that signed anything."""
    launches = [find_launch(session, computation, epoch)] if epoch is not None else computation.launches[::-1]
    for launch in launches:
        receipt = _receipt(launch)
        if receipt is not None:
            return receipt
    raise ServiceError(ErrorCode.NO_RECEIPT, "no enclave of this computation has signed anything yet")


def find_run(session: Session, computation: ComputationRow, epoch: int | None) -> Run:
    """Return the run of an epoch; without an epoch, the latest run."""
    launches = [find_launch(session, computation, epoch)] if epoch is not None else computation.launches[::-1]
    for launch in launches:
        if launch.run is not None:
            return launch.run
    raise ServiceError(ErrorCode.NO_RECEIPT, "there was no run yet")


def list_results(run: Run) -> Sequence[ResultRow]:
    """Return a run's results in the order of consumer and writing."""
    return run.results


def find_result(
    computation: ComputationRow, account: Account, run: Run, *, consumer: int, place: int
) -> ResultRow:
    """Return one result for its own consumer; anybody else is refused."""
    own = find_participant(computation, account, Actor.RESULT_CONSUMER)
    if own.position != consumer:
        raise ServiceError(
            ErrorCode.WRONG_ROLE, "these results are another consumer's", got=own.position, expected=consumer
        )
    for row in run.results:
        if (row.consumer, row.place) == (consumer, place):
            return row
    raise ServiceError(ErrorCode.UNKNOWN_RESULT, "no such result", got=place)


def _receipt(launch: Launch) -> Receipt | None:
    if launch.run is not None:
        closing = launch.run.closing
        return Receipt(
            opening=parse_envelope(launch.run.opening),
            closing=parse_envelope(closing) if closing is not None else None,
        )
    return Receipt(refusal=parse_envelope(launch.refusal)) if launch.refusal is not None else None
