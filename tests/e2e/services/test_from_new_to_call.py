"""From `service new` to a verified HTTPS call, as a transcript: every command as its user types it."""

import json
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from OpenSSL import SSL
from service_commands import ACCEPT, Desk, fill_index, lock
from service_world import free_port
from tls_client import TlsCaller

from sealroom.client import connect, load_policy, pinned_context
from sealroom.client.home import Home
from sealroom.client.service.calling.connecting import open_client, trust_of
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.verdict import RefusedEvidenceError
from sealroom.server.hosting.folder import Hosting

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[3] / "docs" / "services.md"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_index(tmp_path_factory.mktemp("index") / "wheels")


@pytest.fixture
def desk(tmp_path: Path, index: Path) -> Iterator[Desk]:
    yield Desk(folder=tmp_path, index=index)
    for service in Hosting(tmp_path / "operator").list() if (tmp_path / "operator").exists() else ():
        Hosting(tmp_path / "operator").remove(service.name)


def running(desk: Desk, *, spawn: str = "", seal: str = "") -> int:
    """Play all of it up to the running service, and return its port."""
    port = free_port()
    asked = f"--package scores.package --policy up-to-date {ACCEPT}"
    desk.type("sealroom service new scores")
    desk.type("sealroom service test scores")
    desk.type(lock("scores"))
    service = desk.json("sealroom service package scores")["service"]
    desk.type(f"sealroom service spawn scores.package --service {service} --port {port} {spawn}")
    desk.type("sealroom service evidence scores --to evidence.json")
    desk.type(f"sealroom service seal evidence.json {asked} --project scores --to sealed.json {seal}")
    desk.type(f"sealroom service run scores sealed.json {asked}")
    return port


def caller(desk: Desk, port: int, **asked: object) -> httpx.Client:
    return connect(
        f"https://localhost:{port}",
        policy=load_policy("up-to-date"),
        evidence=(desk.folder / "evidence.json").read_bytes(),
        package=desk.folder / "scores.package",
        home=Home.open(desk.folder / "home"),
        **{"insecure_accept_simulated": True, **asked},
    )


@pytest.mark.slow
def test_from_new_to_a_verified_call_in_under_a_minute_of_commands(desk: Desk) -> None:
    port = running(desk)
    asked = f"--package scores.package --policy up-to-date {ACCEPT}"
    said = desk.type(f"sealroom service verify evidence.json {asked} --host localhost --save service.pem")
    assert "They cannot ask whether their own connection ends in the enclave" in said
    said = desk.type(f"curl --silent --cacert service.pem --tlsv1.3 https://localhost:{port}/health")
    assert json.loads(said) == {"healthy": True}
    said = desk.type(
        f"openssl s_client -connect localhost:{port} -CAfile service.pem -verify_return_error "
        "-verify_hostname localhost -x509_strict -brief"
    )
    with caller(desk, port) as service:
        assert service.post("/score", json=[1, 2, 3]).json() == {"score": 3.0}
    assert '{"score": 3.0}' in desk.type(f"{sys.executable} {page_script(desk, port)}").replace("'", '"')
    assert desk.seconds < 60, "\n".join(desk.said)
    # Nothing that was secret is in what the operator has.
    found = [
        file for file in (desk.folder / "operator").rglob("*") if file.is_file() and not file.is_symlink()
    ]
    key = (desk.folder / "scores" / "code.key").read_bytes().strip()
    assert found
    for file in found:
        content = file.read_bytes()
        assert key not in content
        assert b"adds up a JSON list" not in content


def page_script(desk: Desk, port: int) -> Path:
    """Write a program of what docs/services.md shows to callers: for this port, and a simulated enclave."""
    shown = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
    for own, here in (
        ("scores.example:8443", f"localhost:{port}"),
        (
            'package=Path("scores.package"),',
            'package=Path("scores.package"), insecure_accept_simulated=True,',
        ),
        ("    service.post(", "    last = service.post("),
    ):
        assert shown.count(own) == 2, own
        shown = shown.replace(own, here)
    script = desk.folder / "page.py"
    script.write_text(f"{shown}\nprint(last.json())\n")
    return script


