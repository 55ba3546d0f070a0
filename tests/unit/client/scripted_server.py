"""An HTTPS server that answers as a test says and writes down what it was asked."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sealroom.client.transport import ServerAddress
from sealroom.server.tls import load_or_make_certificate


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Say:
    """One answer; `cut` breaks the connection after that many bytes of the body, or at once for 0."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


class ScriptedServer:
    """Answers in order of the script; the last answer is repeated."""

    def __init__(self, address: ServerAddress) -> None:
        self.address = address
        self.script: list[Say] = [Say()]
        self.asked: list[Asked] = []

    def next_answer(self) -> Say:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def scripted_server(folder: Path) -> Iterator[ScriptedServer]:
    certificate = load_or_make_certificate(folder / "tls", host="127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.context = context
    server.scripted = ScriptedServer(
        ServerAddress(
            url=f"https://127.0.0.1:{server.server_address[1]}",
            certificate_sha256=bytes.fromhex(certificate.sha256),
        )
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    context: ssl.SSLContext
    scripted: ScriptedServer

    def finish_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:
            pass  # a client that left: what it did is what the test is about

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        scripted = self.server.scripted
        scripted.asked.append(
            Asked(method=self.command, path=self.path, headers=dict(self.headers), body=self.rfile.read(size))
        )
        say = scripted.next_answer()
        if say.cut == 0:
            self.close_connection = True
            return
        self.send_response(say.status)
        for name, value in say.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(say.body)))
        self.end_headers()
        self.wfile.write(say.body[: say.cut])
        if say.cut is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        pass
