"""TLS 1.3 over a socket by pyOpenSSL, on memory buffers: blocking, with time-outs, and with its exporter.

Nothing is judged here. A handshake proves that the other side has the private key of the certificate that it
shows, and nothing about that certificate. Must never speak an older version, or resume a session.
Spec: docs/spec/services.md, "Channel challenge"; docs/adr/0009-tls-with-an-exporter.md.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from OpenSSL import SSL, crypto

from sealroom.core.errors import TransportError
from sealroom.core.wire.channel import EXPORTER_LABEL, EXPORTER_SIZE

_T = TypeVar("_T")

_READ_BYTES = 65536
_MAX_CHAIN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The certificates that a server showed, DER, its own first."""

    leaf: bytes
    others: tuple[bytes, ...]


class TlsConnection:
    """One connection after its handshake. Time-outs are in seconds and for each wait; `None` waits on."""

    def __init__(self, sock: socket.socket, connection: SSL.Connection) -> None:
        self._socket = sock
        self._tls = connection

    @classmethod
    def handshake(cls, sock: socket.socket, *, host: str, timeout: float | None) -> TlsConnection:
        """Shake hands over a connected socket; raises `TransportError`, and closes nothing."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Whose the certificate is, is decided by `judging`, not by who signed it.
        context.set_verify(SSL.VERIFY_NONE)
        connection = SSL.Connection(context, None)
        if not _is_address(host):
            connection.set_tlsext_host_name(host.encode("ascii"))
        connection.set_connect_state()
        made = cls(sock, connection)
        try:
            # One deadline for all of it: a server that drips its handshake must not hold a caller for ever.
            made._until_done(connection.do_handshake, timeout, ends=_end_of(timeout))
        except SSL.Error as exc:
            # An alert of the server's goes out before its reason is known here.
            with suppress(OSError):
                made._flush(timeout)
            raise TransportError(f"{host}: no TLS 1.3: {_reason(exc)}") from exc
        except OSError as exc:
            raise TransportError(f"{host}: the TLS handshake was cut: {exc}") from exc
        return made

    @property
    def shown(self) -> Shown:
        """What the server showed; raises `TransportError` where it is nothing."""
        chain = self._tls.get_peer_cert_chain() or []
        if not 1 <= len(chain) <= _MAX_CHAIN:
            raise TransportError(f"the server showed {len(chain)} certificates")
        leaf, *others = (crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in chain)
        return Shown(leaf=leaf, others=tuple(others))

    def exporter(self) -> bytes:
        """Return the bytes that this connection alone has, on both its sides (RFC 8446, 7.5)."""
        return self._tls.export_keying_material(EXPORTER_LABEL, EXPORTER_SIZE, b"")

    def read(self, max_bytes: int, timeout: float | None) -> bytes:
        """Return at most `max_bytes`, none where the other side ended in order.

        Raises `OSError`, also where the connection was cut without an end.
        """
        try:
            return self._until_done(lambda: self._tls.recv(max_bytes), timeout)
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as exc:
            raise ConnectionError(f"TLS: {_reason(exc)}") from exc

    def write(self, data: bytes, timeout: float | None) -> None:
        """Send all of `data`; raises `OSError`."""
        try:
            while data:
                sent = self._tls.send(data[:_READ_BYTES])
                data = data[sent:]
                self._flush(timeout)
        except SSL.Error as exc:
            raise ConnectionError(f"TLS: {_reason(exc)}") from exc

    def close(self) -> None:
        """Say the end, and close the socket."""
        with suppress(SSL.Error, OSError):
            self._tls.shutdown()
            self._flush(1.0)
        self._socket.close()

    @property
    def socket(self) -> socket.socket:
        """The socket below, for addresses and for waiting."""
        return self._socket

    def _until_done(self, step: Callable[[], _T], timeout: float | None, *, ends: float | None = None) -> _T:
        """Take `step` again for as long as it wants more from the other side, perhaps until a moment."""
        while True:
            if ends is not None and (timeout := ends - time.monotonic()) <= 0:
                raise TimeoutError("not done in time")
            try:
                done = step()
            except SSL.WantReadError:
                self._flush(timeout)
                self._fill(timeout)
            else:
                self._flush(timeout)
                return done

    def _flush(self, timeout: float | None) -> None:
        self._socket.settimeout(timeout)
        with suppress(SSL.WantReadError):
            while True:
                self._socket.sendall(self._tls.bio_read(_READ_BYTES))

    def _fill(self, timeout: float | None) -> None:
        self._socket.settimeout(timeout)
        received = self._socket.recv(_READ_BYTES)
        if not received:
            # Without an end of TLS before it, somebody may have cut the answer short.
            raise ConnectionError("the connection was cut")
        self._tls.bio_write(received)


def _end_of(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: SSL.Error) -> str:
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(str(reason[-1]) for reason in reasons) or type(error).__name__
