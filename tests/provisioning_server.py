"""A provisioning service on this machine, over TLS, which a test can make misbehave."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class ProvisioningServer:
    """Serves the documents of `collateral`; `instead` replaces the answers to paths that have its keys."""

    collateral: dict[str, str]
    folder: Path
    crl_form: str = "der"
    instead: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ProvisioningServer:
        certificate, key = self_signed(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.certificate = certificate
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._http.handle_error = lambda request, address: None
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._http.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.asked.append(self.path)
                for key, answer in server.instead.items():
                    if key in self.path:
                        answer(self)
                        return
                server.answer(self)

            def log_message(self, *words: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        c = self.collateral
        if "/tcb?" in request.path:
            body = f'{{"tcbInfo":{c["tcb_info"]},"signature":"{c["tcb_info_signature"]}"}}'
            send(request, body.encode(), {"TCB-Info-Issuer-Chain": quote(c["tcb_info_issuer_chain"])})
        elif request.path.endswith("/qe/identity"):
            body = f'{{"enclaveIdentity":{c["qe_identity"]},"signature":"{c["qe_identity_signature"]}"}}'
            chain = {"SGX-Enclave-Identity-Issuer-Chain": quote(c["qe_identity_issuer_chain"])}
            send(request, body.encode(), chain)
        elif "/pckcrl?" in request.path:
            body = self._crl(c["pck_crl"])
            send(request, body, {"SGX-PCK-CRL-Issuer-Chain": quote(c["pck_crl_issuer_chain"])})
        elif request.path.endswith("/rootcacrl"):
            send(request, self._crl(c["root_ca_crl"]), {})
        else:
            send(request, b"no such thing", {}, status=404)

    def _crl(self, text: str) -> bytes:
        if self.crl_form == "hex":
            return text.encode()
        der = bytes.fromhex(text)
        if self.crl_form == "pem":
            return x509.load_der_x509_crl(der).public_bytes(serialization.Encoding.PEM)
        return der


def send(request: BaseHTTPRequestHandler, body: bytes, headers: dict[str, str], *, status: int = 200) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def failing(*statuses: int, retry_after: str | None = None) -> Answer:
    """Answer with each of `statuses` in turn, then with the last of them."""
    left = list(statuses)

    def answer(request: BaseHTTPRequestHandler) -> None:
        status = left.pop(0) if len(left) > 1 else left[0]
        send(request, b"", {"Retry-After": retry_after} if retry_after else {}, status=status)

    return answer


def with_body(body: bytes, headers: dict[str, str] | None = None) -> Answer:
    return lambda request: send(request, body, headers or {})


def redirecting(to: str) -> Answer:
    return lambda request: send(request, b"", {"Location": to}, status=302)


def endless(request: BaseHTTPRequestHandler) -> None:
    """Send bytes for as long as somebody takes them."""
    request.send_response(200)
    request.send_header("Connection", "close")
    request.end_headers()
    for _ in range(10_000):
        request.wfile.write(b"x" * 65_536)


def dripping(server: ProvisioningServer) -> Answer:
    """Send a byte now and then: no single read takes long, the answer never ends."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        while not server.release.wait(0.05):
            request.wfile.write(b"{")
            request.wfile.flush()

    return answer


def silent(server: ProvisioningServer) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        server.release.wait(30)

    return answer


def hanging_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a PCCS")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    files = folder / "pccs.pem", folder / "pccs.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def collateral_file(path: Path) -> dict[str, str]:
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


def patient(seconds: float) -> None:
    """Stand in for a pause between attempts."""
    time.sleep(0)
