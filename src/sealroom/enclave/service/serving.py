"""The application under uvicorn, each connection behind our TLS and our challenge.

Three seams of uvicorn's are relied upon: the constructors of its two protocols, their attribute `app`, and
what httptools calls on it. Must never let the application see a challenge, nor log a part of a request.
Spec: docs/spec/services.md.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from sealroom.core.wire.channel import CHALLENGE_PATH
from sealroom.core.wire.service_arguments import Interface
from sealroom.enclave.service.challenge import Challenges
from sealroom.enclave.service.connection import Channel, TlsConnection
from sealroom.enclave.service.meters import Meters, Send
from sealroom.enclave.service.tls import ServerTls

GRACEFUL_SECONDS = 30
WSGI_THREADS = 16
MAX_HEAD_BYTES = 64 * 1024
_HTTP = "http"

Application = Callable[..., Awaitable[None]]


class Serving:
    """Serves one application until `stop`. `tls` is `None` behind a proxy that does it."""

    def __init__(self, application: Application, *, tls: ServerTls | None, challenges: Challenges) -> None:
        self._tls = tls
        self._challenges = challenges
        self._config = uvicorn.Config(
            application,
            # A class, for uvicorn; all that it does with it is to call it.
            http=self._connection,  # type: ignore[arg-type]
            ws=_Websocket,
            loop="asyncio",
            lifespan="auto",
            log_config=None,
            access_log=False,
            server_header=False,
            # Behind a proxy, whose the connection is, its word is all there is.
            proxy_headers=tls is None,
            forwarded_allow_ips="*",
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
        self._server = _Server(self._config)
        self.meters = Meters(open_connections=lambda: len(self._server.server_state.connections))

    @property
    def started(self) -> asyncio.Event:
        """Set when connections are taken."""
        return self._server.listening

    async def run(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on `sockets`, which listen, and return when the last request was answered.

        Raises `SystemExit` where the application says that it cannot start.
        """
        await self._server.serve(sockets=list(sockets))

    def stop(self) -> None:
        """Take no more connections, and let those that are open finish their requests."""
        self._server.should_exit = True

    def _connection(self, **uvicorns: Any) -> asyncio.BaseProtocol:  # noqa: ANN401 - uvicorn's arguments
        if self._tls is None:
            return self._protocol(uvicorns, None)
        return TlsConnection(self._tls.context, partial(self._protocol, uvicorns))

    def _protocol(self, uvicorns: dict[str, Any], channel: Channel | None) -> asyncio.Protocol:
        protocol = _BoundedHttp(**uvicorns)
        protocol.app = _Challenged(protocol.app, self, channel)
        return protocol

    async def answer_challenge(self, scope: dict[str, Any], send: Send, channel: Channel | None) -> None:
        """Answer a challenge in place of the application."""
        answer = await self._challenges.answer(
            method=scope["method"].encode(),
            query=scope["query_string"],
            channel=channel,
            key_info=b"" if self._tls is None else self._tls.key_info,
        )
        headers = [(b"content-length", b"%d" % len(answer.body)), *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


class _BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, with an end to a head and to trailers: httptools joins their parts without one."""

    _unread = 0
    _progress = False

    def data_received(self, data: bytes) -> None:
        """Take octets of the client's; so many that are part of nothing whole yet end the connection."""
        self._progress = False
        super().data_received(data)
        self._unread = 0 if self._progress else self._unread + len(data)
        if self._unread <= MAX_HEAD_BYTES or self.transport.is_closing():
            return
        # `None` before the first request, whatever uvicorn's annotation says.
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self.send_400_response("The head of this request is too large.")
        else:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._progress = True
        super().on_message_complete()


class _Challenged:
    """The application, as one connection's protocol calls it: challenges are not passed on."""

    __slots__ = ("_application", "_channel", "_serving")

    def __init__(self, application: Any, serving: Serving, channel: Channel | None) -> None:  # noqa: ANN401
        self._application = application
        self._serving = serving
        self._channel = channel

    # No coroutine of its own: what is called once a request returns the application's.
    def __call__(self, scope: dict[str, Any], receive: object, send: Send) -> Awaitable[None]:
        if scope["type"] == _HTTP:
            if scope["path"] == CHALLENGE_PATH:
                return self._serving.answer_challenge(scope, send, self._channel)
            send = self._serving.meters.counting(send)
        awaitable: Awaitable[None] = self._application(scope, receive, send)
        return awaitable


class _Websocket(WebSocketsSansIOProtocol):
    """uvicorn's protocol of websockets: none is opened where challenges are answered."""

    def __init__(self, **uvicorns: Any) -> None:  # noqa: ANN401 - uvicorn's arguments
        super().__init__(**uvicorns)
        application: Any = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's arguments
            if scope["path"] == CHALLENGE_PATH:
                # Answered with 403.
                await send({"type": "websocket.close"})
            else:
                await application(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it takes connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.listening.set()


def as_asgi(application: Any, interface: Interface) -> Application:  # noqa: ANN401 - what a module has
    """Return the application as uvicorn calls it."""
    if interface is Interface.ASGI:
        asgi: Application = application
        return asgi
    # Imported for those who need it.
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(application, workers=WSGI_THREADS)
