"""What applications do behind the enclave's TLS: WSGI, websockets, large bodies, a stop while they answer."""

import hashlib
import http.client
import shutil
import threading
import time
from pathlib import Path

import pytest
from service_world import Project, hosted
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sealroom.core.wire.channel import CHALLENGE_PATH
from sealroom.core.wire.service_arguments import Interface
from sealroom.server.hosting.folder import HostedState

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MANY = """
import asyncio, hashlib, os, signal


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"][::-1]})
    elif scope["type"] == "http":
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["path"] == "/slow":
            await asyncio.sleep(1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/large":
            for _ in range(512):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": digest.hexdigest().encode()})
"""
WSGI = """
import json
from pathlib import Path

PAGE = (Path(__file__).parent / "pages/index.html").read_text()


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return [PAGE.encode(), environ["wsgi.url_scheme"].encode(), body]
"""
LARGE = 512 * 65536 + 64


def test_an_asgi_application_streams_talks_and_finishes_what_it_began(tmp_path: Path) -> None:
    with hosted(tmp_path, Project(name="many", sources={"app.py": MANY})) as service:
        service.provision()
        sent = bytes(range(256)) * 40_000
        digest = hashlib.sha256(sent).hexdigest().encode()
        assert service.request("POST", "/", body=sent)[2] == digest
        assert len(service.request("GET", "/large")[2]) == LARGE

        kept = http.client.HTTPSConnection("localhost", service.port, context=service.trust(), timeout=60)
        for _ in range(3):
            kept.request("GET", "/")
            assert kept.getresponse().read() == hashlib.sha256(b"").hexdigest().encode()
        kept.close()

        with connect(f"wss://localhost:{service.port}/", ssl=service.trust()) as talk:
            for word in ("one", "x" * 100_000, "three"):
                talk.send(word)
                assert talk.recv() == word[::-1]
        with (
            pytest.raises(InvalidStatus, match="403"),
            connect(f"wss://localhost:{service.port}{CHALLENGE_PATH}", ssl=service.trust()),
        ):
            pass

        answers: list[int] = []
        slow = threading.Thread(target=lambda: answers.append(service.request("GET", "/slow")[0]))
        slow.start()
        time.sleep(0.4)
        service.hosting.stop("many")
        slow.join()
        assert answers == [200]
        ended = service.wait_for(HostedState.STOPPED)
        assert ended.status.exit is not None
        assert ended.status.exit.exit_code == 0


def test_a_wsgi_application_reads_its_files_and_its_requests(tmp_path: Path) -> None:
    sources = {"app.py": WSGI, "pages/index.html": "<p>kept</p>"}
    project = Project(name="pages", sources=sources, interface=Interface.WSGI)
    with hosted(tmp_path, project) as service:
        service.provision()
        assert service.request("POST", "/", body=b"body")[2] == b"<p>kept</p>httpsbody"


def test_a_killed_enclave_is_failed_and_starts_anew(tmp_path: Path) -> None:
    # Process 1 ignores signals of its own: it dies of a fault.
    killer = (
        "import ctypes\n\n\nasync def app(scope, receive, send):\n"
        "    scope['type'] == 'http' and ctypes.string_at(0)\n"
    )
    with hosted(tmp_path, Project(name="killer", sources={"app.py": killer})) as service:
        service.provision()
        with pytest.raises((OSError, http.client.HTTPException)):
            service.request("GET", "/")
        service.wait_for(HostedState.FAILED)
        service.hosting.restart("killer")
        service.provision()


def test_without_bubblewrap_a_service_serves_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ldd", "sh", "bash"):
        (programs / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    with hosted(tmp_path, Project(name="many", sources={"app.py": MANY})) as service:
        service.provision()
        assert service.request("POST", "/", body=b"x")[2] == hashlib.sha256(b"x").hexdigest().encode()
        shown = {row.name: row.detail for row in service.seen.protections}
        assert "Landlock" in shown["private-files"] or "nor Landlock" in shown["private-files"]
        service.hosting.stop("many")
        assert service.wait_for(HostedState.STOPPED).status.exit is not None
