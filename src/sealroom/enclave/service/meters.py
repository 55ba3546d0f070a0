"""Counts of what a service does, for its operator: numbers alone.

Requests and octets by class of status, open connections, the time since the start; and for the last busy
seconds the same. Must never hold a path, an address, a header or a part of a body.
Spec: docs/spec/services.md, "Operator's folder".
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
# The access log keeps as many busy seconds.
MAX_SECONDS = 3600

Send = Callable[[Any], Awaitable[None]]


class Meters:
    """What was counted since the start. `open_connections` says how many there are now."""

    def __init__(self, *, open_connections: Callable[[], int]) -> None:
        self._open_connections = open_connections
        self._started = time.monotonic()
        self._requests = [0] * len(_CLASSES)
        self._octets = [0] * len(_CLASSES)
        self._seconds: deque[_Second] = deque(maxlen=MAX_SECONDS)
        self._second = _Second(-1)

    def counting(self, send: Send) -> Send:
        """Return `send` that counts one answer on its way."""
        status_class = 4

        def counted(message: Any) -> Awaitable[None]:  # noqa: ANN401 - ASGI's messages
            nonlocal status_class
            if message["type"] == "http.response.body":
                octets = len(message.get("body", b""))
                self._octets[status_class] += octets
                self._second.octets[status_class] += octets
            elif message["type"] == "http.response.start":
                status_class = min(max(message["status"] // 100, 1), 5) - 1
                self._requests[status_class] += 1
                self._now().requests[status_class] += 1
            return send(message)

        return counted

    def _now(self) -> _Second:
        moment = int(time.time())
        if moment != self._second.moment:
            self._second = _Second(moment)
            self._seconds.append(self._second)
        return self._second

    def metrics(self) -> bytes:
        """Return the counts since the start, as JSON."""
        return _json(
            {
                "seconds": int(time.monotonic() - self._started),
                "open_connections": self._open_connections(),
                "requests": dict(zip(_CLASSES, self._requests, strict=True)),
                "bytes": dict(zip(_CLASSES, self._octets, strict=True)),
            }
        )

    def access_log(self) -> bytes:
        """Return one line for each of the last busy seconds, the oldest first."""
        lines = (
            {
                "time": datetime.fromtimestamp(each.moment, UTC).isoformat(),
                "requests": _busy(each.requests),
                "bytes": _busy(each.octets),
            }
            for each in self._seconds
        )
        return b"".join(map(_json, lines))


class _Second:
    """What was counted in one second of the host's clock."""

    __slots__ = ("moment", "octets", "requests")

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.requests = [0] * len(_CLASSES)
        self.octets = [0] * len(_CLASSES)


def _busy(counts: list[int]) -> dict[str, int]:
    return {name: count for name, count in zip(_CLASSES, counts, strict=True) if count}


def _json(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"
