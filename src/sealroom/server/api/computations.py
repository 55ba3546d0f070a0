"""Routes: computations, their participants' keys, and how a person ends, repeats or archives one."""

from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from sealroom.core.wire.byte_fields import MAX_NUMBER, parse_choice
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms, parse_computation
from sealroom.server.api.caller import TheCaller, ThePoster, TheUuid, body_parts
from sealroom.server.api.models import (
    ComputationList,
    ComputationView,
    EventList,
    EventView,
    NewComputation,
    NewKey,
)
from sealroom.server.api.views import computation_view
from sealroom.server.idempotency import Answer
from sealroom.server.lifecycle import find_computation
from sealroom.server.schema import Account, ComputationRow, Event
from sealroom.server.services import computations
from sealroom.server.services.computations import KeyRegistration, Proposal
from sealroom.server.states import Actor

router = APIRouter(tags=["computations"])


@router.post("/computations", status_code=201, response_model=ComputationView)
def post_computation(caller: ThePoster, body: NewComputation) -> Answer:
    """Create a computation; the account becomes its owner."""
    platform = caller.platform

    def create(session: Session, account: Account) -> BaseModel:
        proposal = Proposal(terms=_terms(body, owner=account.email), name=body.name)
        computation = computations.create_computation(
            session, platform, account, proposal, now=platform.now()
        )
        return computation_view(computation, account)

    return caller.once(caller.repeatable(*body_parts(body)), create)


@router.get("/computations")
def list_computations(caller: TheCaller) -> ComputationList:
    """List every computation that the account has a part in."""
    with caller.reading() as (session, account):
        rows = computations.list_computations(session, account)
        return ComputationList(computations=[computation_view(row, account) for row in rows])


@router.get("/computations/{uuid}")
def show_computation(caller: TheCaller, uuid: TheUuid) -> ComputationView:
    """Show one computation."""
    with caller.reading() as (session, account):
        return computation_view(find_computation(session, uuid, account), account)


@router.post("/computations/{uuid}/keys", response_model=ComputationView)
def post_key(caller: ThePoster, uuid: TheUuid, body: NewKey) -> Answer:
    """Register the account's public key for one of its roles."""
    platform = caller.platform
    registration = KeyRegistration(role=Actor(body.role.value), public_key=bytes.fromhex(body.public_key))

    def register(session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        computations.register_key(session, platform, computation, account, registration, now=platform.now())
        return computation_view(computation, account)

    return caller.once_on(uuid, body_parts(body), register)


@router.get("/computations/{uuid}/events")
def list_events(
    caller: TheCaller, uuid: TheUuid, after: int = Query(default=-1, ge=-1, le=MAX_NUMBER)
) -> EventList:
    """Show the computation's log, from the event after number `after`."""
    with caller.reading() as (session, account):
        computation = find_computation(session, uuid, account)
        query = select(Event).where(Event.computation_uuid == computation.uuid, Event.number > after)
        return EventList(events=[_event(row) for row in session.scalars(query.order_by(Event.number))])


def _terms(body: NewComputation, *, owner: str) -> Terms:
    computation: UUID = parse_computation(body.computation)
    return Terms(
        tee=parse_choice(Tee, body.tee, field="tee"),
        delivery=parse_choice(DeliveryForm, body.delivery, field="delivery"),
        computation=computation,
        owner=owner,
        code_provider=body.code_provider,
        data_providers=tuple(body.data_providers),
        result_consumers=tuple(body.result_consumers),
        logs=parse_choice(LogRelease, body.logs, field="logs"),
        limits=Limits(
            max_output_bytes=body.max_output_bytes,
            max_log_bytes=body.max_log_bytes,
            max_seconds=body.max_seconds,
            max_memory=body.max_memory,
        ),
    )


def _event(row: Event) -> EventView:
    return EventView(
        number=row.number,
        at=row.at,
        kind=row.kind,
        by=row.by,
        source=row.source,
        target=row.target,
        epoch=row.epoch,
        details=row.details,
        previous=row.previous.hex(),
        digest=row.digest.hex(),
    )
