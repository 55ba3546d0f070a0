"""A caller with TLS of its own: what it negotiated, and what both ends of the connection share."""

import contextlib
import socket

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from sealroom.core.wire.channel import CHALLENGE_PATH, EXPORTER_LABEL, EXPORTER_SIZE


class TlsCaller:
    """One connection that checks nothing: a test says what is right."""

    def __init__(self, port: int, *, max_version: int = SSL.TLS1_3_VERSION) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(max_version)
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setblocking(True)
        self.tls = SSL.Connection(context, self._socket)
        self.tls.set_connect_state()
        try:
            self.tls.do_handshake()
        except SSL.Error:
            self._socket.close()
            raise

    @property
    def exporter(self) -> bytes:
        return self.tls.export_keying_material(EXPORTER_LABEL, EXPORTER_SIZE, b"")

    @property
    def certificate(self) -> bytes:
        found = self.tls.get_peer_certificate(as_cryptography=True)
        assert found is not None
        return found.public_bytes(Encoding.DER)

    def send(self, raw: bytes) -> None:
        self.tls.sendall(raw)

    def read(self) -> bytes:
        """Read until the other side closes, and close as well."""
        parts = []
        with self, contextlib.suppress(SSL.ZeroReturnError, SSL.SysCallError):
            while True:
                parts.append(self.tls.recv(65536))
        return b"".join(parts)

    def get(self, path: str) -> tuple[int, bytes]:
        self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = self.read().partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def challenge(self, nonce: bytes) -> tuple[int, bytes]:
        return self.get(f"{CHALLENGE_PATH}?nonce={nonce.hex()}")

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "TlsCaller":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
