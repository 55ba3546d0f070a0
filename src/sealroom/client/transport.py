"""Requests to the server: pinned TLS, idempotency keys, bounded retries, streams both ways.

Must never: repeat a POST under another idempotency key, hold a whole file in memory, show the access token,
or pass on the server's words unfiltered.
Spec: docs/spec/api.md.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from uuid import UUID, uuid4

import httpx

from sealroom.client.json_values import JsonObject
from sealroom.client.tls import UntrustedServerError, server_context
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.wire.foreign_text import visible

Progress = Callable[[str, int, int], None]
"""Called with what is moving, the bytes done and the bytes in all."""

STREAM_BYTES = 1024 * 1024
_MAX_JSON_BYTES = 16 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 3.0


def progress_of(progress: Progress | None, label: str) -> Callable[[int, int], None] | None:
    """Return what tells `progress` of one moving thing, by its `label`; nothing where nobody is told."""
    if progress is None:
        return None
    return lambda done, total: progress(label, done, total)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Limits of one client's requests."""

    timeout_seconds: float = 30.0
    patient_seconds: float = 900.0
    attempts: int = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where the server is, and the SHA-256 of its certificate unless the system's trust is asked for."""

    url: str
    certificate_sha256: bytes | None = None

    def __post_init__(self) -> None:
        try:
            parsed = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise ValueError(f"server address: {visible(self.url)} is not a URL: {error}") from error
        if parsed.scheme != "https" or not parsed.host or parsed.path not in ("", "/") or parsed.query:
            raise ValueError(f"server address: expected https://host[:port], got {visible(self.url)}")
        if self.certificate_sha256 is not None and len(self.certificate_sha256) != 32:
            raise ValueError("server certificate: expected a SHA-256, 32 bytes")

    @property
    def origin(self) -> str:
        """The address without a trailing slash: how accounts are filed."""
        return self.url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBody:
    """A request body read from a file, from `offset` on, again for every attempt."""

    path: Path
    offset: int = 0
    progress: Progress | None = None
    label: str = ""

    def chunks(self) -> Iterator[bytes]:
        """Read the file in pieces, telling how far it is."""
        total = self.path.stat().st_size
        done = self.offset
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while chunk := file.read(STREAM_BYTES):
                yield chunk
                done += len(chunk)
                if self.progress:
                    self.progress(self.label or self.path.name, done, total)

    @property
    def length(self) -> int:
        """How many bytes are sent."""
        return self.path.stat().st_size - self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `key` is the idempotency key that every attempt of a POST carries.

    `retry` is off where the caller must look first how far the last attempt came. `patient` is for requests
    after which the server reads through a whole file.
    """

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    content: bytes | FileBody | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str | int] = field(default_factory=dict)
    key: UUID | None = None
    retry: bool = True
    patient: bool = False


class Transport:
    """One server, reached over TLS. Use as a context manager, or call `close`."""

    def __init__(self, address: ServerAddress, options: TransportOptions | None = None) -> None:
        self.address = address
        self._options = options or TransportOptions()
        self._http: httpx.Client | None = None
        self._token: str | None = None

    def use_token(self, token: str | None) -> None:
        """Send this access token from now on."""
        self._token = token

    def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Transport to {self.address.origin}>"

    def get_json(self, path: str) -> JsonObject:
        """GET one JSON object."""
        raw = self.send(Request(method="GET", path=path))
        return JsonObject.from_bytes(raw, what=f"answer to GET {path}")

    def post_json(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: UUID | None = None
    ) -> JsonObject:
        """POST a JSON object, and read one. A caller that may be killed gives a `key` that it keeps."""
        raw = self.send(Request(method="POST", path=path, json=body or {}, key=key))
        return JsonObject.from_bytes(raw, what=f"answer to POST {path}")

    def send(self, request: Request, *, max_bytes: int = _MAX_JSON_BYTES) -> bytes:
        """Send a request and return the whole answer, of at most `max_bytes`."""
        with self.stream(request) as response:
            return _read_bounded(response, max_bytes)

    def download(
        self, path: str, sink: IO[bytes], *, max_bytes: int, progress: Progress | None = None, label: str = ""
    ) -> int:
        """GET `path` into `sink`, piece by piece, and return the size.

        An interrupted transfer goes on where it stopped. Raises `MalformedError` beyond `max_bytes`.
        """
        done = 0
        for attempt in range(self._options.attempts):
            try:
                headers = {"Range": f"bytes={done}-"} if done else {}
                with self.stream(Request(method="GET", path=path, headers=headers)) as response:
                    if done and response.status_code != httpx.codes.PARTIAL_CONTENT:
                        sink.seek(0)
                        sink.truncate()
                        done = 0
                    total = done + int(response.headers.get("content-length", 0))
                    for chunk in response.iter_raw():
                        done += len(chunk)
                        if done > max_bytes:
                            raise MalformedError(f"answer to GET {path}: larger than {max_bytes} bytes")
                        sink.write(chunk)
                        if progress:
                            progress(label or path, done, max(total, done))
                return done
            except httpx.HTTPError as error:
                self._pause_or_raise(attempt, self._options.attempts, error)
        raise AssertionError("unreachable")

    @contextmanager
    def stream(self, request: Request) -> Iterator[httpx.Response]:
        """Send a request, again if need be, and hand out the answer's stream.

        Raises `TransportError` with the server's code for an answer that is an error, and without a code when
        there was no answer.
        """
        if request.method == "POST" and request.key is None:
            request = _with_key(request)
        response = self._answered(request)
        try:
            if response.status_code >= 400:
                raise _server_error(request, response)
            yield response
        finally:
            response.close()

    def _answered(self, request: Request) -> httpx.Response:
        attempts = self._options.attempts if request.retry else 1
        for attempt in range(attempts):
            last = attempt == attempts - 1
            try:
                response = self._client().send(self._build(request), stream=True)
            except httpx.HTTPError as error:
                self._pause_or_raise(attempt, attempts, error)
                continue
            if response.status_code not in _RETRIED_STATUSES or last:
                return response
            response.close()
            _pause(attempt)
        raise AssertionError("unreachable")

    def _client(self) -> httpx.Client:
        if self._http is None:
            timeout = self._options.timeout_seconds
            context = server_context(
                httpx.URL(self.address.url),
                certificate_sha256=self.address.certificate_sha256,
                timeout_seconds=timeout,
            )
            # No environment: a proxy or another set of anchors must not come in by a variable.
            self._http = httpx.Client(
                base_url=self.address.origin + "/v1", verify=context, timeout=timeout, trust_env=False
            )
        return self._http

    def _build(self, request: Request) -> httpx.Request:
        # Nothing compressed: a bound on what is received is then a bound on what is held.
        headers = {"Accept-Encoding": "identity"} | dict(request.headers)
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if request.key is not None:
            headers["Idempotency-Key"] = str(request.key)
        content: bytes | Iterator[bytes] | None = None
        if isinstance(request.content, FileBody):
            headers["Content-Length"] = str(request.content.length)
            content = request.content.chunks()
        elif request.content is not None:
            content = request.content
        if content is not None:
            headers.setdefault("Content-Type", "application/octet-stream")
        return self._client().build_request(
            request.method,
            request.path,
            params=dict(request.params) or None,
            json=None if request.json is None else dict(request.json),
            content=content,
            headers=headers,
            timeout=httpx.Timeout(
                self._options.timeout_seconds,
                read=self._options.patient_seconds if request.patient else self._options.timeout_seconds,
            ),
        )

    def _pause_or_raise(self, attempt: int, attempts: int, error: httpx.HTTPError) -> None:
        distrust = _certificate_failure(error)
        if distrust is not None:
            raise UntrustedServerError(
                f"server {self.address.origin}: its certificate is not trusted: {distrust}"
            ) from error
        if attempt == attempts - 1:
            raise TransportError(
                f"server {self.address.origin}: no answer after {attempt + 1} attempts: {error}"
            ) from error
        _pause(attempt)


def _certificate_failure(error: BaseException) -> str | None:
    """Return why the system does not trust the certificate, where that is what went wrong."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None


