"""A POST repeated with its key takes effect once; another request with that key is refused.

The key's row is written in the transaction of the effect, so a crash leaves both or neither. A refusal had no
effect and is not kept: the same request is judged again. Spec: docs/spec/api.md (repeating a request).
"""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.schema import IdempotencyKey
from sealroom.server.store import Store

Answer = dict[str, object]
NO_KEY = "every POST needs a header Idempotency-Key with a version 4 UUID"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatableRequest:
    """What makes two requests the same one: who asked (`scope`), under which key, and exactly what."""

    scope: str
    key: uuid.UUID
    digest: bytes

    @property
    def key_sha256(self) -> bytes:
        """The form of the key that is kept."""
        return hashlib.sha256(self.key.bytes).digest()


def parse_key(text: str) -> uuid.UUID:
    """Read the `Idempotency-Key` header: a version 4 UUID in its usual form."""
    try:
        key = uuid.UUID(text)
    except ValueError as exc:
        raise ServiceError(ErrorCode.IDEMPOTENCY_KEY, NO_KEY) from exc
    if key.version != 4 or str(key) != text.lower():
        raise ServiceError(ErrorCode.IDEMPOTENCY_KEY, NO_KEY)
    return key


def request_digest(method: str, path: str, *parts: bytes) -> bytes:
    """Hash a request: method, path and each part of what was sent, length-prefixed."""
    digest = hashlib.sha256(b"sealroom/v1/request\0")
    for part in (method.encode(), path.encode(), *parts):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def perform_once(store: Store, request: RepeatableRequest, operation: Callable[[Session], Answer]) -> Answer:
    """Run `operation` in a transaction, or give the answer it gave when this very request came before."""
    while True:
        with store.write() as session:
            stored = _stored_answer(session, request)
            if stored is not None:
                return stored
            row = IdempotencyKey(
                scope=request.scope,
                key_sha256=request.key_sha256,
                request_sha256=request.digest,
                answer={},
                created_at=datetime.now(UTC),
            )
            try:
                # Where transactions run side by side, a concurrent duplicate waits here for the first one.
                with session.begin_nested():
                    session.add(row)
            except IntegrityError:
                continue
            row.answer = operation(session)
            return row.answer


def _stored_answer(session: Session, request: RepeatableRequest) -> Answer | None:
    row = session.scalars(
        select(IdempotencyKey).where(
            IdempotencyKey.scope == request.scope, IdempotencyKey.key_sha256 == request.key_sha256
        )
    ).first()
    if row is None:
        return None
    if row.request_sha256 != request.digest:
        raise ServiceError(
            ErrorCode.IDEMPOTENCY_KEY_REUSED,
            "this Idempotency-Key was used for another request; make a new one",
        )
    return row.answer
