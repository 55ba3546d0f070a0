"""TLS under a protocol that speaks plain text: real sockets, real clients, no enclave."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sealroom.core.wire.channel import EXPORTER_LABEL, EXPORTER_SIZE
from sealroom.core.wire.ra_tls import EvidenceForm
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key
from sealroom.enclave.service.connection import Channel, TlsConnection, _Records
from sealroom.enclave.service.tls import ServerTls, attested_tls, uncompressed_point

SECONDS = 30


def attested() -> tuple[ServerTls, str]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    fields = CertificateFields(
        common_name="localhost",
        dns_names=("localhost",),
        addresses=(b"\x7f\0\0\1",),
        serial=1,
        not_before=now - timedelta(hours=1),
        not_after=now + timedelta(days=1),
    )
    certificate = make_certificate(
        fields,
        key=p256_key(uncompressed_point(key)),
        form=EvidenceForm.SGX_QUOTE,
        evidence=b"a quote",
        sign=lambda message: key.sign(message, ec.ECDSA(hashes.SHA256())),
    )
    return attested_tls(key, certificate), ssl.DER_cert_to_PEM_cert(certificate)


TLS, PEM = attested()


class Echo(asyncio.Protocol):
    """Sends back what comes, twice halved, and remembers how it was treated."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.received: list[bytes] = []
        self.ended = False
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self.transport.writelines([data[: len(data) // 2], bytearray(data[len(data) // 2 :])])

    def eof_received(self) -> None:
        self.ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class Served:
    def __init__(self, port: int) -> None:
        self.port = port
        self.inner: list[Echo] = []

    def make(self, channel: Channel) -> Echo:
        self.inner.append(Echo(channel))
        return self.inner[-1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        trust = ssl.create_default_context(cadata=PEM)
        trust.verify_flags |= ssl.VERIFY_X509_STRICT
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=trust, server_hostname="127.0.0.1")


@contextlib.asynccontextmanager
async def served(handshake_seconds: float = 20.0) -> AsyncIterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    here = Served(listener.getsockname()[1])
    server = await asyncio.get_running_loop().create_server(
        lambda: TlsConnection(TLS.context, here.make, handshake_seconds=handshake_seconds), sock=listener
    )
    try:
        yield here
    finally:
        server.close()
        await server.wait_closed()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), SECONDS))


@pytest.mark.parametrize("size", [1, 16_383, 16_384, 16_385, 300_000])
def test_what_is_sent_comes_back_whole(size: int) -> None:
    async def scenario() -> None:
        async with served() as here:
            reader, writer = await here.connect()
            sent = bytes(range(256)) * (size // 256 + 1)
            writer.write(sent[:size])
            assert await reader.readexactly(size) == sent[:size]
            writer.close()
            await here.inner[0].lost.wait()

    run(scenario)


def test_what_one_turn_writes_is_one_record() -> None:
    async def scenario() -> None:
        async with served() as here:
            client = await Client.connect(here.port)
            client.send(b"0123456789")
            # Echo writes two halves, in one turn.
            assert await client.receive() == b"0123456789"
            client.close()
            await here.inner[0].lost.wait()

    run(scenario)


def test_records_may_be_cut_anywhere_and_come_together() -> None:
    async def scenario() -> None:
        async with served() as here:
            client = await Client.connect(here.port)
            pieces = b"".join(client.seal(b"%d" % number) for number in range(10))
            for place in range(0, len(pieces), 7):
                client.socket.sendall(pieces[place : place + 7])
                await asyncio.sleep(0)
            answered = b""
            while len(answered) < 10:
                answered += await client.receive()
            assert answered == b"0123456789"
            client.close()
            await here.inner[0].lost.wait()

    run(scenario)


def test_both_ends_have_one_exporter_and_other_connections_another() -> None:
    async def scenario() -> None:
        async with served() as here:
            clients = [await Client.connect(here.port) for _ in range(2)]
            for client in clients:
                client.send(b"x")
                await client.receive()
            own = [client.exporter() for client in clients]
            assert own[0] != own[1]
            assert {inner.channel.exporter() for inner in here.inner} == set(own)
            for client in clients:
                client.close()
            for inner in here.inner:
                await inner.lost.wait()

    run(scenario)


def test_a_goodbye_is_passed_on_and_answered() -> None:
    async def scenario() -> None:
        async with served() as here:
            client = await Client.connect(here.port)
            client.send(b"x")
            await client.receive()
            client.tls.shutdown()
            client.socket.sendall(client.tls.bio_read(4096))
            await here.inner[0].lost.wait()
            assert here.inner[0].ended
            client.socket.close()

    run(scenario)


def test_a_changed_record_ends_the_connection_and_reaches_nobody() -> None:
    async def scenario() -> None:
        async with served() as here:
            client = await Client.connect(here.port)
            client.send(b"x")
            await client.receive()
            sealed = bytearray(client.seal(b"forged"))
            sealed[-1] ^= 1
            client.socket.sendall(sealed)
            await here.inner[0].lost.wait()
            assert here.inner[0].received == [b"x"]
            client.socket.close()

    run(scenario)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01"]
)
def test_who_never_shakes_hands_reaches_nobody(sent: bytes) -> None:
    async def scenario() -> None:
        async with served(handshake_seconds=0.2) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                # An alert at most.
                assert len(await reader.read()) < 64
            assert here.inner == []
            writer.close()

    run(scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2])
