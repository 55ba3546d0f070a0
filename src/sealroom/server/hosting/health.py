"""Asking a running service's health endpoint, as any caller on this machine could.

For the operator's eyes: the answer proves nothing to anybody. Must never: show more of it than its status.
Spec: docs/spec/services.md, "Operator's folder".
"""

import hmac
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from sealroom.core.errors import MalformedError
from sealroom.core.wire.service_arguments import CertificateMode
from sealroom.core.wire.service_spool import CERTIFICATE, CHAIN, MAX_CERTIFICATE_BYTES
from sealroom.server.hosting.folder import HostedService, HostedState

PROBE_SECONDS = 10.0
_NEAR = "127.0.0.1"


def probe_health(service: HostedService) -> int | None:
    """Return the status of the health endpoint; `None` where there is none, or no such answer."""
    path, port = service.arguments.health, service.arguments.port
    if not path or service.state is not HostedState.RUNNING:
        return None
    try:
        connection = _connection(service, port)
    except (OSError, MalformedError):
        return None
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def _connection(service: HostedService, port: int) -> HTTPConnection:
    if service.arguments.certificate is CertificateMode.PLAIN:
        return HTTPConnection(_NEAR, port, timeout=PROBE_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The very certificate is compared: it need not be for this machine's name, nor anybody's authority.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(_NEAR, port, timeout=PROBE_SECONDS, context=context)
    connection.connect()
    held = connection.sock
    shown = held.getpeercert(binary_form=True) if isinstance(held, ssl.SSLSocket) else None
    if shown is None or not hmac.compare_digest(shown, _expected(service)):
        connection.close()
        raise MalformedError("health: another certificate than this service's")
    return connection


def _expected(service: HostedService) -> bytes:
    own = service.arguments.certificate is CertificateMode.OWN
    raw = service.spool.read(CHAIN if own else CERTIFICATE, max_bytes=MAX_CERTIFICATE_BYTES) or b""
    try:
        first = raw.decode("ascii").partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER
        return ssl.PEM_cert_to_DER_cert(first.strip())
    except ValueError as exc:
        raise MalformedError("health: no certificate in the spool") from exc
