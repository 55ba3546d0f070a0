"""httpx over proven connections: what is sent goes to one service, whose enclave was verified.

Must never follow the environment's proxies, nor answer for another place.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore
import httpx

from sealroom.client.service.calling.backend import Origin, ProvenBackend
from sealroom.client.service.calling.judging import Judge
from sealroom.core.errors import TransportError

MAX_CONNECTIONS = 16
_KEPT_SECONDS = 60.0

_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
)
_MAPPED = tuple(kind for kind, _ in _ERRORS)


def proven_pool(origin: Origin, judge: Judge) -> httpcore.ConnectionPool:
    """Return a pool of connections to `origin`, each proven when it is made."""
    return httpcore.ConnectionPool(
        max_connections=MAX_CONNECTIONS,
        keepalive_expiry=_KEPT_SECONDS,
        network_backend=ProvenBackend(origin, judge),
        # Never used, and given all the same: without one httpcore reads all authorities for each connection.
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )


class ProvenTransport(httpx.BaseTransport):
    """Sends requests to one origin over proven connections; anything else is a `TransportError`."""

    def __init__(self, origin: Origin, judge: Judge) -> None:
        self._origin = origin
        self._pool = proven_pool(origin, judge)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        url = request.url
        place = (url.scheme, url.raw_host.decode("ascii"), url.port or 443)
        if place != ("https", self._origin.host, self._origin.port):
            raise TransportError(f"this client talks to https://{self._origin.authority} alone")
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("a request's body is read synchronously here")
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(sent)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except _MAPPED as exc:
        mapped = next(there for here, there in _ERRORS if isinstance(exc, here))
        raise mapped(str(exc)) from exc