def _pause(attempt: int) -> None:
    time.sleep(min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS))


def _with_key(request: Request) -> Request:
    return replace(request, key=uuid4())


def _read_bounded(response: httpx.Response, max_bytes: int) -> bytes:
    content = bytearray()
    try:
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > max_bytes:
                raise MalformedError(f"answer of the server: larger than {max_bytes} bytes")
    except httpx.HTTPError as error:
        raise TransportError(f"answer of the server: broken off: {error}") from error
    return bytes(content)


def _server_error(request: Request, response: httpx.Response) -> TransportError:
    where = f"{request.method} {request.path}"
    try:
        answer = JsonObject.from_bytes(_read_bounded(response, _MAX_ERROR_BYTES), what="error answer")
        error = answer.member("error")
        code, message = error.text("code"), _message(error)
    except MalformedError:
        return TransportError(f"{where}: the server answered {response.status_code}")
    return TransportError(f"{visible(message)[:1000]} ({visible(code)[:80]})", code=code)


def _message(error: JsonObject) -> str:
    """Return the server's message, with what it got and expected where it says so in a word."""
    parts = [error.text("message")]
    for name in ("got", "expected"):
        value = error.optional(name, error.anything)
        # Many a message says it itself.
        if isinstance(value, str | int) and str(value) not in parts[0]:
            parts.append(f"{name} {value}")
    return ", ".join(parts)
