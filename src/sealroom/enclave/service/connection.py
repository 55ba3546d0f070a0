"""One TLS 1.3 connection, as a layer between a transport of asyncio's and a protocol that speaks plain text.

OpenSSL works on memory buffers here: octets from the transport go in, octets for the transport come out. What
the protocol above writes within one turn of the event loop leaves as one record and one system call. Records
are counted by their headers, so OpenSSL is asked for exactly what has arrived, and never says "not yet".

Must never: hand an octet to the protocol above before the handshake is over, nor speak below TLS 1.3.
Spec: docs/spec/services.md; docs/adr/0009-tls-with-an-exporter.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from OpenSSL import SSL

from sealroom.core.wire.channel import EXPORTER_LABEL, EXPORTER_SIZE

HANDSHAKE_SECONDS = 20.0

# RFC 8446, 5.1 and 5.2: a header, at most 2^14 octets of content; 5.4: its type, and the tag of the AEAD.
_RECORD_HEADER = 5
_MAX_CONTENT = 1 << 14
_RECORD_OVERHEAD = _RECORD_HEADER + 1 + 16
_READ = _MAX_CONTENT + 256
# The event loop fills it and calls `buffer_updated` before it does anything else.
_ARRIVED = memoryview(bytearray(1 << 16))
# Above this, what was written does not wait for the end of the turn.
_FLUSH_AT = 1 << 16
# Asked for so much more than there can be, OpenSSL says by giving less that it has no more.
_SPARE = 64
# What a handshake or an alert takes at most, beside data.
_CONTROL = 1 << 14
# A record of the handshake is no larger than any other; certificates and tickets are a few kilobytes.
_MAX_HANDSHAKE = 1 << 16


class Channel(Protocol):
    """What a challenge needs of a connection."""

    def exporter(self) -> bytes:
        """Return the 32 octets that only the two ends of this connection share."""


class TlsConnection(asyncio.BufferedProtocol):
    """The layer. `make_inner` is called when the handshake is over, with this connection as its channel."""

    def __init__(
        self,
        context: SSL.Context,
        make_inner: Callable[[Channel], asyncio.Protocol],
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._tls = SSL.Connection(context, None)
        self._make_inner = make_inner
        self._handshake_seconds = handshake_seconds
        self._loop = asyncio.get_running_loop()
        self._lower: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._records = _Records()
        self._handshake_octets = 0
        self._written: list[bytes] = []
        self._written_octets = 0
        self._flush_due = False
        self._closing = False

    def exporter(self) -> bytes:
        """Return the 32 octets of RFC 8446, 7.5 that only the two ends of this connection share."""
        return self._tls.export_keying_material(EXPORTER_LABEL, EXPORTER_SIZE, b"")

    # What the transport below calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's first message, and not for long."""
        self._lower = cast(asyncio.Transport, transport)
        self._tls.set_accept_state()
        self._timer = self._loop.call_later(self._handshake_seconds, self.abort)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where the client's octets go: all connections' to one place, where they are taken at once."""
        return _ARRIVED

    def buffer_updated(self, nbytes: int) -> None:
        """Take octets of the client's."""
        if self._closing:
            return
        data = _ARRIVED[:nbytes]
        records = self._records.completed_by(data)
        self._tls.bio_write(data)
        if self._inner is None:
            self._shake_hands(nbytes)
        else:
            self._read(records)

    def eof_received(self) -> bool | None:
        """Pass on that the client sends no more."""
        return None if self._inner is None else self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is gone."""
        self._closing = True
        self._stop_timer()
        self._written.clear()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the transport below is full."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the transport below takes more."""
        if self._inner is not None:
            self._inner.resume_writing()

    # What the protocol above calls, through `PlainTransport`.

    def set_inner(self, inner: asyncio.BaseProtocol) -> None:
        """Let another protocol go on with this connection, as websockets do."""
        self._inner = cast(asyncio.Protocol, inner)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` at the end of this turn of the event loop, or at once where it is much."""
        if self._closing or not data:
            return
        # What may still be changed by its owner is copied.
        self._written.append(data if type(data) is bytes else bytes(data))
        self._written_octets += len(data)
        if self._written_octets >= _FLUSH_AT:
            self._flush()
        elif not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def waiting_octets(self) -> int:
        """Return how much was written and has not left."""
        return self._written_octets + (0 if self._lower is None else self._lower.get_write_buffer_size())

    def close(self) -> None:
        """Send what was written, say goodbye, and close."""
        if not self._closing:
            self._flush()
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()
        self._send(_CONTROL)
        if self._lower is not None:
            self._lower.close()

    def abort(self) -> None:
        """Close at once, whatever was written."""
        self._closing = True
        if self._lower is not None:
            self._lower.abort()

    @property
    def closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._closing

    @property
    def lower(self) -> asyncio.Transport:
        """The transport below, which there is from the first octet on."""
        if self._lower is None:
            raise RuntimeError("connection: not made yet")
        return self._lower

    def _shake_hands(self, octets: int) -> None:
        self._handshake_octets += octets
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._send(_CONTROL)
            if self._handshake_octets > _MAX_HANDSHAKE:
                self.abort()
            return
        except SSL.Error:
            # The alert that says why goes out first.
            self._send(_CONTROL)
            self._closing = True
            self.lower.close()
            return
        self._stop_timer()
        self._send(_CONTROL)
        self._inner = self._make_inner(self)
        self._inner.connection_made(PlainTransport(self))
        self._read_what_came_along()

    def _read_what_came_along(self) -> None:
        """Read what followed the handshake's last message: how many records of data, nobody knows."""
        try:
            while not self._closing and self._read_once():
                pass
        except SSL.WantReadError:
            return

    def _read(self, records: int) -> None:
        try:
            for _ in range(records):
                if self._closing or not self._read_once():
                    return
        except SSL.WantReadError:
            # A record that is no data, such as an update of keys, gives nothing: then OpenSSL wants more.
            return

    def _read_once(self) -> bool:
        try:
            content = self._tls.recv(_READ)
        except SSL.WantReadError:
            raise
        except SSL.ZeroReturnError:
            # The client's goodbye.
            if self._inner is not None:
                self._inner.eof_received()
            self.close()
            return False
        except SSL.Error:
            self._send(_CONTROL)
            self.abort()
            return False
        if self._inner is not None:
            self._inner.data_received(content)
        return True

    def _flush(self) -> None:
        """Seal and send what was written."""
        self._flush_due = False
        if not self._written or self._closing:
            return
        written, self._written, self._written_octets = self._written, [], 0
        content = written[0] if len(written) == 1 else b"".join(written)
        try:
            # OpenSSL takes one record at a time.
            sent = self._tls.send(content)
            if sent != len(content):
                left = memoryview(content)[sent:]
                while left:
                    left = left[self._tls.send(left) :]
        except SSL.Error:
            self.abort()
            return
        records = len(content) // _MAX_CONTENT + 1
        self._send(len(content) + records * _RECORD_OVERHEAD)

    def _send(self, expected: int) -> None:
        """Pass on what OpenSSL has for the client: asked for a little more, it says when that was all."""
        size, lower = expected + _SPARE, self.lower
        try:
            sealed = self._tls.bio_read(size)
            while len(sealed) == size:
                lower.write(sealed)
                sealed = self._tls.bio_read(size)
        except SSL.WantReadError:
            return
        lower.write(sealed)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PlainTransport(asyncio.Transport):
    """The connection as the protocol above sees it: what is written here leaves sealed."""

    def __init__(self, connection: TlsConnection) -> None:
        super().__init__()
        self._connection = connection
        self._lower = connection.lower

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """Return what the transport below says; that there is TLS is all that can be said of it."""
        return True if name == "sslcontext" else self._lower.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Say whether nothing more is sent."""
        return self._connection.closing

    def close(self) -> None:
        """Send what was written, then close."""
        self._connection.close()

    def abort(self) -> None:
        """Close at once."""
        self._connection.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol go on with this connection."""
        self._connection.set_inner(protocol)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` at the end of this turn of the event loop."""
        self._connection.write(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Write each."""
        for data in list_of_data:
            self._connection.write(data)

    def can_write_eof(self) -> bool:
        """Say no: TLS has no half that is closed."""
        return False

    def is_reading(self) -> bool:
        """Say whether the transport below reads."""
        return self._lower.is_reading()

    def pause_reading(self) -> None:
        """Stop taking octets."""
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Take octets again."""
        self._lower.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return how much was written and has not left."""
        return self._connection.waiting_octets()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the transport below."""
        self._lower.set_write_buffer_limits(high=high, low=low)


class _Records:
    """Counts the records that arrive, by the lengths in their headers (RFC 8446, 5.1)."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def completed_by(self, data: bytes | memoryview) -> int:
        """Return how many records end within `data`."""
        # Nearly always: one record, whole.
        aligned = not self._left and not self._head and len(data) > _RECORD_HEADER
        if aligned and _RECORD_HEADER + (data[3] << 8 | data[4]) == len(data):
            return 1
        return self._count(data)

    def _count(self, data: bytes | memoryview) -> int:
        records, place = 0, 0
        while place < len(data):
            if not self._left:
                wanted = _RECORD_HEADER - len(self._head)
                self._head += bytes(data[place : place + wanted])
                place += wanted
                if len(self._head) < _RECORD_HEADER:
                    break
                self._left = self._head[3] << 8 | self._head[4]
                self._head = b""
            taken = min(self._left, len(data) - place)
            self._left -= taken
            place += taken
            records += not self._left
        return records
