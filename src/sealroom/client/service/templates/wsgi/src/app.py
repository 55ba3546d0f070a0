"""A WSGI application without a framework: `/health`, and `/score`, which adds up a JSON list of numbers.

A Flask application stands here as well: `app = Flask(__name__)`, and `flask` in requirements.in.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

REASONS = {200: "200 OK", 404: "404 Not Found"}


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


def app(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> list[bytes]:
    """Answer one request."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status, content = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
    start_response(REASONS[status], [("Content-Type", "application/json")])
    return [json.dumps(content).encode()]
