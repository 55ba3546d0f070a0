"""The real server's application over real TLS, in this process and without enclaves."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from sealroom.client.transport import ServerAddress
from sealroom.core.wire.terms import Tee
from sealroom.server.app import create_app
from sealroom.server.config import ServerConfig
from sealroom.server.main import open_platform
from sealroom.server.tls import load_or_make_certificate


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A running server that takes everything and launches nothing."""
    data = tmp_path_factory.mktemp("server")
    certificate = load_or_make_certificate(data / "tls", host="127.0.0.1")
    platform = open_platform(ServerConfig(data=data, port=0), tee=Tee.SIMULATED)
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
