"""How a run ends, and that nothing but the outcome, a built-in name, a file and a line says so."""

import pytest
from enclave_world import WAIT_FOR_GO, World, with_limits

from sealroom.core.wire.receipt_closing import Failure, Outcome
from sealroom.core.wire.terms import LogRelease

# A process of its own in every test.
pytestmark = pytest.mark.e2e

CANARY = "canary-7c1f"
WRITES = "from sealroom.enclave import Enclave\nEnclave().write(b'x' * 10)\n"


def run(world: World, program: str, **files: str) -> World:
    world.code = {"run.py": program, **{f"{name}.py": content for name, content in files.items()}}
    world.run()
    return world


def assert_no_canary_outside(world: World, *, canary: str = CANARY) -> None:
    """`run.py` itself is public: canaries are put together by the program."""
    assert canary.encode() not in world.everything_outside()


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nsys.exit()\n",
        "import sys\nsys.exit(0)\n",
        "import os\nos._exit(0)\n",
        "import posix\nposix._exit(0)\n",
        "raise SystemExit\n",
        "class Exit(SystemExit): pass\nraise Exit(0)\n",
        "exit()\n",
        "import threading\nthreading.Thread(target=lambda: 1 / 0).start()\n",
    ],
)
def test_a_program_that_ends_itself_well_has_succeeded(world: World, program: str) -> None:
    run(world, WRITES + program)
    assert world.wait() == 0
    assert world.closing().outcome is Outcome.SUCCEEDED
    assert world.result(0, 0, "result") == b"x" * 10


@pytest.mark.parametrize(
    ("program", "kind", "line"),
    [
        ("import sys\nsys.exit(42)\n", "SystemExit", 4),
        ("import sys\nsys.exit('words')\n", "SystemExit", 4),
        ("class Exit(SystemExit):\n    code = 0\nraise Exit(42)\n", "SystemExit", 5),
        ("import sys\nsys.exit(False)\n", "SystemExit", 4),
        ("import os\nos._exit(42)\n", "SystemExit", 4),
        ("class Special(KeyError): pass\nraise Special('words')\n", "KeyError", 4),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", 3),
        ("raise ExceptionGroup('words', [ValueError('words')])\n", "ExceptionGroup", 3),
        ("1 / 0\n", "ZeroDivisionError", 3),
    ],
)
def test_a_program_that_fails_says_only_a_built_in_name_and_a_place(
    world: World, program: str, kind: str, line: int
) -> None:
    run(world, WRITES + program)
    assert world.wait() == 1
    closing = world.closing()
    assert (closing.outcome, closing.exit_code) == (Outcome.FAILED, 1)
    assert closing.failure == Failure(type=kind, file="run.py", line=line)
    assert b"words" not in (world.spool / "closing").read_bytes()


def test_a_failed_run_releases_no_result(world: World) -> None:
    run(world, WRITES + "raise ValueError\n")
    assert world.closing().outputs == ()
    assert world.closing().bytes_out == 0
    assert list((world.spool / "results/0").iterdir()) == []


def test_the_place_of_a_failure_is_the_innermost_line_of_the_program(world: World) -> None:
    run(world, "import model\nmodel.f()\n", model="import json\ndef f():\n    json.loads('{')\n")
    failure = world.closing().failure
    assert failure == Failure(type="ValueError", file="model.py", line=3)


def test_a_syntax_error_has_its_place_and_no_text(world: World) -> None:
    run(world, "import model\n", model="a = 1\nb = = 'canary-7c1f'\n")
    assert world.closing().failure == Failure(type="SyntaxError", file="model.py", line=2)
    log = world.log(world.consumers[0])
    assert "model.py" in log
    assert CANARY not in log


@pytest.mark.parametrize(
    "how",
    [
        "{}",
        "try:\n    {}\nexcept SyntaxError as e:\n    raise ValueError from e",
        "try: 1/0\nexcept ZeroDivisionError: {}",
    ],
)
def test_what_a_sealed_module_evaluates_is_not_in_the_log(world: World, how: str) -> None:
    run(world, "import model\n", model=how.format('eval("canary-7c1f = \'")'))
    log = world.log(world.consumers[0])
    assert "SyntaxError: " in log
    assert CANARY not in log


def test_an_error_that_contains_itself_is_printed(world: World) -> None:
    run(world, "a, b = ValueError('said'), KeyError()\na.__cause__, b.__cause__ = b, a\nraise a\n")
    assert "ValueError: said" in world.log(world.consumers[0])


def test_a_syntax_error_in_the_entry_point_has_its_place(world: World) -> None:
    run(world, "a = 1\n\nb = =\n")
    assert world.closing().failure == Failure(type="SyntaxError", file="run.py", line=3)


