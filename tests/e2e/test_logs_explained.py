"""What `sealroom logs` says below a log that speaks of refused files, whoever wrote it."""

import json

import pytest
from click.testing import CliRunner
from platform_world import World

from sealroom.cli.main import sealroom
from sealroom.client import State

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# As Python prints it under Gramine, for a file that the manifest forgot; the second name is hostile.
PROGRAM = """
print('Traceback (most recent call last):')
print('  File "/sealroom/packages/one.py", line 7, in <module>')
print('    table = open(path)')
print("PermissionError: [Errno 13] Permission denied: '/sealroom/packages/table.csv'")
print("PermissionError: [Errno 13] Permission denied: '/nowhere/\\x1b[2Jx'")
"""


def test_each_refused_file_is_named_with_who_needed_it_and_the_line_to_add(world: World) -> None:
    scene = world.scene().prepare({"run.py": PROGRAM})
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    words = ["logs", str(scene.uuid), "--home", str(scene.code.client.home.root)]
    said = CliRunner().invoke(sealroom, words).output
    assert "\x1b" not in said
    assert "/sealroom/packages/table.csv  (unlisted)" in said
    assert "needed by  /sealroom/packages/one.py, line 7: table = open(path)" in said
    assert 'add        sgx.trusted_files: "file:packages/table.csv",' in said
    document = json.loads(CliRunner().invoke(sealroom, [*words, "--json"]).stdout)
    first, second = document["refused"]
    assert (first["file"], first["line"]) == ("/sealroom/packages/table.csv", '"file:packages/table.csv",')
    assert second["line"] is None
    assert document["text"].startswith("Traceback")
