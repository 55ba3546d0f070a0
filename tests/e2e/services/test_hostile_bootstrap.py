"""What a waiting enclave is offered by others than its code provider, and what callers are shown."""

import json
import os
import secrets
import socket
import ssl
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest
from OpenSSL import SSL
from service_world import Hosted, Project, hosted
from tls_client import TlsCaller

from sealroom.core.attestation.quote import parse_quote
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.bootstrap import BoundTo
from sealroom.core.wire.channel import CHALLENGE_PATH, channel_report_data
from sealroom.core.wire.service_arguments import CertificateMode, Connections, ServiceLogs
from sealroom.server.hosting.folder import HostedState
from sealroom.server.hosting.health import probe_health

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})
"""
HELLO = Project(name="hello", sources={"app.py": APP}, health="/health")
OTHER_KEY = bytes(reversed(range(32)))


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory):
    with hosted(tmp_path_factory.mktemp("waiting"), HELLO) as service:
        service.wait_for(HostedState.WAITING)
        yield service


def post(service: Hosted, body: bytes) -> int:
    return service.request("POST", "/", body=body)[0]


def test_the_application_does_not_answer_before_its_key_came(waiting: Hosted) -> None:
    assert waiting.request("GET", "/anything")[0] == 404
    assert waiting.request("PUT", "/")[0] == 405
    assert waiting.request("HEAD", "/")[0] == 200


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff" * 100, b'{"uuid": 1}', b"{" * 200_000])
def test_what_is_no_document_is_no_attempt(waiting: Hosted, body: bytes) -> None:
    assert post(waiting, body) == 400


def test_a_body_of_more_than_a_megabyte_is_refused_before_it_is_read(waiting: Hosted) -> None:
    with TlsCaller(waiting.port) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert caller.read().startswith(b"HTTP/1.1 413 ")
    with TlsCaller(waiting.port) as caller:
        caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(SSL.Error):
            for _ in range(4096):
                caller.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def test_a_head_of_more_than_16_kilobytes_is_refused(waiting: Hosted) -> None:
    with TlsCaller(waiting.port) as caller:
        caller.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000)
        assert caller.read().startswith(b"HTTP/1.1 431 ")


def test_what_is_no_http_and_what_is_no_tls_is_closed(waiting: Hosted) -> None:
    with TlsCaller(waiting.port) as caller:
        caller.send(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert caller.read().startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(("127.0.0.1", waiting.port), timeout=60) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(4096)


def test_tls_below_1_3_is_not_spoken(waiting: Hosted) -> None:
    with pytest.raises(SSL.Error):
        TlsCaller(waiting.port, max_version=SSL.TLS1_2_VERSION)


def test_one_request_a_connection(waiting: Hosted) -> None:
    with TlsCaller(waiting.port) as caller:
        caller.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert caller.read().count(b"HTTP/1.1 200") == 1


def test_a_connection_begins_with_one_challenge_at_most(waiting: Hosted) -> None:
    path = f"{CHALLENGE_PATH}?nonce={'ab' * 32}"
    with TlsCaller(waiting.port) as caller:
        for closes in (False, True):
            caller.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            said = b""
            while b"\r\n\r\n" not in said:
                said += caller.tls.recv(65536)
            head, _, body = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert (b"connection: close" in head.lower()) is closes
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            while len(body) < length:
                body += caller.tls.recv(65536)
        assert caller.read() == b""


def test_seventeen_connections_are_one_too_many_and_slow_ones_make_room(waiting: Hosted) -> None:
    """Those that never ask are closed after twenty seconds; then there is room again."""
    slow = [TlsCaller(waiting.port) for _ in range(16)]
    try:
        for caller in slow:
            caller.send(b"POST / HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(SSL.Error):
            TlsCaller(waiting.port)
        started = time.monotonic()
        for caller in slow:
            assert caller.read() == b""
        assert time.monotonic() - started < 60
        assert waiting.request("GET", "/")[0] == 200
    finally:
        for caller in slow:
            caller.close()


def test_openssl_and_curl_take_the_certificate_as_their_ca(waiting: Hosted, tmp_path: Path) -> None:
    pem = tmp_path / "service.pem"
    pem.write_bytes(waiting.certificate())
    address = f"localhost:{waiting.port}"
    words = ["openssl", "s_client", "-connect", address, "-CAfile", str(pem), "-verify_return_error"]
    words += ["-x509_strict", "-verify_hostname", "localhost", "-tls1_3"]
    shown = subprocess.run(words, input=b"", capture_output=True, check=True).stdout
    assert b"Verify return code: 0 (ok)" in shown
    words = ["curl", "--silent", "--include", "--cacert", str(pem)]
    for url in (f"https://{address}/", f"https://127.0.0.1:{waiting.port}/"):
        shown = subprocess.run([*words, url], capture_output=True, check=True).stdout
        assert b"Mse-Status: 0" in shown


def test_intel_sgx_ra_reads_the_certificate_of_a_waiting_service(waiting: Hosted, tmp_path: Path) -> None:
    python = os.environ.get("SEALROOM_INTEL_SGX_RA")
    if python is None:
        pytest.skip("no intel-sgx-ra: install it in a virtual environment, SEALROOM_INTEL_SGX_RA=its python")
    pem = tmp_path / "service.pem"
    pem.write_bytes(waiting.certificate())
    program = (
        "import sys; from pathlib import Path; from intel_sgx_ra.ratls import ratls_verify\n"
        "body = ratls_verify(Path(sys.argv[1])).report_body\n"
        "print(body.mr_enclave.hex(), body.report_data[32:].hex())"
    )
    done = subprocess.run([python, "-c", program, str(pem)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [waiting.mrenclave().hex(), waiting.box_key().hex()]


def test_a_challenge_is_answered_by_a_fresh_quote_over_this_very_connection(waiting: Hosted) -> None:
    nonce = secrets.token_bytes(32)
    with TlsCaller(waiting.port) as caller:
        exporter, key_info = caller.exporter, key_info_of(caller.certificate)
        status, quote = caller.challenge(nonce)
    assert status == 200
    report = parse_quote(quote).body
    assert report.mrenclave == waiting.mrenclave()
    assert report.report_data == channel_report_data(nonce=nonce, exporter=exporter, key_info=key_info)
    with TlsCaller(waiting.port) as other:
        # The same nonce on another connection gives another quote, so nothing can be passed on.
        again = parse_quote(other.challenge(nonce)[1]).body
    assert again.report_data != report.report_data


@pytest.mark.parametrize(
    "query", ["", "?nonce=", "?nonce=00", "?nonce=" + "0" * 65, "?nonce=" + "A" * 64, "?n=" + "0" * 64]
)
def test_a_challenge_of_another_form_is_refused(waiting: Hosted, query: str) -> None:
    assert waiting.request("GET", CHALLENGE_PATH + query)[0] == 400
    assert waiting.request("POST", f"{CHALLENGE_PATH}?nonce={'0' * 64}", body=b"")[0] == 405


def key_info_of(certificate: bytes) -> bytes:
    from cryptography import x509

    from sealroom.enclave.service.tls import public_key_info

    return public_key_info(x509.load_der_x509_certificate(certificate).public_key())


def test_ten_wrong_offers_end_the_enclave_and_all_are_answered_alike(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO) as service:
        service.wait_for(HostedState.WAITING)
        other = BoxKey.generate()
        elsewhere = BoundTo(service=service.project.service, mrenclave=bytes(32))
        another_app = BoundTo(service=uuid4(), mrenclave=service.mrenclave())
        other_id = service_id(CodeKey.from_bytes(OTHER_KEY), "hello")
        wrong = [
            service.body(service=uuid4(), sealed=service.box()),
            service.body(code_key=OTHER_KEY.hex()),
            service.body(service=other_id, code_key=OTHER_KEY.hex()),
            service.body(sealed=service.box(code_key=OTHER_KEY.hex())),
            service.body(sealed=service.box(to=other.public_key)),
            service.body(sealed=service.box(bound_to=elsewhere)),
            service.body(sealed=service.box(bound_to=another_app)),
            service.body(sealed=service.box(), tls_key="a TLS key that nobody asked for"),
            service.body(sealed=service.box(), code_key=OTHER_KEY.hex()),
            service.body(sealed=b"no box at all"),
        ]
        answers = [service.request("POST", "/", body=body) for body in wrong]
        assert {(status, body) for status, _, body in answers} == {(401, b"")}
        assert service.wait_for(HostedState.STOPPED).status.exit.exit_code == 1


def test_nobody_brings_the_key_in_time(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO, bootstrap_seconds=1) as service:
        assert service.wait_for(HostedState.STOPPED).status.exit.exit_code == 1


def test_the_first_key_wins_and_the_published_client_may_bring_it_in_the_open(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO) as service:
        service.wait_for(HostedState.WAITING)
        # Wrong ones before it change nothing.
        assert post(service, service.body(code_key=OTHER_KEY.hex())) == 401
        bodies = [service.body(code_key=HELLO.key.hex()) for _ in range(2)]
        callers = [TlsCaller(service.port) for _ in bodies]
        for caller, body in zip(callers, bodies, strict=True):
            head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            caller.send(head.encode() + body)
        answers = sorted(caller.read().split(b" ")[1] for caller in callers)
        assert answers == [b"200", b"409"]
        service.wait_for(HostedState.RUNNING)
        # The certificate is the one from before, and the challenge goes on behind it.
        assert service.request("GET", "/x")[2] == b"/x"
        with TlsCaller(service.port) as caller:
            exporter, nonce = caller.exporter, secrets.token_bytes(32)
            key_info = key_info_of(caller.certificate)
            status, quote = caller.challenge(nonce)
        assert status == 200
        bound = channel_report_data(nonce=nonce, exporter=exporter, key_info=key_info)
        assert parse_quote(quote).body.report_data == bound
        # Spelled otherwise, it still is ours and not the application's.
        assert service.request("GET", "/%2Ewell-known/sealroom/challenge")[0] == 400


def test_an_old_certificate_and_an_old_box_are_worth_nothing_after_a_restart(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO) as service:
        service.wait_for(HostedState.WAITING)
        old_certificate, old_body = service.certificate(), service.body(sealed=service.box())
        mrenclave = service.mrenclave()
        service.hosting.stop("hello")
        service.wait_for(HostedState.STOPPED)
        service.hosting.restart("hello")
        service.wait_for(HostedState.WAITING)
        assert service.mrenclave() == mrenclave
        with pytest.raises(ssl.SSLCertVerificationError):
            service.request("GET", "/", trust=service.trust(old_certificate))
        assert post(service, old_body) == 401
        service.provision()


def test_challenges_are_answered_four_a_second_and_no_more_than_64_wait(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO) as service:
        service.provision()
        callers = [TlsCaller(service.port) for _ in range(80)]
        started = time.monotonic()
        for caller in callers:
            path = f"{CHALLENGE_PATH}?nonce={secrets.token_hex(32)}"
            caller.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answers = [caller.read() for caller in callers]
        statuses = [int(answer.split(b" ")[1]) for answer in answers]
        assert statuses.count(200) in range(64, 70)
        assert statuses.count(429) == 80 - statuses.count(200)
        assert time.monotonic() - started > (statuses.count(200) - 1) / 4
        refused = next(answer for answer in answers if b" 429 " in answer[:20])
        assert b"retry-after: 16" in refused.lower()


def test_behind_a_proxy_there_is_no_tls_and_so_no_answer_to_a_challenge(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO, certificate=CertificateMode.PLAIN) as service:
        service.provision()
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as plain:
            path = f"{CHALLENGE_PATH}?nonce={'0' * 64}"
            plain.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert plain.recv(65536).startswith(b"HTTP/1.1 426 ")
        assert probe_health(service.seen) == 200


def test_with_a_certificate_of_ones_own_the_challenge_binds_its_key(tmp_path: Path) -> None:
    key, chain = tmp_path / "own.key", tmp_path / "own.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -days 1 -subj /CN=localhost"
    words += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    changes = {"certificate": CertificateMode.OWN, "chain": chain.read_bytes()}
    with hosted(tmp_path, HELLO, **changes) as service:
        service.wait_for(HostedState.WAITING)
        words = "openssl ecparam -name prime256v1 -genkey -noout"
        another = subprocess.run(words.split(), capture_output=True, check=True).stdout.decode()
        assert post(service, service.body(sealed=service.box())) == 401
        assert post(service, service.body(sealed=service.box(tls_key=another))) == 401
        service.provision(service.body(sealed=service.box(tls_key=key.read_text())))
        with TlsCaller(service.port) as caller:
            assert ssl.DER_cert_to_PEM_cert(caller.certificate) == chain.read_text()
            exporter, nonce = caller.exporter, secrets.token_bytes(32)
            key_info = key_info_of(caller.certificate)
            quote = caller.challenge(nonce)[1]
        bound = channel_report_data(nonce=nonce, exporter=exporter, key_info=key_info)
        assert parse_quote(quote).body.report_data == bound
        assert probe_health(service.seen) == 200
        # Another certificate than the operator's folder names is not asked.
        service.seen.spool.write("chain.pem", service.certificate())
        assert probe_health(service.seen) is None


TALKATIVE = """
import socket, subprocess, os, json
print("SEEN")
tried = {}


