"""The network of httpcore as a caller of one service needs it: one place, and every connection proven.

httpcore asks for TCP, then for TLS on it; what it gets has the proof behind it. Must never give out a
connection to another place, nor one in the clear.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore

from sealroom.client.service.calling.challenge import prove
from sealroom.client.service.calling.judging import Judge
from sealroom.client.service.calling.tls import TlsConnection
from sealroom.core.errors import TransportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The one place that is talked to."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


class ProvenBackend(httpcore.NetworkBackend):
    """Connects to `origin`, and proves each connection before it gives it away."""

    def __init__(self, origin: Origin, judge: Judge) -> None:
        self._origin = origin
        self._judge = judge

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the origin, and to nothing else; what comes back can do nothing but TLS."""
        if (host.strip("[]"), port) != (self._origin.host, self._origin.port):
            raise TransportError(f"this client talks to {self._origin.authority} alone")
        source = None if local_address is None else (local_address, 0)
        try:
            sock = socket.create_connection((self._origin.host, port), timeout, source)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(f"{self._origin.authority}: {exc}") from exc
        except OSError as exc:
            raise httpcore.ConnectError(f"{self._origin.authority}: {exc}") from exc
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in socket_options or ():
            sock.setsockopt(*option)
        return _Unproven(sock, self._origin, self._judge)


class _Unproven(httpcore.NetworkStream):
    """A TCP connection on which nothing was said yet: all that it can become is proven TLS, or closed."""

    def __init__(self, sock: socket.socket, origin: Origin, judge: Judge) -> None:
        self._socket = sock
        self._origin = origin
        self._judge = judge

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Shake hands, and demand the proof; httpcore's own context says nothing here."""
        try:
            connection = TlsConnection.handshake(self._socket, host=self._origin.host, timeout=timeout)
            prove(connection, self._judge, authority=self._origin.authority)
        except BaseException:
            self._socket.close()
            raise
        return _Proven(connection)


class _Proven(httpcore.NetworkStream):
    """A connection that was proven to end in the enclave."""

    def __init__(self, connection: TlsConnection) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read at most `max_bytes`."""
        try:
            return self._connection.read(max_bytes, timeout)
        except TimeoutError as exc:
            raise httpcore.ReadTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.ReadError(str(exc)) from exc

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`."""
        try:
            self._connection.write(buffer, timeout)
        except TimeoutError as exc:
            raise httpcore.WriteTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.WriteError(str(exc)) from exc

    def close(self) -> None:
        """End TLS, and close."""
        self._connection.close()

    def get_extra_info(self, info: str) -> object:
        """Return what httpcore asks of an idle connection: whether it can be read, so that it has ended."""
        sock = self._connection.socket
        if info == "is_readable":
            return sock.fileno() < 0 or bool(select.select([sock], [], [], 0)[0])
        return None
