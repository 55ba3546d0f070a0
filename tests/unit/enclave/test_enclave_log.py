"""What a program prints, at whatever level, and who can read it."""

import pytest
from enclave_world import World, with_limits

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.sealing.log_opening import find_log_key, parse_log_keys
from sealroom.core.wire.terms import LogRelease

# A process of its own in every test.
pytestmark = pytest.mark.e2e

PRINTS = """
import ctypes, os, subprocess, sys
print("print")
os.write(1, b"write 1\\n")
os.write(2, b"write 2\\n")
ctypes.CDLL(None).puts(b"from C")
print("warned", file=sys.stderr)
with open("/dev/stdout", "a") as file:
    file.write("by path\\n")
sys.stdout.buffer.write(b"raw\\xff\\n")
print(repr(sys.stdin.read()), "\\udc80")
"""


def test_nothing_that_is_printed_reaches_the_host(world: World) -> None:
    world.code = {"run.py": PRINTS}
    assert world.run() == 0
    assert world.stderr() == (world.base / "stdout").read_text() == ""


def test_keeps_the_order_of_what_is_printed(world: World) -> None:
    world.code = {
        "run.py": "import os, sys\nprint(1)\nos.write(2, b'2\\n')\nprint(3, file=sys.stderr)\nprint(4)\n"
    }
    world.run()
    assert world.log(world.consumers[0]) == "1\n2\n3\n4\n"


def test_a_program_may_open_its_output_again(world: World) -> None:
    world.code = {"run.py": "print('gone')\nopen('/dev/stdout', 'w').write('new')\nprint(' last')\n"}
    assert world.run() == 0
    assert world.log(world.consumers[0]) == "new last\n"


def test_catches_every_way_to_print(world: World) -> None:
    world.code = {"run.py": PRINTS.replace("raw\\xff", "raw")}
    world.run()
    expected = {"print", "write 1", "write 2", "from C", "warned", "by path", "raw", "'' \\udc80"}
    assert set(world.log(world.consumers[0]).splitlines()) == expected


def test_every_participant_reads_the_log_and_nobody_else(world: World) -> None:
    world.code = {"run.py": "print('hello')\n"}
    world.run()
    assert {world.log(party) for party in world.parties} == {"hello\n"}
    keys = parse_log_keys((world.spool / "log-keys").read_bytes())
    assert [entry.reader_pk for entry in keys.sealed] == [party.public_key for party in world.parties]
    with pytest.raises(VerificationError):
        find_log_key(keys, signing_key=SigningKey.generate())


def test_a_key_in_two_roles_is_one_reader(world: World) -> None:
    provider, consumer = world.providers[0], world.consumers[0]
    consumer.seed, consumer.key, consumer.email = provider.seed, provider.key, provider.email
    world.run()
    keys = parse_log_keys((world.spool / "log-keys").read_bytes())
    assert len(keys.sealed) == len(world.parties) - 1


def test_a_public_log_comes_with_its_key(world: World) -> None:
    world.logs = LogRelease.PUBLIC
    world.code = {"run.py": "print('hello')\n"}
    world.run()
    assert world.log() == "hello\n"


def test_without_a_log_release_nothing_of_the_log_leaves(world: World) -> None:
    world.logs = LogRelease.NONE
    world.code = {"run.py": "print('hello')\n"}
    assert world.run() == 0
    assert not (world.spool / "log").exists()
    assert not (world.spool / "log-keys").exists()
    assert world.closing().log_sha256 is None
    assert world.closing().bytes_log == 0


def test_a_log_is_cut_at_its_budget_and_the_program_goes_on(world: World) -> None:
    with_limits(world, max_log_bytes=10_003)
    program = (
        "import os\nfor number in range(20_000): print('line', number)\n"
        # What does not leave is not kept either, but for the line that reached the budget.
        "assert os.fstat(1).st_size < 10_100\nos.write(1, bytes(50_000))\n"
    )
    world.code = {"run.py": program}
    assert world.run() == 0
    assert len(world.log(world.consumers[0])) == 10_003


def test_a_log_of_no_budget_is_empty(world: World) -> None:
    with_limits(world, max_log_bytes=0)
    world.code = {"run.py": "print('hello')\n"}
    assert world.run() == 0
    assert world.log(world.consumers[0]) == ""


def test_the_largest_budget_costs_nothing_until_it_is_used(world: World) -> None:
    with_limits(world, max_log_bytes=2**63 - 1)
    world.code = {"run.py": "print('hello')\n"}
    assert world.run() == 0
    assert world.log(world.consumers[0]) == "hello\n"


def test_the_traceback_of_a_failure_stands_in_the_log_without_sealed_source(world: World) -> None:
    world.code = {
        "run.py": "import model\nmodel.f()\n",
        "model.py": "def f():\n    raise ValueError('why')  # x9\n",
    }
    world.run()
    log = world.log(world.providers[0])
    assert log.splitlines()[0] == "Traceback (most recent call last):"
    assert 'File "run.py", line 2, in <module>' in log
    assert 'File "model.py", line 2, in f' in log
    assert log.endswith("ValueError: why\n")
    assert "x9" not in log
    assert "program.py" not in log
