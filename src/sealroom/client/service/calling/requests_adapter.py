"""An adapter for requests: a session that talks to one verified service over proven connections.

Needs the extra [requests], and is loaded for `sealroom.client.open_session` alone. Must never fall back to
requests' own TLS.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import httpcore
import requests
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.models import PreparedRequest, Response
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, HTTPResponse

from sealroom.client.home import Home
from sealroom.client.service.calling.backend import Origin
from sealroom.client.service.calling.connecting import TIMEOUT_SECONDS, origin_of, trust_of
from sealroom.client.service.calling.judging import Judge, Trust
from sealroom.client.service.calling.transport import proven_pool
from sealroom.core.errors import TransportError
from sealroom.core.evidence.policy import Policy


def open_session(
    url: str,
    *,
    policy: Policy,
    evidence: bytes | None = None,
    package: Path | None = None,
    collateral: bytes | None = None,
    own_roots: bytes | None = None,
    home: Home | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    insecure_accept_simulated: bool = False,
) -> requests.Session:
    """Return a session of requests that talks to the service at `url`, and to nothing else.

    Arguments, guarantees and errors are those of `sealroom.client.connect`. `timeout_seconds` is for requests
    that name no time-out. Addresses are written out, as always with requests.
    """
    trust = trust_of(
        url,
        policy=policy,
        evidence=evidence,
        package=package,
        collateral=collateral,
        own_roots=own_roots,
        home=home,
        insecure_accept_simulated=insecure_accept_simulated,
    )
    return session_of(url, trust, timeout_seconds=timeout_seconds)


def session_of(url: str, trust: Trust, *, timeout_seconds: float = TIMEOUT_SECONDS) -> requests.Session:
    """Return a session for the service that `trust` is about; every other address is refused."""
    origin = origin_of(url)
    session = requests.Session()
    session.trust_env = False
    session.adapters.clear()
    session.mount("", NowhereElse(origin))
    session.mount(f"https://{origin.authority}/", ServiceAdapter(origin, trust, timeout_seconds))
    return session


class NowhereElse(BaseAdapter):
    """Refuses, for every address that is not the service's."""

    def __init__(self, origin: Origin) -> None:
        super().__init__()
        self._origin = origin

    def send(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise TransportError(f"this session talks to https://{self._origin.authority} alone")

    def close(self) -> None:
        """Nothing is open."""


class ServiceAdapter(BaseAdapter):
    """Sends what requests prepared over proven connections; `verify`, `cert` and `proxies` mean nothing."""

    def __init__(self, origin: Origin, trust: Trust, timeout_seconds: float) -> None:
        super().__init__()
        self._timeout_seconds = timeout_seconds
        self._pool = proven_pool(origin, Judge(trust, host=origin.host))

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: object = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request and return its answer."""
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        usual = self._timeout_seconds
        connect, read = connect or usual, read or usual
        limits = {"connect": connect, "pool": usual, "read": read, "write": read}
        sent = httpcore.Request(
            method=request.method or "GET",
            url=request.url or "",
            headers=[(_bytes(name), _bytes(value)) for name, value in _headers(request)],
            content=_body(request),
            extensions={"timeout": limits},
        )
        try:
            answer = self._pool.handle_request(sent)
            return _response(request, answer, stream=stream)
        except httpcore.TimeoutException as exc:
            raise requests.Timeout(exc, request=request) from exc
        except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
            raise requests.ConnectionError(exc, request=request) from exc

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


def _headers(request: PreparedRequest) -> list[tuple[str | bytes, str | bytes]]:
    headers: list[tuple[str | bytes, str | bytes]] = list(request.headers.items())
    if not any(_bytes(name).lower() == b"host" for name, _ in headers):
        headers.insert(0, ("Host", (request.url or "").split("/")[2]))
    return headers


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _body(request: PreparedRequest) -> bytes | Iterator[bytes] | None:
    body: Any = request.body
    return body.encode("utf-8") if isinstance(body, str) else body


def _response(request: PreparedRequest, answer: httpcore.Response, *, stream: bool) -> Response:
    message = http.client.HTTPMessage()
    for name, value in answer.headers:
        message.add_header(name.decode("latin-1"), value.decode("latin-1"))
    raw = HTTPResponse(
        body=cast("IO[bytes]", _Readable(answer)),
        headers=HTTPHeaderDict(message.items()),
        status=answer.status,
        preload_content=False,
        # Where requests looks for cookies.
        original_response=cast("http.client.HTTPResponse", _Original(message)),
    )
    response = Response()
    response.status_code = answer.status
    response.headers.update(raw.headers)
    response.raw = raw
    response.url = request.url or ""
    response.request = request
    response.encoding = get_encoding_from_headers(response.headers)
    extract_cookies_to_jar(response.cookies, request, raw)
    if not stream:
        _ = response.content
    return response


class _Original:
    """The headers of an answer, where requests expects those of `http.client`."""

    def __init__(self, message: http.client.HTTPMessage) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        return False

    def close(self) -> None: ...


class _Readable:
    """An answer's body as urllib3 reads one."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer
        self._pieces = answer.iter_stream()
        self._kept = b""
        self.closed = False

    def read(self, amount: int | None = None) -> bytes:
        while amount is None or len(self._kept) < amount:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._kept += piece
        wanted = len(self._kept) if amount is None else amount
        found, self._kept = self._kept[:wanted], self._kept[wanted:]
        return found

    def close(self) -> None:
        self.closed = True
        self._answer.close()

    def flush(self) -> None: ...
