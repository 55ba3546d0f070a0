"""The ASGI application: routes, the mapping of errors to bodies, and a bound on JSON bodies."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from sealroom import __version__
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.server.api import accounts, code, computations, data, enclaves, results, wheels
from sealroom.server.api.models import ErrorAnswer
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.idempotency import NO_KEY
from sealroom.server.platform import Platform

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_STATUSES = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
}


def create_app(platform: Platform) -> FastAPI:
    """Make the application over a platform that is open already."""
    app = FastAPI(
        title="sealroom",
        version=__version__,
        description="The untrusted platform server of sealroom computations.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": ErrorAnswer, "description": "Refused; `error.code` is stable."}},
    )
    app.state.platform = platform
    api = APIRouter(prefix="/v1")
    for module in (accounts, computations, code, data, enclaves, results, wheels):
        api.include_router(module.router)
    app.include_router(api)
    _answer_errors(app)
    app.add_middleware(JsonBodyLimit, max_bytes=platform.config.limits.max_json_bytes)
    return app


class JsonBodyLimit:
    """Stop reading a JSON body beyond its bound; the streaming routes bound their bodies themselves."""

    def __init__(self, app: Application, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives."""
        if scope["type"] != "http" or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        received = 0

        async def counting() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, counting, send)


def _is_json(scope: Scope) -> bool:
    path = scope["path"]
    return not (scope["method"] == "PUT" or (scope["method"] == "POST" and path.endswith("/code")))


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(ServiceError)
    async def refused(request: Request, exc: ServiceError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if exc.code is ErrorCode.UNAUTHORIZED else None
        return JSONResponse(exc.body(), status_code=exc.code.status, headers=headers)

    @app.exception_handler(MalformedError)
    async def malformed(request: Request, exc: MalformedError) -> JSONResponse:
        return _answer(ErrorCode.MALFORMED, str(exc))

    @app.exception_handler(VerificationError)
    async def not_believed(request: Request, exc: VerificationError) -> JSONResponse:
        return _answer(ErrorCode.MALFORMED, str(exc))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        if {("header", "idempotency-key")} == {error["loc"] for error in exc.errors()}:
            return _answer(ErrorCode.IDEMPOTENCY_KEY, NO_KEY)
        # Where and why, never the value: a token sent in the wrong place must not come back.
        problems = [
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()
        ]
        error = ServiceError(
            ErrorCode.MALFORMED, "; ".join(problems[:5]), details={"problems": problems[:50]}
        )
        return JSONResponse(error.body(), status_code=error.code.status)

    @app.exception_handler(StarletteHTTPException)
    async def other(request: Request, exc: StarletteHTTPException) -> JSONResponse:
        return _answer(_STATUSES.get(exc.status_code, ErrorCode.MALFORMED), _words(exc))

    @app.exception_handler(Exception)
    async def internal(request: Request, exc: Exception) -> JSONResponse:
        return _answer(ErrorCode.INTERNAL, "the server failed; its log says more")


def _words(exc: StarletteHTTPException) -> str:
    return str(exc.detail).lower().rstrip(".") or "refused"


def _answer(code: ErrorCode, message: str) -> JSONResponse:
    return JSONResponse(ServiceError(code, message).body(), status_code=code.status)
