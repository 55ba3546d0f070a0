"""Fixtures of the tests over real processes: one platform for a session, people for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_world import Platform, World


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A server that tests share, and the operator's place on the line to it."""
    shared = Platform(tmp_path_factory.mktemp("platform"))
    try:
        shared.start()
        yield shared
    finally:
        shared.stop()


@pytest.fixture
def world(platform: Platform, tmp_path: Path) -> Iterator[World]:
    """People on the shared platform; what they started is dead afterwards."""
    made = World(platform=platform, root=tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """People on a platform of their own, for tests that kill its server or look at all that it keeps."""
    own = Platform(tmp_path / "platform")
    made = World(platform=own, root=tmp_path)
    try:
        own.start()
        yield made
    finally:
        try:
            made.close()
        finally:
            own.stop()


@pytest.fixture(scope="module")
def shared(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """People whose computations several tests of one file look at."""
    made = World(platform=platform, root=tmp_path_factory.mktemp("shared"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def honest_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """End every attack with its test, also where the computation is shared."""
    yield
    if "platform" in request.fixturenames:
        request.getfixturevalue("platform").operator.be_honest()
