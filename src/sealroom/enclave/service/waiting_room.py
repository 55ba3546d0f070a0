"""How a waiting enclave is asked, over TLS: three requests, one a connection, everything bounded.

A connection may begin with one channel challenge, for what follows is to go where the answer came from. It
has twenty seconds for its handshake and its whole request, a head of 16 KiB and a body of 1 MiB;
sixteen are open at once. Must never keep or log a part of a request beyond its answer.
Spec: docs/spec/services.md, "Bootstrap".
"""

from __future__ import annotations

import asyncio
from urllib.parse import unquote_to_bytes

import h11

from sealroom.core.wire.bootstrap import MAX_BOOTSTRAP_BYTES, STATUS_HEADER, STATUS_WAITING
from sealroom.core.wire.channel import CHALLENGE_PATH
from sealroom.enclave.service.challenge import Answer, Challenges
from sealroom.enclave.service.connection import Channel, TlsConnection
from sealroom.enclave.service.provisioning import Provisioning, Verdict
from sealroom.enclave.service.tls import ServerTls

MAX_CONNECTIONS = 16
REQUEST_SECONDS = 20.0
MAX_HEAD_BYTES = 16 * 1024

_GOODBYE_SECONDS = 5.0
_OK, _TOO_LARGE, _DEFECT = 200, 413, 500


