"""Homes, and the real server's application over real TLS, in this process and without enclaves."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvicorn

from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.session import Client
from sealroom.client.transport import ServerAddress, TransportOptions
from sealroom.server.app import create_app
from sealroom.server.config import ServerConfig
from sealroom.server.main import open_platform
from sealroom.server.tls import load_or_make_certificate

MakeClient = Callable[[str], Client]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A running server that takes everything and launches nothing."""
    data = tmp_path_factory.mktemp("server")
    certificate = load_or_make_certificate(data / "tls", host="127.0.0.1")
    platform = open_platform(ServerConfig(data=data, port=0))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(platform),
        ssl_certfile=str(certificate.certificate),
        ssl_keyfile=str(certificate.key),
        log_config=None,
        lifespan="off",
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield ServerAddress(
        url=f"https://127.0.0.1:{listener.getsockname()[1]}",
        certificate_sha256=bytes.fromhex(certificate.sha256),
    )
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()
    platform.store.close()


@pytest.fixture
def make_client(tmp_path: Path, address: ServerAddress) -> Iterator[MakeClient]:
    """Makes a person: a home, a key, an account of their own at the server."""
    with ExitStack() as clients:
        count = 0

        def make(name: str) -> Client:
            nonlocal count
            count += 1
            home = Home.open(tmp_path / f"{name}-{count}")
            create_identity(home)
            options = TransportOptions(timeout_seconds=20, attempts=2)
            client = clients.enter_context(Client(home=home, server=address, options=options))
            # The server is shared by all tests: an address of one's own.
            client.create_account(f"{name}.{tmp_path.name.lower().replace('_', '-')[:60]}@example.org")
            return client

        yield make
