"""A TLS server in this process that speaks for a simulated service, honestly or not."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import h11
from cryptography import x509
from OpenSSL import SSL

from sealroom.core.evidence.service import insecure_verify_simulated_service
from sealroom.core.wire.channel import EXPORTER_LABEL, channel_report_data
from sealroom.core.wire.verified_service import SimulatedService
from sealroom.insecure.pki import SimulationPki

sys.path.append(str(Path(__file__).parents[1] / "core" / "evidence"))
import evidence_world as w
import service_evidence_world as s

NOW = datetime.now(UTC)
PKI = SimulationPki.generate(now=NOW)
WORLD = s.ServiceWorld(at=NOW, pki=PKI)
COLLATERAL = json.dumps(WORLD.evidence.collateral.to_value()).encode()
POLICY = w.policy(measurement=frozenset({WORLD.mrenclave}))

Reply = tuple[int, list[tuple[str, str]], bytes]


@dataclass
class Asked:
    """A challenge as the server sees it: `exporter` is that of its own side of the connection."""

    nonce: bytes
    exporter: bytes
    key_info: bytes


def key_info(key) -> bytes:
    return s.p256_key(s.point(key)).info


def honest(world: s.ServiceWorld = WORLD) -> Callable[[Asked], Reply]:
    """Answer as an enclave does."""

    def answer(asked: Asked) -> Reply:
        bound = channel_report_data(nonce=asked.nonce, exporter=asked.exporter, key_info=asked.key_info)
        return 200, [], world.quote(bound)

    return answer


@dataclass
class Server:
    """What is served, and what was asked for beside challenges."""

    world: s.ServiceWorld = WORLD
    answer: Callable[[Asked], Reply] = field(default_factory=honest)
    key: object = None
    chain: tuple[bytes, ...] = ()
    tls12: bool = False
    raw_tail: bytes = b""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        if self.tls12:
            context.set_max_proto_version(SSL.TLS1_2_VERSION)
        shown = self.chain or (self.world.certificate,)
        leaf, *others = (x509.load_der_x509_certificate(each) for each in shown)
        context.use_certificate(leaf)
        for other in others:
            context.add_extra_chain_cert(other)
        context.use_privatekey(self.key or s.tls_key(self.world.key))
        return context

    def serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = SSL.Connection(self.context(), sock)
        connection.set_accept_state()
        connection.do_handshake()
        self.connections += 1
        http = h11.Connection(h11.SERVER)
        while (request := self._next(http, connection)) is not None:
            target = request.target.decode()
            body = self._body(http, connection)
            status, headers, content = self._reply(target, request, body, connection)
            headers = headers or [("Content-Length", str(len(content)))]
            parts = [http.send(h11.Response(status_code=status, headers=headers))]
            parts += [http.send(h11.Data(data=content)) if content else b"", http.send(h11.EndOfMessage())]
            connection.sendall(b"".join(part or b"" for part in parts) + self.raw_tail)
            if http.our_state is h11.MUST_CLOSE:
                return
            http.start_next_cycle()

    def _reply(self, target: str, request: h11.Request, body: bytes, connection: SSL.Connection) -> Reply:
        if target.startswith("/.well-known/sealroom/challenge?nonce="):
            asked = Asked(
                nonce=bytes.fromhex(target.partition("=")[2]),
                exporter=connection.export_keying_material(EXPORTER_LABEL, 32, b""),
                key_info=key_info(self.key or s.tls_key(self.world.key)),
            )
            return self.answer(asked)
        self.requests.append((request.method.decode(), target, body))
        if target == "/away":
            return 302, [("Location", "https://elsewhere.example/"), ("Content-Length", "0")], b""
        return 200, [], b"hello " + target.encode()

    def _next(self, http: h11.Connection, connection: SSL.Connection) -> h11.Request | None:
        while (event := http.next_event()) is h11.NEED_DATA:
            data = b""
            with suppress(SSL.ZeroReturnError, SSL.SysCallError):
                data = connection.recv(65536)
            http.receive_data(data)
        return event if isinstance(event, h11.Request) else None

    def _body(self, http: h11.Connection, connection: SSL.Connection) -> bytes:
        body = b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(connection.recv(65536))
            else:
                body += event.data
        return body


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Serve on a free port of this machine until the block ends."""

    def one(sock: socket.socket, _: threading.Event) -> None:
        # What a caller does who was not convinced: it leaves.
        with sock, suppress(SSL.Error, OSError, h11.ProtocolError):
            server.serve(sock)

    with plain_server(one) as server.port:
        yield server


@contextmanager
def plain_server(one: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Hand each connection to `one`, in a thread of its own, with what is set when the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=one, args=(sock, stop), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        # Closing alone does not wake a thread that waits in accept.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def verified(world: s.ServiceWorld = WORLD, **arguments: object) -> SimulatedService:
    """The service as its verification returns it, without making one again for each test."""
    asked = {
        "collateral": None,
        "policy": w.policy(),
        "expected": s.expectations(host=None),
        "release": w.RELEASE,
        "wheels": {},
        "roots": w.ROOTS,
        "now": NOW,
    }
    made = replace(world, arguments=replace(world.arguments, **arguments)) if arguments else world
    return insecure_verify_simulated_service(made.evidence.to_bytes(), **asked)
