"""A whole simulated service, from spawn to its first answer, timed in parts.

Package, wheels and the code provider's part are those of the end-to-end tests, which need no network.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sealroom.server.hosting.folder import HostedState

_TESTS = Path(__file__).resolve().parents[1] / "tests"
_APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""


def spawn_to_ready() -> Iterator[tuple[str, float]]:
    """Spawn a service, bring its key and call it, then restart it; yields each part and its seconds."""
    sys.path[:0] = [str(_TESTS), str(_TESTS / "e2e/services")]
    world = importlib.import_module("service_world")
    project = world.Project(name="bench", sources={"app.py": _APP})
    clock = _Clock()
    with tempfile.TemporaryDirectory() as name, world.hosted(Path(name), project) as service:
        yield "runtime, launch folder, manifest, supervisor", clock.lap()
        yield from _until_ready(service, clock)
        service.hosting.restart("bench")
        yield "restart: launch folder, supervisor", clock.lap()
        for part, seconds in _until_ready(service, clock):
            yield f"restart: {part}", seconds


def _until_ready(service: Any, clock: "_Clock") -> Iterator[tuple[str, float]]:  # noqa: ANN401 - of the tests
    service.wait_for(HostedState.WAITING)
    yield "enclave, quote, certificate, port", clock.lap()
    service.request("POST", "/", body=service.body(sealed=service.box()))
    yield "key accepted, code opened", clock.lap()
    service.wait_for(HostedState.RUNNING)
    service.request("GET", "/")
    yield "application, first answer", clock.lap()


class _Clock:
    def __init__(self) -> None:
        self._since = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last call."""
        before, self._since = self._since, time.perf_counter()
        return self._since - before
