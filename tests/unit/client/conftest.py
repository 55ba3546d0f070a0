"""Homes, and the real server's application over real TLS, in this process and without enclaves."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.session import Client
from sealroom.client.transport import ServerAddress, TransportOptions

MakeClient = Callable[[str], Client]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def make_client(tmp_path: Path, address: ServerAddress) -> Iterator[MakeClient]:
    """Makes a person: a home, a key, an account of their own at the server."""
    with ExitStack() as clients:
        count = 0

        def make(name: str) -> Client:
            nonlocal count
            count += 1
            home = Home.open(tmp_path / f"{name}-{count}")
            create_identity(home)
            options = TransportOptions(timeout_seconds=20, attempts=2)
            client = clients.enter_context(Client(home=home, server=address, options=options))
            # The server is shared by all tests: an address of one's own.
            client.create_account(f"{name}.{tmp_path.name.lower().replace('_', '-')[:60]}@example.org")
            return client

        yield make
