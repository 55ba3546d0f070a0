"""A fresh server for each test, and a computation of four people on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from server_world import ServerWorld, Study

from sealroom.server.api import enclaves


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody follows launches while a request is under way here, so waiting for an answer is in vain.
    monkeypatch.setattr(enclaves, "WAIT_SECONDS", 0.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServerWorld]:
    server = ServerWorld(tmp_path)
    yield server
    server.close()


@pytest.fixture
def study(world: ServerWorld) -> Study:
    return Study(world)