@pytest.mark.parametrize(
    "program",
    [
        # A class called like the secret, posing as built-in.
        "name = 'canary' + '-7c1f'\n"
        "import builtins\n"
        "kind = type(name, (Exception,), {'__module__': 'builtins'})\n"
        "setattr(builtins, name, kind)\n"
        "raise kind(name)\n",
        # A metaclass that lies about its ancestors.
        "class Liar(type):\n"
        "    @property\n"
        "    def __mro__(cls): return (type('canary' + '-7c1f', (), {}),)\n"
        "    __name__ = 'canary' + '-7c1f'\n"
        "class Kind(Exception, metaclass=Liar): pass\n"
        "raise Kind\n",
        # Code that claims to lie in a file called like the secret, and another at a line that says it.
        "exec(compile('raise ValueError', 'canary' + '-7c1f', 'exec'))\n",
        "exec(compile('\\n' * 70000 + 'raise ValueError', 'run.py', 'exec'))\n",
        "import sys\nsys.exit('canary' + '-7c1f')\n",
        "import os\nos.write(2, b'canary' + b'-7c1f')\nos.abort()\n",
        "import ctypes\nctypes.CDLL(None).perror(b'canary' + b'-7c1f')\nctypes.CDLL(None)._exit(3)\n",
        "import sys\nsys.excepthook = lambda *a: open('/dev/stderr', 'w').write('canary' + '-7c1f')\n1/0\n",
        "import threading\n"
        "def f(): raise Exception('canary' '-7c1f')\n"
        "thread = threading.Thread(target=f)\nthread.start()\nthread.join()\n",
    ],
)
def test_no_canary_leaves(world: World, program: str) -> None:
    run(world, program)
    assert_no_canary_outside(world)
    if (world.spool / "closing").exists():
        failure = world.closing().failure
        assert failure is None or failure.line <= program.count("\n") + 1


def test_no_canary_leaves_without_a_log_release(world: World) -> None:
    world.logs = LogRelease.NONE
    run(world, "word = 'canary' + '-7c1f'\nprint(word)\nraise type(word, (Exception,), {})(word)\n")
    assert_no_canary_outside(world)
    assert world.closing().failure == Failure(type="Exception", file="run.py", line=3)


def test_exit_codes_of_the_process_say_no_more_than_the_outcome(world: World) -> None:
    run(world, "import os\nos._exit(77)\n")
    assert world.wait() == 1


def test_a_killed_process_leaves_an_opening_and_no_closing(world: World) -> None:
    run(world, "import os\nos.abort()\n")
    assert world.opening().computation == world.computation
    assert not (world.spool / "closing").exists()
    assert not (world.spool / "log").exists()


def test_the_time_limit_ends_a_run_with_a_closing(world: World) -> None:
    with_limits(world, max_seconds=1)
    run(world, WRITES + "print('working', flush=True)\nwhile True: pass\n")
    assert world.wait() == 1
    closing = world.closing()
    assert (closing.outcome, closing.failure) == (Outcome.LIMIT, None)
    assert closing.outputs == ()
    assert world.log(world.consumers[0]) == "working\n"


def test_the_time_limit_holds_for_threads_that_never_end(world: World) -> None:
    with_limits(world, max_seconds=1)
    run(world, "import threading\nthreading.Thread(target=threading.Event().wait).start()\n")
    assert world.closing().outcome is Outcome.LIMIT


def test_a_thread_that_cannot_be_waited_for_does_not_keep_the_closing_back(world: World) -> None:
    run(
        world,
        WRITES + "import threading, time\nclass Stubborn(threading.Thread):\n"
        "    def join(self, timeout=None): raise RuntimeError\n"
        "    def is_alive(self): raise RuntimeError\n"
        "Stubborn(target=time.sleep, args=(0.1,)).start()\n",
    )
    assert world.closing().outcome is Outcome.SUCCEEDED


def test_a_result_that_was_being_written_at_the_limit_is_removed(world: World) -> None:
    with_limits(world, max_seconds=1)
    run(
        world,
        "import time\nfrom sealroom.enclave import Enclave\n"
        "class Endless:\n"
        "    def seek(self, *place): return 0\n"
        "    def readinto(self, buffer):\n        time.sleep(0.01)\n        return 1\n"
        "Enclave().write(Endless())\n",
    )
    assert world.closing().outcome is Outcome.LIMIT
    assert list((world.spool / "results/0").iterdir()) == []


