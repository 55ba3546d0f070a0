"""The operator's place on the line: records every request and answer, and changes what a test tells it to.

It speaks TLS with the server's own certificate, which its operator has, so no participant can notice it.
"""

import http.client
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_IDLE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request as it came from a participant, or as the operator changed it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def route(self) -> str:
        return urlsplit(self.path).path

    def matches(self, method: str, ending: str) -> bool:
        return self.method == method and self.route.endswith(ending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of_json(cls, value: object, *, status: int = 200) -> "Answered":
        body = json.dumps(value).encode()
        return cls(status=status, headers={"content-type": "application/json"}, body=body)


PassOn = Callable[[Sent], Answered]
Attack = Callable[[Sent, PassOn], Answered]


@dataclass(slots=True, kw_only=True)
class HostileProxy:
    """Passes on what no attack takes; `record` keeps every body in both directions."""

    upstream: Callable[[], str]
    recorded: list[tuple[Sent, Answered]] = field(default_factory=list)
    attacks: list[Attack] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    # Attacks, in one line each

    def attack(self, attack: Attack) -> None:
        """From now on let `attack` answer: it may call the function that passes a request on."""
        self.attacks.append(attack)

    def replace_request(self, method: str, ending: str, change: Callable[[bytes], bytes]) -> None:
        """Change the body of matching requests on their way to the server."""

        def attack(sent: Sent, pass_on: PassOn) -> Answered:
            if sent.matches(method, ending):
                sent = replace(sent, body=change(sent.body))
            return pass_on(sent)

        self.attack(attack)

    def replace_answer(self, method: str, ending: str, change: Callable[[bytes], bytes]) -> None:
        """Change the body of matching answers on their way to a participant."""

        def attack(sent: Sent, pass_on: PassOn) -> Answered:
            answered = pass_on(sent)
            if sent.matches(method, ending):
                answered = replace(answered, body=change(answered.body))
            return answered

        self.attack(attack)

    def drop(self, method: str, ending: str, pretended: object) -> None:
        """Keep matching requests from the server; the participant is told `pretended`."""

        def attack(sent: Sent, pass_on: PassOn) -> Answered:
            return Answered.of_json(pretended) if sent.matches(method, ending) else pass_on(sent)

        self.attack(attack)

    def serve_old(self, ending: str, old: bytes, *, status: int = 200) -> None:
        """Answer matching GET requests with `old`, whatever the server would say."""

        def attack(sent: Sent, pass_on: PassOn) -> Answered:
            if not sent.matches("GET", ending):
                return pass_on(sent)
            return Answered(status=status, headers={"content-type": "application/json"}, body=old)

        self.attack(attack)

    def be_honest(self) -> None:
        self.attacks.clear()

    # What went over the line

    def bodies(self) -> list[bytes]:
        """Every body and every header value, in both directions."""
        found = []
        for sent, answered in self.recorded:
            found += [sent.body, answered.body, sent.path.encode()]
            found += [value.encode() for value in (*sent.headers.values(), *answered.headers.values())]
        return found

    def last(self, method: str, ending: str) -> tuple[Sent, Answered]:
        return next(pair for pair in reversed(self.recorded) if pair[0].matches(method, ending))

    # Serving

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def start(self, *, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = _Server(self, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def handle(self, sent: Sent) -> Answered:
        answer: PassOn = self.pass_on
        for attack in reversed(self.attacks):
            answer = _bound(attack, answer)
        answered = answer(sent)
        self.recorded.append((sent, answered))
        return answered

    def pass_on(self, sent: Sent) -> Answered:
        # The operator's own machine: nobody else is on this line, so nothing is compared.
        context = ssl._create_unverified_context()
        host = urlsplit(self.upstream()).netloc
        line = http.client.HTTPSConnection(host, context=context, timeout=_IDLE_SECONDS)
        try:
            line.request(sent.method, sent.path, body=sent.body, headers=sent.headers)
            answer = line.getresponse()
            return Answered(status=answer.status, headers=_kept(answer.headers.items()), body=answer.read())
        finally:
            line.close()


def _bound(attack: Attack, answer: PassOn) -> PassOn:
    return lambda sent: attack(sent, answer)


def _kept(headers: object) -> dict[str, str]:
    return {name: value for name, value in dict(headers).items() if name.lower() not in _HOP_BY_HOP}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: HostileProxy, context: ssl.SSLContext) -> None:
        self.proxy = proxy
        self._context = context
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request, client_address):
        # In the connection's own thread: a slow handshake holds up nobody else.
        with self._context.wrap_socket(request, server_side=True) as line:
            super().finish_request(line, client_address)

    def handle_error(self, request, client_address):
        """Say nothing: a participant that closes its line is no error of a test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        sent = Sent(
            method=self.command,
            path=self.path,
            headers=_kept(self.headers.items()),
            body=self.rfile.read(size),
        )
        try:
            answered = self.server.proxy.handle(sent)
        except (OSError, http.client.HTTPException):
            # The server is away: so is this line.
            self.close_connection = True
            return
        self.send_response(answered.status)
        for name, value in answered.headers.items():
            if name.lower() not in ("date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(answered.body)))
        self.end_headers()
        self.wfile.write(answered.body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format, *args):
        """Say nothing: what went over the line is in `recorded`."""
