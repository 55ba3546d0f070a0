"""Opening what most commands work on: the computation they name, and the server it is at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sealroom.cli.options import Invocation
from sealroom.client.session import Client


@contextmanager
def open_client(invocation: Invocation, computation: UUID) -> Iterator[Client]:
    """Open the client of a computation that was joined or made from this home."""
    client = Client.for_computation(computation, home=invocation.open_home(), identity=invocation.signing_key)
    with client:
        yield client
