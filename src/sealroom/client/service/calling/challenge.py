"""Asking a server where a connection ends, on that very connection, and reading what it answers.

Must never leave a byte of the answer behind: what follows on the connection is read as the answer to the
caller's own request. Spec: docs/spec/services.md, "Channel challenge".
"""

from __future__ import annotations

import secrets
import time

import h11

from sealroom.client.service.calling.judging import Believed, Judge
from sealroom.client.service.calling.tls import TlsConnection
from sealroom.core.errors import TransportError, VerificationError
from sealroom.core.wire.channel import CHALLENGE_PATH, NONCE_SIZE, channel_report_data
from sealroom.core.wire.report_data import MAX_QUOTE_BYTES

CHALLENGE_SECONDS = 30.0
_READ_BYTES = 65536
_OK, _BUSY = 200, 429


def prove(connection: TlsConnection, judge: Judge, *, authority: str) -> Believed:
    """Demand that `connection` ends in the enclave of its certificate, before anything is sent on it.

    1. The certificate is one that is believed. 2. The server answers a fresh nonce with a quote. 3. The quote
    verifies like the certificate's, binds nonce, key and this side's own exporter, and is of that enclave.

    Raises `VerificationError` or `CollateralError`, and `TransportError` where there is no answer.
    """
    believed = judge.certificate(connection.shown)
    nonce = secrets.token_bytes(NONCE_SIZE)
    quote = _ask(connection, nonce, authority)
    bound = channel_report_data(nonce=nonce, exporter=connection.exporter(), key_info=believed.key_info)
    judge.connection(quote, bound, believed)
    return believed


def _ask(connection: TlsConnection, nonce: bytes, authority: str) -> bytes:
    """Return the answer's body, of at most a quote's size, read to its end and not beyond."""
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(
        method="GET",
        target=f"{CHALLENGE_PATH}?nonce={nonce.hex()}",
        headers=[("Host", authority), ("Accept", "application/octet-stream")],
    )
    try:
        connection.write(
            (http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""), CHALLENGE_SECONDS
        )
        status, body = _read(connection, http)
    except h11.ProtocolError as exc:
        raise TransportError(f"{authority}: the channel challenge was not answered by HTTP: {exc}") from exc
    except OSError as exc:
        raise TransportError(f"{authority}: the channel challenge was not answered: {exc}") from exc
    if status == _BUSY:
        raise TransportError(f"{authority}: too many callers ask for the channel challenge; try again")
    if status != _OK:
        raise VerificationError(
            f"{authority}: answers the channel challenge with {status}, expected {_OK}: nothing is proven"
        )
    return body


def _read(connection: TlsConnection, http: h11.Connection) -> tuple[int, bytes]:
    ends, status, body = time.monotonic() + CHALLENGE_SECONDS, 0, bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("no whole answer in time")
            http.receive_data(connection.read(_READ_BYTES, left))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_QUOTE_BYTES:
                raise VerificationError("channel challenge: the answer is larger than a quote")
        elif isinstance(event, h11.EndOfMessage):
            _check_nothing_left(http, status)
            return status, bytes(body)
        else:
            raise ConnectionError("the connection ended")


def _check_nothing_left(http: h11.Connection, status: int) -> None:
    trailing, _ = http.trailing_data
    if trailing:
        raise VerificationError("channel challenge: something follows the answer")
    if status == _OK and http.their_state is not h11.DONE:
        raise VerificationError("channel challenge: the answer ends the connection that it is about")
