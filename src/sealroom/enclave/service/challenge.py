"""Quotes about one connection: the answer to a caller who asks where its own connection ends.

Each answer is a fresh quote over the caller's nonce and the connection's exporter, so a relay, which has two
connections, cannot pass one on. At most four a second are made, and 64 wait. Must never answer for a
connection without TLS, nor with anything but a quote. Spec: docs/spec/services.md, "Channel challenge".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.wire.byte_fields import parse_hex
from sealroom.core.wire.channel import NONCE_SIZE, channel_report_data
from sealroom.enclave.service.connection import Channel

QUOTES_A_SECOND = 4
MAX_WAITING = 64

_NONCE = "nonce="


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer in HTTP: a status, headers beside length and date, a body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


class Challenges:
    """Answers challenges on all connections of one service, at a bounded rate.

    `quote` asks the device for a quote over 64 bytes of report data, and may take a moment. `key_info` is the
    DER SubjectPublicKeyInfo of the certificate that connections show, `None` where there is no TLS.
    """

    def __init__(self, quote: Callable[[bytes], bytes]) -> None:
        self._quote = quote
        # The device answers one at a time. Its thread is started now: later ones may not write to the device.
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="quote")
        self._device.submit(int).result()
        self._waiting = 0
        self._next_at = 0.0

    async def answer(
        self, *, method: bytes, query: bytes, channel: Channel | None, key_info: bytes
    ) -> Answer:
        """Answer one challenge."""
        if channel is None:
            return Answer(status=426, headers=((b"upgrade", b"TLS/1.3"), (b"connection", b"upgrade")))
        if method != b"GET":
            return Answer(status=405, headers=((b"allow", b"GET"),))
        try:
            nonce = _nonce(query)
        except MalformedError:
            return Answer(status=400)
        if self._waiting >= MAX_WAITING:
            return Answer(status=429, headers=((b"retry-after", b"%d" % (MAX_WAITING // QUOTES_A_SECOND)),))
        bound = channel_report_data(nonce=nonce, exporter=channel.exporter(), key_info=key_info)
        try:
            quote = await self._quote_in_turn(bound)
        except (SealroomError, OSError):
            # The device is the host's. Whoever asks finds no quote, and says so.
            return Answer(status=503)
        return Answer(
            status=200,
            headers=((b"content-type", b"application/octet-stream"), (b"cache-control", b"no-store")),
            body=quote,
        )

    async def _quote_in_turn(self, report_data: bytes) -> bytes:
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            turn = max(self._next_at, loop.time())
            self._next_at = turn + 1 / QUOTES_A_SECOND
            await asyncio.sleep(turn - loop.time())
            return await loop.run_in_executor(self._device, self._quote, report_data)
        finally:
            self._waiting -= 1


def _nonce(query: bytes) -> bytes:
    text = query.decode("ascii", "replace")
    if not text.startswith(_NONCE):
        raise MalformedError("challenge: expected a nonce")
    return parse_hex(text.removeprefix(_NONCE), field="nonce", size=NONCE_SIZE)