def test_nothing_below_tls_1_3_is_spoken(version: ssl.TLSVersion) -> None:
    async def scenario() -> None:
        async with served() as here:
            trust = ssl.create_default_context(cadata=PEM)
            trust.maximum_version = version
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("localhost", here.port, ssl=trust)
            assert here.inner == []

    run(scenario)


def test_no_session_is_resumed() -> None:
    """A resumed one would show no certificate."""

    def call_twice(port: int) -> list[bool]:
        trust, session, resumed = ssl.create_default_context(cadata=PEM), None, []
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as raw,
                trust.wrap_socket(raw, server_hostname="localhost", session=session) as held,
            ):
                held.sendall(b"x")
                assert held.recv(1) == b"x"
                session = held.session
                resumed.append(bool(held.session_reused))
        return resumed

    async def scenario() -> None:
        async with served() as here:
            assert await asyncio.to_thread(call_twice, here.port) == [False, False]

    run(scenario)


@pytest.mark.parametrize("cut", range(1, 12))
def test_records_are_counted_wherever_they_are_cut(cut: int) -> None:
    stream = b"".join(
        b"\x17\x03\x03" + len(body).to_bytes(2, "big") + body for body in (b"a", b"bcd", b"e" * 300)
    )
    counted = _Records()
    assert sum(counted.completed_by(stream[place : place + cut]) for place in range(0, len(stream), cut)) == 3


class Client:
    """A client on memory buffers, which sees single records."""

    def __init__(self, held: socket.socket) -> None:
        self.socket = held
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        self._raw = b""

    @classmethod
    async def connect(cls, port: int) -> "Client":
        held = socket.create_connection(("127.0.0.1", port))
        held.setblocking(False)
        made = cls(held)
        while True:
            done = False
            with contextlib.suppress(SSL.WantReadError):
                made.tls.do_handshake()
                done = True
            with contextlib.suppress(SSL.WantReadError):
                held.sendall(made.tls.bio_read(1 << 16))
            if done:
                return made
            made.tls.bio_write(await asyncio.get_running_loop().sock_recv(held, 1 << 16))

    def exporter(self) -> bytes:
        return self.tls.export_keying_material(EXPORTER_LABEL, EXPORTER_SIZE, b"")

    def seal(self, data: bytes) -> bytes:
        self.tls.send(data)
        return self.tls.bio_read(1 << 20)

    def send(self, data: bytes) -> None:
        self.socket.sendall(self.seal(data))

    async def receive(self) -> bytes:
        """Return what the next record of data holds."""
        while True:
            while len(self._raw) < 5 or len(self._raw) < 5 + int.from_bytes(self._raw[3:5], "big"):
                self._raw += await asyncio.get_running_loop().sock_recv(self.socket, 1 << 16)
            end = 5 + int.from_bytes(self._raw[3:5], "big")
            record, self._raw = self._raw[:end], self._raw[end:]
            self.tls.bio_write(record)
            with contextlib.suppress(SSL.WantReadError):
                return self.tls.recv(1 << 20)

    def close(self) -> None:
        self.socket.close()
