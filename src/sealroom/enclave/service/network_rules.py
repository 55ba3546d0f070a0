"""What the audit hook lets a service do on the network, in place of what it refuses to computations.

A second line, as there: the sandbox has the first, and Gramine has none. Must never be counted on alone.
Spec: docs/spec/services.md, "Network".
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from typing import Any

from sealroom.core.wire.service_arguments import Connections

_Rule = Callable[[tuple[Any, ...]], None]

_ACCEPTED = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
_OWN_CONNECTIONS = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname",
    "socket.getnameinfo", "socket.sendmsg", "socket.sendto",
)  # fmt: skip


def network_rules(connect: Connections) -> Mapping[str, _Rule]:
    """Return the rules for an application, by the event that they are asked at."""
    rules: dict[str, _Rule] = {"socket.__new__": _check_family, "socket.sendmsg": _check_unaddressed}
    if connect is Connections.ANY:
        rules |= dict.fromkeys(_OWN_CONNECTIONS, _allow)
    return rules


def _check_family(arguments: tuple[Any, ...]) -> None:
    # What is accepted is a socket of the family that listens; event loops have local pairs.
    if arguments[1] not in _ACCEPTED:
        raise PermissionError(errno.EPERM, "a service speaks TCP alone")


def _check_unaddressed(arguments: tuple[Any, ...]) -> None:
    # On a connection that there is, a message has no address.
    if arguments[1] is not None:
        raise PermissionError(errno.EPERM, "this service makes no connections of its own")


def _allow(_: tuple[Any, ...]) -> None:
    return
