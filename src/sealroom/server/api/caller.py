"""Who calls, and how a route gets at the platform: the one place that reads the request's headers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
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
_bearer = HTTPBearer(auto_error=False, description="the token of an account of this server")


class Work(Protocol):
    """What a POST does once it is known who asks for it and that it did not happen yet."""

    def __call__(self, session: Session, account: Account, computation: ComputationRow) -> BaseModel:
        """Do it inside the transaction and say what to answer."""


class Caller:
    """One authenticated request. Nothing is read from the database before a route asks for it."""

    def __init__(self, platform: Platform, request: Request, token: str) -> None:
        self.platform = platform
        self.request = request
        self.token = token

    @contextmanager
    def reading(self) -> Iterator[tuple[Session, Account]]:
        """Give a session to read from, and the account."""
        with self.platform.store.read() as session:
            yield session, self.account(session)

    @contextmanager
    def writing(self) -> Iterator[tuple[Session, Account]]:
        """Give a transaction for a request that repeats harmlessly by itself (PUT, DELETE)."""
        with self.platform.store.write() as session:
            yield session, self.account(session)

    def account(self, session: Session) -> Account:
        """Say whose token it is, or refuse."""
        return find_account(session, self.token)


class Poster(Caller):
    """One authenticated POST, which takes effect once however often it is repeated."""

    def __init__(self, caller: Caller, key: UUID) -> None:
        super().__init__(caller.platform, caller.request, caller.token)
        self._key = key

    def repeatable(self, *parts: bytes) -> RepeatableRequest:
        """Name this POST by its Idempotency-Key and by everything it says."""
        with self.reading() as (_, account):
            scope = str(account.id)
        digest = request_digest(self.request.method, self.request.url.path, *parts)
        return RepeatableRequest(scope=scope, key=self._key, digest=digest)

    def once(self, request: RepeatableRequest, operation: Callable[[Session, Account], BaseModel]) -> Answer:
        """Do it once, in one transaction; repeated, it is answered as before."""

        def run(session: Session) -> Answer:
            answer: dict[str, Any] = operation(session, self.account(session)).model_dump(mode="json")
            return answer

        answer = perform_once(self.platform.store, request, run)
        self.platform.wake.set()
        return answer

    def once_on(self, uuid: UUID, parts: tuple[bytes, ...], work: Work) -> Answer:
        """Do it once on a computation, with its row locked."""

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
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Read the bearer token; whether it belongs to anybody is asked with the first transaction."""
    if credentials is None:
        raise ServiceError(
            ErrorCode.UNAUTHORIZED, "expected a header Authorization: Bearer with this server's token"
        )
    return Caller(platform, request, credentials.credentials)


def get_key(
    idempotency_key: Annotated[str, Header(description="a version 4 UUID, a new one for every new request")],
) -> UUID:
    """Read the key under which a POST may be repeated."""
    return parse_key(idempotency_key)


def get_poster(
    caller: Annotated[Caller, Depends(get_caller)], key: Annotated[UUID, Depends(get_key)]
) -> "Poster":
    """Put the two together."""
    return Poster(caller, key)


def get_uuid(uuid: Annotated[str, Path(description="the computation")]) -> UUID:
    """Read the computation's UUID in its one spelling."""
    return parse_computation(uuid)


ThePlatform = Annotated[Platform, Depends(get_platform)]
TheCaller = Annotated[Caller, Depends(get_caller)]
ThePoster = Annotated[Poster, Depends(get_poster)]
TheKey = Annotated[UUID, Depends(get_key)]
TheUuid = Annotated[UUID, Depends(get_uuid)]
