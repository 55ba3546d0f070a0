"""An ASGI application without a framework: `/health`, and `/score`, which adds up a JSON list of numbers.

A FastAPI application stands here as well: `app = FastAPI()`, and `fastapi` in requirements.in.
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]


def secret(name: str) -> object:
    """Return a secret that was sealed to the enclave: `secrets_to_seal.json` has those for tests."""
    return json.loads(Path(os.environ["SEALED_SECRETS_PATH"]).read_text())[name]


def answer(method: str, path: str, body: bytes) -> tuple[int, object]:
    """Return status and content."""
    if (method, path) == ("GET", "/health"):
        return 200, {"healthy": True}
    if (method, path) == ("POST", "/score"):
        return 200, {"score": sum(json.loads(body)) * float(str(secret("weight")))}
    return 404, {"error": "no such path"}


async def read_body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    """Return the whole body of a request."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body", False):
            return body


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        raise RuntimeError("only HTTP is served")
    status, content = answer(scope["method"], scope["path"], await read_body(receive))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
