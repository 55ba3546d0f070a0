"""The append-only log of a computation: one row a change, each with the hash of the one before.

A participant who kept an earlier hash can tell that the log was rewritten. The chain is the operator's own
word: it binds nobody who controls the whole database from the start. Spec: docs/spec/api.md (events).
"""

import hashlib
import json
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sealroom.server.schema import ComputationRow, Event

LABEL: Final = b"sealroom/v1/event\0"
BEGINNING: Final = bytes(32)


def append_event(
    session: Session,
    computation: ComputationRow,
    *,
    kind: str,
    by: str,
    at: datetime,
    source: str | None,
    details: dict[str, object],
) -> Event:
    """Append one event about the state that `computation` has now; the caller's transaction commits it."""
    last = session.scalars(
        select(Event).where(Event.computation_uuid == computation.uuid).order_by(Event.number.desc()).limit(1)
    ).first()
    event = Event(
        computation_uuid=computation.uuid,
        number=last.number + 1 if last else 0,
        at=at,
        kind=kind,
        by=by,
        source=source,
        target=computation.state,
        epoch=computation.epoch,
        details=details,
        previous=last.digest if last else BEGINNING,
    )
    event.digest = event_digest(event)
    session.add(event)
    session.flush()
    return event


def event_digest(event: Event) -> bytes:
    """Hash an event's fields, with the hash of the one before, as docs/spec/api.md says."""
    body = json.dumps(
        {
            "computation": event.computation_uuid,
            "number": event.number,
            "at": event.at.isoformat(timespec="microseconds"),
            "kind": event.kind,
            "by": event.by,
            "source": event.source,
            "target": event.target,
            "epoch": event.epoch,
            "details": event.details,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    ).encode("ascii")
    return hashlib.sha256(LABEL + event.previous + len(body).to_bytes(4, "big") + body).digest()
