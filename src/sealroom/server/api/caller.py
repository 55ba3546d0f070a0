"""Who calls, and how a route gets at the platform: the one place that reads the request's headers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Header, Path, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from sealroom.core.wire.terms import parse_computation
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.idempotency import Answer, RepeatableRequest, parse_key, perform_once, request_digest
from sealroom.server.lifecycle import find_computation
from sealroom.server.platform import Platform
from sealroom.server.schema import Account, ComputationRow
from sealroom.server.services.accounts import find_account

ANONYMOUS = "anonymous"


class Work(Protocol):
    """What a POST does once it is known who asks for it and that it did not happen yet."""

    def __call__(self, session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        """Do it inside the transaction and say what to answer."""


class Caller:
    """One authenticated request. Nothing is read from the database before a route asks for it."""

    def __init__(self, platform: Platform, request: Request, token: str, key: str | None) -> None:
        self.platform = platform
        self._request = request
        self._token = token
        self._key = key

    @contextmanager
    def reading(self) -> Iterator[tuple[Session, Account]]:
        """Give a session to read from, and the account."""
        with self.platform.store.read() as session:
            yield session, find_account(session, self._token)

    @contextmanager
    def writing(self) -> Iterator[tuple[Session, Account]]:
        """Give a transaction for a request that repeats harmlessly by itself (PUT, DELETE)."""
        with self.platform.store.write() as session:
            yield session, find_account(session, self._token)

    def repeatable(self, *parts: bytes) -> RepeatableRequest:
        """Name this POST by its Idempotency-Key and by everything it says."""
        key = parse_key(self._key)
        with self.reading() as (_, account):
            scope = str(account.id)
        return RepeatableRequest(
            scope=scope, key=key, digest=request_digest(self._request.method, self._request.url.path, *parts)
        )

    def once(self, request: RepeatableRequest, operation: Callable[[Session, Account], BaseModel]) -> Answer:
        """Do a POST once, in one transaction; repeated, it is answered as before."""

        def run(session: Session) -> Answer:
            answer: dict[str, Any] = operation(session, find_account(session, self._token)).model_dump(
                mode="json"
            )
            return answer

        answer = perform_once(self.platform.store, request, run)
        self.platform.wake.set()
        return answer

    def once_on(self, uuid: UUID, parts: tuple[bytes, ...], work: Work) -> Answer:
        """Do a POST on a computation once, with its row locked."""

        def run(session: Session, account: Account) -> BaseModel:
            return work(session, account, find_computation(session, uuid, account, lock=True))

        return self.once(self.repeatable(*parts), run)


def body_parts(model: BaseModel | None) -> tuple[bytes, ...]:
    """Return what identifies a JSON body, whatever its white space and order of members."""
    return () if model is None else (json.dumps(model.model_dump(mode="json"), sort_keys=True).encode(),)


def get_platform(request: Request) -> Platform:
    """Find the platform that the application was made with."""
    platform = request.app.state.platform
    if not isinstance(platform, Platform):
        raise TypeError("the application was made without a platform")
    return platform


def get_caller(
    request: Request,
    platform: Annotated[Platform, Depends(get_platform)],
    authorization: Annotated[str | None, Header()] = None,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Caller:
    """Read the bearer token; whether it belongs to anybody is asked with the first transaction."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise ServiceError(
            ErrorCode.UNAUTHORIZED, "expected a header Authorization: Bearer with this server's token"
        )
    return Caller(platform, request, token, idempotency_key)


def get_uuid(uuid: Annotated[str, Path(description="the computation")]) -> UUID:
    """Read the computation's UUID in its one spelling."""
    return parse_computation(uuid)


ThePlatform = Annotated[Platform, Depends(get_platform)]
TheCaller = Annotated[Caller, Depends(get_caller)]
TheUuid = Annotated[UUID, Depends(get_uuid)]
