"""A whole computation in Gramine without SGX, wherever gramine-direct is installed."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_processes import wait_until
from platform_world import Platform, World

from sealroom.client import State
from sealroom.core.wire.receipt_closing import Outcome

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("gramine-direct") is None,
        reason="gramine-direct is not on the PATH: Gramine is not here",
    ),
]


@pytest.fixture(scope="module")
def gramine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    made = Platform(tmp_path_factory.mktemp("gramine"), launcher="gramine-direct")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def world(gramine: Platform, tmp_path: Path) -> Iterator[World]:
    made = World(platform=gramine, root=tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_two_data_providers_one_program_one_result(world: World) -> None:
    began = time.monotonic()
    scene = world.scene(data_providers=2).prepare()
    print(f"prepared, attested under gramine-direct: {time.monotonic() - began:.1f} s")
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    print(f"succeeded: {time.monotonic() - began:.1f} s")
    (result,) = scene.readers[0].results()
    assert result.path.read_bytes() == b"data 0+data 1"
    for holder in scene.holders:
        record = holder.receipt()
        assert record.closing is not None
        assert record.closing.outcome is Outcome.SUCCEEDED
        assert holder.logs().text == b"2 files\n"
    wait_until(lambda: not scene.processes.all(), "the enclave and its supervisor ended by themselves")


def test_a_file_that_nobody_measured_is_refused_by_gramine(world: World) -> None:
    """The program reads a file of its machine: under Gramine there is none but those of the manifest."""
    program = {
        "run.py": (
            "from sealroom.enclave import Enclave\n"
            "found = []\n"
            "for path in ('/etc/passwd', '/proc/1/environ', '/sealroom/host/launch.json'):\n"
            "    try:\n"
            "        found.append(open(path).read())\n"
            "    except OSError as error:\n"
            "        found.append(type(error).__name__)\n"
            "Enclave().write(repr(found).encode(), name='found')\n"
        )
    }
    scene = world.scene().prepare(program)
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    (result,) = scene.readers[0].results()
    found = json.loads(result.path.read_bytes().replace(b"'", b'"'))
    assert found[0] == found[2] == "FileNotFoundError"