def attempt(name, call):
    try:
        call()
        tried[name] = "done"
    except OSError as exc:
        tried[name] = exc.errno


def dial():
    with socket.create_connection(("127.0.0.1", int(os.environ.get("DIAL", "1"))), timeout=5):
        pass


attempt("connect", dial)
attempt("process", lambda: subprocess.run(["true"]))
attempt("write", lambda: open("/sealroom/spool/x", "w"))
attempt("read", lambda: open("/sealroom/spool/state"))
attempt("local", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(tried).encode()})
"""


@pytest.mark.parametrize(("connect", "refused"), [(Connections.NONE, 1), (Connections.ANY, 111)])
def test_an_application_reaches_what_the_arguments_say(
    tmp_path: Path, connect: Connections, refused: int
) -> None:
    project = Project(name="talkative", sources={"app.py": TALKATIVE})
    with hosted(tmp_path, project, connect=connect, logs=ServiceLogs.NONE) as service:
        service.provision()
        tried = json.loads(service.request("GET", "/")[2])
        assert tried == {"connect": refused, "process": 1, "write": 1, "read": 1, "local": 1}
        assert "SEEN" not in service.console()


def test_a_code_file_that_the_operator_changed_starts_nothing(tmp_path: Path) -> None:
    with hosted(tmp_path, HELLO) as service:
        service.wait_for(HostedState.WAITING)
        service.hosting.stop("hello")
        service.wait_for(HostedState.STOPPED)
        code = service.seen.folder / "code/src/app.py"
        code.write_bytes(code.read_bytes()[:-1] + b"\0")
        service.hosting.restart("hello")
        assert service.wait_for(HostedState.FAILED).status.exit.exit_code == 125