def test_waits_for_the_threads_of_a_program(world: World) -> None:
    run(
        world,
        "import threading, time\nfrom sealroom.enclave import Enclave\n"
        "def work():\n    time.sleep(0.2)\n    Enclave().write(b'late')\n"
        "threading.Thread(target=work).start()\n",
    )
    assert world.result(0, 0, "result") == b"late"


def test_a_pool_of_threads_that_was_never_shut_down_does_its_work_and_ends(world: World) -> None:
    with_limits(world, max_seconds=10)
    run(
        world,
        "import concurrent.futures\nfrom sealroom.enclave import Enclave\n"
        "pool = concurrent.futures.ThreadPoolExecutor(2)\npool.submit(Enclave().write, b'pooled')\n",
    )
    assert world.result(0, 0, "result") == b"pooled"


@pytest.mark.parametrize(
    "program",
    [
        "Enclave().write(bytes(100_000))\n",
        "Enclave().write(bytes(60_000))\nEnclave().write(bytes(60_000))\n",
        # Swallowing the error does not help.
        "try:\n    Enclave().write(bytes(100_000))\nexcept OSError:\n    pass\n",
        "try:\n    Enclave().write(bytes(100_000))\nexcept OSError:\n    raise ValueError\n",
        "with Enclave().output('r') as out:\n    for _ in range(11): out.write(bytes(10_000))\n",
        "import contextlib\nwith contextlib.suppress(OSError), Enclave().output('r') as out:\n"
        "    for _ in range(11): out.write(bytes(10_000))\n",
    ],
)
def test_more_output_than_the_budget_ends_as_limit(world: World, program: str) -> None:
    with_limits(world, max_output_bytes=100_000)
    run(world, "from sealroom.enclave import Enclave\n" + program)
    closing = world.closing()
    assert (closing.outcome, closing.failure, closing.outputs) == (Outcome.LIMIT, None, ())
    assert list((world.spool / "results/0").iterdir()) == []


def test_output_up_to_the_budget_is_released(world: World) -> None:
    with_limits(world, max_output_bytes=100_000)
    run(world, "from sealroom.enclave import Enclave\nEnclave().write(bytes(99_994))\n")
    assert world.closing().outcome is Outcome.SUCCEEDED
    assert world.closing().bytes_out == 100_000


@pytest.mark.parametrize("kind", ["MemoryError", "type('ArrayMemoryError', (MemoryError,), {})"])
def test_running_out_of_memory_ends_as_limit(world: World, kind: str) -> None:
    run(world, f"raise {kind}\n")
    assert world.closing().outcome is Outcome.LIMIT


def test_a_copy_of_the_process_signs_no_closing(world: World) -> None:
    run(
        world,
        # Past the audit hook, which a sandbox would not let it.
        "import ctypes, os, sys\nchild = ctypes.PyDLL(None).fork()\nif not child:\n    sys.exit(0)\n"
        "_, status = os.waitpid(child, 0)\nprint(os.waitstatus_to_exitcode(status))\nraise ValueError\n",
    )
    assert world.closing().outcome is Outcome.FAILED
    assert world.log(world.consumers[0]).startswith("1\n")


def test_a_program_that_closes_every_descriptor_still_gets_its_closing(world: World) -> None:
    run(world, WRITES + "import os\nprint('lost')\nos.closerange(0, 4096)\n")
    assert world.closing().outcome is Outcome.SUCCEEDED
    assert world.log(world.consumers[0]) == ""


def test_an_input_changed_after_the_check_fails_the_run(world: World) -> None:
    world.code = {
        "run.py": WAIT_FOR_GO + "from sealroom.enclave import Enclave\n"
        "for file in Enclave().read(): file.read()\n"
    }
    world.add_input(0, "a", b"x" * 10_000)
    world.launch()
    world.deliver_all()
    world.wait_for("opening")
    place = world.spool / "inputs/0/0"
    raw = bytearray(place.read_bytes())
    raw[200] ^= 1
    place.write_bytes(raw)
    world.put("go", b"")
    assert world.wait() == 1
    assert world.closing().failure == Failure(type="OSError", file="run.py", line=6)


def test_an_input_exchanged_whole_after_the_check_fails_the_run(world: World) -> None:
    world.code = {
        "run.py": WAIT_FOR_GO + "from sealroom.enclave import Enclave\n"
        "for file in Enclave().read(): file.read()\n"
    }
    world.add_input(0, "a", b"honest")
    world.launch()
    world.deliver_all()
    world.wait_for("opening")
    # Sealed with the right key for the right name: only the remembered header tells them apart.
    (world.spool / "inputs/0/0").write_bytes(world.seal_input(world.providers[0], "a", b"forged"))
    world.put("go", b"")
    assert world.wait() == 1
    assert world.closing().outcome is Outcome.FAILED
