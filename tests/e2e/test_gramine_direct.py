"""A whole computation in Gramine without SGX, wherever gramine-direct is installed."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from example_runner import EXAMPLES, LIMITS
from gramine_start import IMPORTS, NOTHING, parts_of_start, seconds_to_run
from platform_processes import wait_until
from platform_world import Platform, World

from examples.demo.clinical_table import hospital_tables, largest_difference, train_in_the_open
from examples.ready_wheels import ready
from sealroom.cli.main import sealroom
from sealroom.client import State
from sealroom.core.measurement.manifest import parse_manifest
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


def test_a_refused_file_is_named_to_the_code_provider_and_to_the_operator(
    gramine: Platform, world: World
) -> None:
    """A file that the manifest forgot: here one that its operator put beside those that are measured."""
    scene = world.scene().prepare(
        {"run.py": "def main():\n    open('/sealroom/packages/table.csv')\nmain()\n"}
    )
    (scene.launch_folder / "packages" / "table.csv").write_text("")
    scene.deliver_all()
    scene.wait_for(State.FAILED)
    words = ["logs", str(scene.uuid), "--home", str(scene.code.client.home.root)]
    said = CliRunner().invoke(sealroom, words).output
    assert "/sealroom/packages/table.csv  (unlisted)" in said
    assert "line 2: open('/sealroom/packages/table.csv')" in said
    assert 'sgx.trusted_files: "file:packages/table.csv",' in said
    refused = f"computation {scene.uuid}, launch 1: refused: 'table.csv'"
    wait_until(lambda: refused in gramine.server.complaints(), "the operator reads it")
    # Nothing else was complained about.
    assert [line for line in gramine.server.complaints().splitlines() if refused not in line] == []
    (gramine.root / "server.err").write_text("")


def test_the_demonstration_trains_its_model_and_where_its_start_goes(world: World) -> None:
    """Run it with `-s` to read the parts; docs/deploy-sgx.md has those of one run."""
    program = shutil.which("gramine-direct")
    assert program is not None
    tables = hospital_tables()
    code = ready(EXAMPLES / "demo/code", world.root / "program")
    scene = world.scene(data_providers=len(tables), limits=LIMITS)
    scene.register()
    for number, table in enumerate(tables):
        scene.send_data(number, {"records.csv": table})
        scene.data[number].done()
    code.give_wheels_to(scene.code.client.home)
    scene.code.send(code.folder)
    scene.wait_for(State.AWAITING_KEYS, seconds=180)
    folder = scene.launch_folder
    rows = parse_manifest((folder / "direct.manifest").read_bytes())["sgx"]["trusted_files"]
    parts = parts_of_start(folder)
    few = seconds_to_run(program, folder, NOTHING, all_files=False)
    listed = seconds_to_run(program, folder, NOTHING)
    imported = seconds_to_run(program, folder, IMPORTS)
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED, seconds=180)
    closing = scene.readers[0].receipt().closing
    assert closing is not None
    running = (closing.host_ended - closing.host_started).total_seconds()
    print(f"\n{len(rows)} trusted files under gramine-direct")
    for part in parts:
        print(part)
    print(f"{sum(part.seconds for part in parts):6.2f} s  all of it. Of Gramine and Python, by themselves:")
    print(f"{few:6.2f} s  an interpreter that does nothing, the runtime's files listed")
    print(f"{listed - few:6.2f} s  more with all files listed")
    print(f"{imported - listed:6.2f} s  more to import sealroom")
    print(f"{running:6.2f} s  afterwards, the run itself: packages imported, the model trained")
    (result,) = scene.readers[0].results()
    model = json.loads(result.path.read_bytes())
    difference = largest_difference(model["coefficients"], model["intercept"], train_in_the_open(tables))
    assert difference < 1e-6
