"""The server around an application: what it takes of a request before there is one."""

import asyncio
import socket

import pytest

from sealroom.enclave.service.challenge import Challenges
from sealroom.enclave.service.serving import MAX_HEAD_BYTES, Serving

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _said_to(*parts: bytes) -> bytes:
    listening = socket.create_server(("127.0.0.1", 0))
    serving = Serving(application, tls=None, challenges=Challenges(lambda _: b"quote"))
    running = asyncio.ensure_future(serving.run([listening]))
    await serving.started.wait()
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(1 << 16), timeout=5)
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        writer.close()
        serving.stop()
        await running


def said_to(*parts: bytes) -> bytes:
    return asyncio.run(_said_to(*parts))


PIECE = b"a" * (MAX_HEAD_BYTES // 4)


@pytest.mark.parametrize("begin", [HEAD + b"X: ", b"GET /", b"POST / HTTP/1.1\r\nX"])
def test_a_head_without_end_is_refused(begin: bytes) -> None:
    """The parser joins the parts of a value again and again: it took minutes and all memory."""
    assert said_to(begin, *[PIECE] * 4).startswith(b"HTTP/1.1 400 ")


def test_trailers_without_end_close_the_connection() -> None:
    assert said_to(CHUNKED + b"0\r\nX: ", *[PIECE] * 6) == b""


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD + b"X: ", PIECE, PIECE, b"\r\nContent-Length: 0\r\n\r\n"),
        (HEAD + b"Content-Length: %d\r\n\r\n" % (8 * len(PIECE)), *[PIECE] * 8),
        (CHUNKED, *[b"%x\r\n" % len(PIECE) + PIECE + b"\r\n"] * 8, b"0\r\n\r\n"),
    ],
)
def test_large_heads_and_bodies_of_any_length_are_answered(parts: tuple[bytes, ...]) -> None:
    assert said_to(*parts).startswith(b"HTTP/1.1 200 ")
