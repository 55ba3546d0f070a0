"""One server for the bench of services: `python -m bench.service_server KIND PORT FOLDER`.

`attested` is what an enclave runs, with a quote of the simulated TEE in its certificate; `ordinary` the same
application on the same uvicorn, with `ssl` and a certificate of the usual size.
"""

import asyncio
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sealroom.core.wire.ra_tls import EvidenceForm
from sealroom.core.wire.ra_tls_certificate import CertificateFields, make_certificate, p256_key
from sealroom.enclave.service.challenge import Challenges
from sealroom.enclave.service.listening import listen
from sealroom.enclave.service.serving import Serving
from sealroom.enclave.service.tls import attested_tls, uncompressed_point
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.quoting import QuotingEnclave, ReportBody

BODY = b"hello from an enclave"
_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Answer every request with a few octets."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": BODY})


def application(name: str) -> Any:  # noqa: ANN401 - ASGI
    """Return `bare`, or the same in FastAPI."""
    if name == "bare":
        return bare
    from fastapi import FastAPI

    made = FastAPI()

    @made.get("/")
    async def hello() -> dict[str, str]:
        return {"said": BODY.decode()}

    return made


def serve_attested(name: str, port: int, folder: Path) -> None:
    """Serve as an enclave does."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    body = ReportBody(mrenclave=secrets.token_bytes(32), report_data=secrets.token_bytes(64))
    enclave = QuotingEnclave(SimulationPki.load_or_create(folder, now=now))
    certificate = make_certificate(
        CertificateFields(
            common_name="localhost",
            dns_names=("localhost",),
            serial=1,
            not_before=now - timedelta(hours=1),
            not_after=now + timedelta(days=1),
        ),
        key=p256_key(uncompressed_point(key)),
        form=EvidenceForm.SGX_QUOTE,
        evidence=enclave.quote(body),
        sign=lambda message: key.sign(message, ec.ECDSA(hashes.SHA256())),
    )
    challenges = Challenges(lambda bound: enclave.quote(ReportBody(mrenclave=bytes(32), report_data=bound)))

    async def run() -> None:
        serving = Serving(application(name), tls=attested_tls(key, certificate), challenges=challenges)
        await serving.run(listen(port))

    asyncio.run(run())


def serve_ordinary(name: str, port: int, folder: Path) -> None:
    """Serve as anybody does."""
    key, certificate = make_ordinary(folder)
    uvicorn.run(
        application(name),
        port=port,
        http="httptools",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_keyfile=str(key),
        ssl_certfile=str(certificate),
    )


def make_ordinary(folder: Path) -> tuple[Path, Path]:
    """Return an ordinary P-256 key and certificate, made with openssl."""
    key, certificate = folder / "ordinary.key", folder / "ordinary.pem"
    if not certificate.exists():
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
        command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
    return key, certificate


if __name__ == "__main__":
    kind, app, port, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    {"attested": serve_attested, "ordinary": serve_ordinary}[kind](app, port, folder)