class WaitingRoom:
    """Takes connections until an offer was accepted, or the last one was refused.

    `done` is set then.
    """

    def __init__(
        self,
        tls: ServerTls,
        provisioning: Provisioning,
        challenges: Challenges,
        *,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self.tls = tls
        self.request_seconds = request_seconds
        self.done = asyncio.Event()
        self._provisioning = provisioning
        self._challenges = challenges
        self._open: set[_Guest] = set()
        self._turn = asyncio.Lock()

    def connection(self) -> asyncio.BaseProtocol:
        """Make the protocol of a new connection, as an asyncio server asks for it."""
        return _Guest(self)

    def enter(self, guest: _Guest) -> bool:
        """Let a connection in, unless there are as many as there may be."""
        if len(self._open) >= MAX_CONNECTIONS:
            return False
        self._open.add(guest)
        return True

    def leave(self, guest: _Guest) -> None:
        """Forget a connection."""
        self._open.discard(guest)

    async def leave_all(self) -> None:
        """Wait until the answers that are being given have left, then close what is open."""
        waited = 0.0
        while self._open and waited < _GOODBYE_SECONDS:
            await asyncio.sleep(0.01)
            waited += 0.01
            for guest in [guest for guest in self._open if not guest.asked]:
                guest.abort()
        for guest in list(self._open):
            guest.abort()

    async def answer(self, request: h11.Request, body: bytes, channel: Channel) -> Answer:
        """Answer one request."""
        path, query = _target(request)
        if path == CHALLENGE_PATH.encode():
            return await self._challenges.answer(
                method=request.method, query=query, channel=channel, key_info=self.tls.key_info
            )
        if path != b"/":
            return Answer(status=404)
        if request.method in (b"GET", b"HEAD"):
            return Answer(status=200)
        if request.method != b"POST":
            return Answer(status=405, headers=((b"allow", b"GET, POST"),))
        return Answer(status=(await self._offer(body)).value)

    async def _offer(self, body: bytes) -> Verdict:
        async with self._turn:
            # Opening the code takes as long as the code is large: connections go on meanwhile.
            verdict = await asyncio.to_thread(self._provisioning.offer, body)
        if verdict is Verdict.ACCEPTED or self._provisioning.exhausted:
            self.done.set()
        return verdict


class _Guest(TlsConnection):
    """A connection to the waiting room: TLS, and a deadline for all of its request."""

    def __init__(self, room: WaitingRoom) -> None:
        super().__init__(room.tls.context, self._converse, handshake_seconds=room.request_seconds)
        self._room = room
        self._deadline: asyncio.TimerHandle | None = None
        self.asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or be turned away."""
        super().connection_made(transport)
        if not self._room.enter(self):
            self.abort()
            return
        self.abort_after(self._room.request_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.no_deadline()
        self._room.leave(self)
        super().connection_lost(exc)

    def abort_after(self, seconds: float) -> None:
        """Close the connection if it is still open then."""
        self.no_deadline()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)

    def no_deadline(self) -> None:
        """Let the connection take its time: its request is whole, and the answer is ours."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _converse(self, _: Channel) -> asyncio.Protocol:
        return _Conversation(self, self._room)


class _Conversation(asyncio.Protocol):
    """One request and its answer, in HTTP/1.1; before it, perhaps, a challenge and its own."""

    def __init__(self, guest: _Guest, room: WaitingRoom) -> None:
        self._guest = guest
        self._room = room
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._challenged = False

    def data_received(self, data: bytes) -> None:
        """Take a part of the request; what follows it is not read."""
        if self._task is not None or self._guest.closing:
            return
        try:
            self._http.receive_data(data)
            self._read()
        except h11.RemoteProtocolError as exc:
            self._say(Answer(status=exc.error_status_hint))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the request; an offer that is being decided is decided."""
        self._body.clear()

    def _read(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request = event
                if _announced(event) > MAX_BOOTSTRAP_BYTES:
                    self._say(Answer(status=_TOO_LARGE))
                    return
                if self._http.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BOOTSTRAP_BYTES:
                    self._say(Answer(status=_TOO_LARGE))
                    return
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._guest.no_deadline()
                self._guest.asked = True
                self._task = asyncio.get_running_loop().create_task(self._respond(self._request))
                return
            else:
                return

    async def _respond(self, request: h11.Request) -> None:
        body = bytes(self._body)
        self._body.clear()
        answer = Answer(status=_DEFECT)
        try:
            answer = await self._room.answer(request, body, self._guest)
        finally:
            # Whatever happened, the connection does not stay open for ever.
            self._finish(request, answer)

    def _finish(self, request: h11.Request, answer: Answer) -> None:
        is_first_challenge = _target(request)[0] == CHALLENGE_PATH.encode() and not self._challenged
        self._say(answer, goes_on=is_first_challenge and answer.status == _OK)

    def _say(self, answer: Answer, *, goes_on: bool = False) -> None:
        """Answer, and close, unless one request may follow: nothing is kept from the one to the other."""
        if self._guest.closing:
            return
        headers = [
            (STATUS_HEADER.encode(), STATUS_WAITING.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            *answer.headers,
        ]
        if not goes_on:
            headers.append((b"connection", b"close"))
        self._body.clear()
        response = h11.Response(status_code=answer.status, headers=headers)
        try:
            self._send(response)
            # The answer to HEAD has no body.
            self._send(h11.Data(data=answer.body if self._wants_body() else b""))
            self._send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            self._guest.abort()
            return
        if goes_on and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._go_on()
            return
        self._guest.close()
        self._guest.abort_after(_GOODBYE_SECONDS)

    def _go_on(self) -> None:
        """Wait for the request that the challenge was for, as long as for any."""
        self._http.start_next_cycle()
        self._request, self._task, self._challenged = None, None, True
        self._guest.asked = False
        self._guest.abort_after(self._room.request_seconds)

    def _wants_body(self) -> bool:
        return self._request is None or self._request.method != b"HEAD"

    def _send(self, event: h11.Event) -> None:
        self._guest.write(self._http.send(event) or b"")


def _target(request: h11.Request) -> tuple[bytes, bytes]:
    """Return path and query."""
    raw_path, _, query = request.target.partition(b"?")
    return unquote_to_bytes(raw_path), query


def _announced(request: h11.Request) -> int:
    """Return the length that the request says its body has; h11 has checked that it is a number."""
    return next((int(value) for name, value in request.headers if name == b"content-length"), 0)
