"""Serves an application at home, in a process of its own: started by `trying`, and by nothing else.

Says in a file how the application is called, and where it listens. No part of any enclave: what an enclave
does with the same application is `sealroom.enclave.service`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from sealroom.core.wire.service_arguments import Interface


def interface_of(application: object) -> Interface:
    """Return how `application` is called: by what its call is, a coroutine or not."""
    while isinstance(application, functools.partial):
        application = application.func
    if not callable(application):
        raise TypeError(f"the application is a {type(application).__name__}, which cannot be called")
    # What a class says of its call stands in the class; a function or method says it itself.
    is_async = inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(
        getattr(type(application), "__call__", None)  # noqa: B004 - which it is, not whether it is one
    )
    return Interface.ASGI if is_async else Interface.WSGI


def load(name: str) -> object:
    """Import `module:variable`, and return what it names."""
    module, _, path = name.partition(":")
    found: object = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def main(name: str, report: Path, *, serve: bool) -> None:
    """Look at the application, write what was found to `report`, and serve it if asked to."""
    application = load(name)
    interface = interface_of(application)
    if not serve:
        _report(report, interface, None)
        return
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(_as_asgi(application, interface), access_log=False, log_level="warning")
        _report(report, interface, listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def _as_asgi(application: object, interface: Interface) -> Callable[..., Any]:
    # Looked at above: it is called like one of the two.
    if interface is Interface.ASGI:
        return cast("Callable[..., Any]", application)
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(cast("Callable[..., Any]", application))


def _report(report: Path, interface: Interface, port: int | None) -> None:
    partial = report.with_suffix(".new")
    partial.write_text(json.dumps({"interface": interface.value, "port": port}))
    partial.replace(report)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), serve=sys.argv[3] == "serve")