@pytest.mark.slow
def test_what_is_altered_or_another_is_refused_by_every_command_that_trusts(desk: Desk) -> None:
    port = running(desk)
    asked = f"--package scores.package --policy up-to-date {ACCEPT}"
    refused = desk.json(
        "sealroom service verify evidence.json --package scores.package --policy up-to-date", code=1
    )
    assert refused["verdict"] == "SIMULATED"
    # Another package of the same application: one line of the code differs.
    source = desk.folder / "scores" / "src" / "app.py"
    source.write_text(source.read_text() + "\n# another line\n")
    desk.type("sealroom service package scores --to other.package")
    for command in ("verify evidence.json", "seal evidence.json --project scores --to never.json"):
        said = desk.json(
            f"sealroom service {command} {asked.replace('scores.package', 'other.package')}", code=1
        )
        assert [check["name"] for check in failed(said)] == ["service.code"]
    assert not (desk.folder / "never.json").exists()
    # Another code key is another application's.
    desk.type("sealroom service new elsewhere --name scores")
    desk.type("cp scores/requirements.txt elsewhere/")
    desk.type("sealroom service package elsewhere --to elsewhere.package")
    said = desk.json(
        f"sealroom service seal evidence.json {asked} --key elsewhere/code.key --to never.json", code=1
    )
    assert [check["name"] for check in failed(said)] == ["service.id"]
    # A byte of the package itself.
    raw = bytearray((desk.folder / "scores.package").read_bytes())
    raw[raw.index(b"src/app.py") + 600] ^= 1
    (desk.folder / "altered.package").write_bytes(raw)
    said = desk.json(
        f"sealroom service verify evidence.json {asked.replace('scores.package', 'altered.package')}", code=1
    )
    assert [check["name"] for check in failed(said)] == ["service.code"]
    # After a restart the old box opens nothing, and the old evidence says nothing of the new certificate.
    desk.type("sealroom service restart scores")
    said = desk.json(f"sealroom service run scores sealed.json {asked}", code=1)
    assert said["error"]["code"] == "not_taken"
    desk.type("sealroom service evidence scores --to evidence.json")
    desk.type(f"sealroom service seal evidence.json {asked} --project scores --to sealed.json")
    desk.type(f"sealroom service run scores sealed.json {asked}")
    with caller(desk, port) as service:
        assert service.get("/health").json() == {"healthy": True}


def failed(document: dict) -> list[dict]:
    return [c for group in document["checks"] for c in group["checks"] if c["outcome"] == "failed"]


@pytest.mark.slow
def test_a_client_goes_on_after_a_restart_and_a_pinned_one_does_not(desk: Desk) -> None:
    port = running(desk)
    asked = f"--package scores.package --policy up-to-date {ACCEPT}"
    trust = trust_of(
        f"https://localhost:{port}",
        policy=load_policy("up-to-date"),
        evidence=(desk.folder / "evidence.json").read_bytes(),
        package=desk.folder / "scores.package",
        collateral=None,
        own_roots=None,
        home=Home.open(desk.folder / "home"),
        insecure_accept_simulated=True,
    )
    assert trust.service is not None
    pinned = pinned_context(trust.service)
    url = f"https://localhost:{port}/health"
    assert httpx.get(url, verify=pinned, trust_env=False).status_code == 200
    with open_client(f"https://localhost:{port}", trust) as service:
        assert service.get("/health").status_code == 200
        desk.type("sealroom service restart scores")
        desk.type("sealroom service evidence scores --to evidence.json")
        desk.type(f"sealroom service seal evidence.json {asked} --project scores --to sealed.json")
        desk.type(f"sealroom service run scores sealed.json {asked}")
        # The connection is gone with the enclave; the next one shows another certificate, of the same code.
        assert service.get("/health").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, verify=pinned, trust_env=False)


@pytest.mark.slow
def test_a_relay_that_owns_a_copy_of_the_tls_key_is_refused_by_a_real_services_caller(desk: Desk) -> None:
    """A certificate of one's own: its key was delivered, and somebody has a copy of the file."""
    desk.type(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        "-subj /CN=authority -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem"
    )
    issue(desk)
    port = running(desk, spawn="--certificate own --chain own.pem", seal="--tls-key own.key")
    roots = (desk.folder / "ca.pem").read_bytes()
    with caller(desk, port, own_roots=roots) as service:
        assert service.get("/health").json() == {"healthy": True}
    with pytest.raises(VerificationError), caller(desk, port) as service:
        service.get("/health")
    with (
        relay(desk, port) as relayed,
        caller(desk, relayed.port, own_roots=roots) as service,
        pytest.raises(RefusedEvidenceError) as found,
    ):
        service.post("/score", json=[1])
    assert [check.name for check in found.value.verdict.failures] == ["channel.binding"]
    assert relayed.seen == ["/.well-known/sealroom/challenge"]


def issue(desk: Desk) -> None:
    """Make a key and a certificate by the authority in `ca.pem`."""
    (desk.folder / "own.ext").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
        "authorityKeyIdentifier=keyid\nbasicConstraints=CA:FALSE\n"
    )
    desk.type(
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost "
        "-keyout own.key -out own.csr"
    )
    desk.type("openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -days 1 -extfile own.ext -out own.pem")


class Relayed:
    """What the relay listens on, and the paths that callers asked it for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[str] = []


@contextmanager
def relay(desk: Desk, port: int) -> Iterator[Relayed]:
    """Terminate TLS with the copied key, and pass every request on by a connection of one's own."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file(os.fspath(desk.folder / "own.pem"))
    context.use_privatekey_file(os.fspath(desk.folder / "own.key"))
    listener = socket.create_server(("127.0.0.1", 0))
    made = Relayed(listener.getsockname()[1])

    def one(sock: socket.socket) -> None:
        with sock, suppress(SSL.Error, OSError):
            connection = SSL.Connection(context, sock)
            connection.set_accept_state()
            connection.do_handshake()
            request = connection.recv(65536).decode()
            path = request.split()[1]
            made.seen.append(path.partition("?")[0])
            with TlsCaller(port) as upstream:
                status, body = upstream.get(path)
            head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.recv(65536)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
