"""The port of a service: on every address of the enclave, in both versions of IP.

Must never take another port than the measured one. Spec: docs/spec/services.md, "Network".
"""

from __future__ import annotations

import contextlib
import socket

BACKLOG = 2048
_FAMILIES = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104 - who may reach it is the host's


def listen(port: int) -> tuple[socket.socket, ...]:
    """Listen on `port`; raises `OSError` where it is taken. A system without IPv6 has IPv4 alone."""
    sockets = [_listen(*_FAMILIES[0], port)]
    with contextlib.suppress(OSError):
        sockets.append(_listen(*_FAMILIES[1], port))
    return tuple(sockets)


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made
