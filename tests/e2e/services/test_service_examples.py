"""The services of `examples/`, each in an enclave with the packages of its lock, and their callers.

Their wheels are downloaded the first time, by the hashes of each example's lock.
"""

import base64
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from service_commands import ACCEPT, Desk
from service_world import free_port

from examples.ready_wheels import ready
from sealroom.client import connect, load_policy
from sealroom.client.home import Home
from sealroom.server.hosting.folder import Hosting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[3] / "examples"
PASSWORD = "kanarie-of-the-database"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "no-index").mkdir()
    yield Desk(folder=tmp_path, index=tmp_path / "no-index")
    for service in Hosting(tmp_path / "operator").list():
        Hosting(tmp_path / "operator").remove(service.name)


def prepare(desk: Desk, example: str) -> Path:
    """Copy an example to the folder `project`, with its wheels at hand."""
    program = ready(EXAMPLES / example, desk.folder / "project")
    program.give_wheels_to(Home.open(desk.folder / "home"))
    return program.folder


def running(desk: Desk, name: str) -> int:
    """Bring the service in `project` up, and return its port."""
    port, asked = free_port(), f"--package {name}.package --policy up-to-date {ACCEPT}"
    desk.type("sealroom service test project")
    service = desk.json("sealroom service package project")["service"]
    desk.type(f"sealroom service spawn {name}.package --service {service} --port {port}")
    desk.type(f"sealroom service evidence {name}")
    desk.type(f"sealroom service seal evidence.json {asked} --project project --to sealed.json")
    desk.type(f"sealroom service run {name} sealed.json {asked}")
    desk.type(f"sealroom service verify evidence.json {asked} --host localhost --save service.pem")
    return port


def operator_has(desk: Desk, secret: bytes) -> list[str]:
    kept = (desk.folder / "operator").rglob("*")
    files = [file for file in kept if file.is_file() and not file.is_symlink()]
    assert files
    return [str(file) for file in files if secret in file.read_bytes()]


def test_a_model_with_secret_weights_scores_what_callers_send(desk: Desk) -> None:
    prepare(desk, "service-scoring")
    port = running(desk, "scoring")
    script = EXAMPLES / "service-callers" / "call.py"
    url = f"https://localhost:{port}"
    said = desk.type(f"{sys.executable} {script} {url} evidence.json scoring.package {ACCEPT}")
    assert float(said) == pytest.approx(0.1638, abs=0.0005)
    said = desk.type(f"sh {EXAMPLES / 'service-callers' / 'call.sh'} {url} service.pem")
    assert "Verification: OK" in said
    assert "Verified peername: localhost" in said
    assert json.loads(said.splitlines()[-2]) == {"healthy": True}
    assert json.loads(said.splitlines()[-1])["score"] == pytest.approx(0.1638, abs=0.0005)
    weights = (EXAMPLES / "service-scoring" / "src" / "weights.json").read_bytes()
    assert b"late_payments" in weights
    assert operator_has(desk, b"late_payments") == []


class _Database(BaseHTTPRequestHandler):
    """A database with an HTTPS interface, as far as the example asks it."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        login = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        (query,) = parse_qs(urlsplit(self.path).query)["query"]
        self.asked.append((login, query))
        allowed = login == f"reader:{PASSWORD}"
        content = (b"17\n" if "'north'" in query else b"4\n") if allowed else b"no such login"
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Serve one on this machine; gives its address, its certificate and what it was asked."""
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    words += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", *words.split(), "-keyout", str(folder / "db.key"), "-out", str(folder / "db.pem")]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "db.pem", folder / "db.key")
    asked: list[tuple[str, str]] = []
    handler = type("Database", (_Database,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", (folder / "db.pem").read_text(), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_credentials_of_a_database_are_sealed_and_used_inside_alone(desk: Desk) -> None:
    with database(desk.folder) as (url, certificate, asked):
        project = prepare(desk, "service-records")
        login = {"url": url, "user": "reader", "password": PASSWORD, "certificate": certificate}
        (project / "secrets_to_seal.json").write_text(json.dumps({"database": login}))
        port = running(desk, "records")
        with connect(
            f"https://localhost:{port}",
            policy=load_policy("up-to-date"),
            evidence=(desk.folder / "evidence.json").read_bytes(),
            package=desk.folder / "records.package",
            home=Home.open(desk.folder / "home"),
            insecure_accept_simulated=True,
        ) as service:
            assert service.get("/count/north").json() == {"region": "north", "records": 17}
            assert service.get("/count/south").json()["records"] == 4
            assert service.get("/count/elsewhere").status_code == 404
    assert {login for login, _ in asked} == {f"reader:{PASSWORD}"}
    assert len(asked) == 2
    assert operator_has(desk, PASSWORD.encode()) == []
