"""A real program in a real enclave under this machine's sandbox: what it reaches, and what it uses up.

Each sandbox is tried alone, without the audit hook, in tests/e2e/enclaves/test_sandbox.py; the hook alone in
tests/unit/enclave/test_audit_hook.py. Here both stand, as in every run.
"""

import dataclasses
import json
from pathlib import Path

import pytest
from platform_world import LIMITS, Scene, World

from sealroom.client import State
from sealroom.core.wire.receipt_closing import Outcome

pytestmark = pytest.mark.e2e

# Tries each, and gives its consumer a table: "done", or the name of the error.
ESCAPES = """
import asyncio, ctypes, errno, json, os, shutil, socket, sqlite3, subprocess, sys, tempfile, threading, time
from pathlib import Path
import nacl.bindings
import sealroom.enclave
from sealroom.enclave import Enclave
libc = ctypes.CDLL(None, use_errno=True)
base = Path(sealroom.enclave.__file__).parents[3]
spool, scratch = base / "spool", Path(tempfile.gettempdir())
def attempt(action):
    try:
        action()
    except OSError as exc:
        return errno.errorcode.get(exc.errno, "not loaded")
    except BaseException as exc:
        return type(exc).__name__
    return "done"
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
def copy_of_a_library():
    import _cffi_backend
    return shutil.copyfile(_cffi_backend.__file__, scratch / "copy.so")
def load(path):
    libc.dlopen.restype = ctypes.c_void_p
    if not libc.dlopen(os.fsencode(path), os.RTLD_NOW):
        raise OSError("not loaded")
def use_scratch():
    with tempfile.TemporaryDirectory() as folder:
        sqlite3.connect(Path(folder) / "a.db").execute("create table t (x)")
O_WRONLY = os.O_WRONLY
table = {
    "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
    "connect past the hook": lambda: call("socket", 2, 1, 0),
    "look a name up": lambda: socket.getaddrinfo("localhost", 9),
    "fork": os.fork,
    "fork past the hook": lambda: call("fork"),
    "start a program": lambda: subprocess.run([sys.executable]),
    "execute": lambda: os.execv(sys.executable, ["python3"]),
    "read the spool": lambda: os.listdir(spool),
    "write the spool": lambda: open(spool / "closing", "w"),
    "remove the opening": lambda: os.remove(spool / "opening"),
    "write the inbox past the hook": lambda: call("open", os.fsencode(spool / "inbox" / "9"), 0o101, 0o600),
    "reach the device": lambda: open(base / "attestation" / "user_report_data", "wb"),
    "change the library": lambda: open(base / "lib" / "more.py", "w"),
    "change the library past the hook": lambda: call("open", os.fsencode(base / "lib" / "x"), 0o101, 0o600),
    "read the server's files past the hook": lambda: call("open", SERVER_FILE, 0),
    "load what it wrote": lambda: ctypes.CDLL(copy_of_a_library()),
    "load what it wrote past the hook": lambda: load(copy_of_a_library()),
    "write to its own code": lambda: open("/proc/self/mem", "r+b"),
    "write to its own code past the hook": lambda: call("open", b"/proc/self/mem", 2),
    "signal another process": lambda: os.kill(os.getppid() or 2, 0),
    "write to the output": lambda: os.write(1, b"in the log\\n"),
    "write to the error output": lambda: os.write(2, b"there too\\n"),
    "open the output again": lambda: open("/dev/stdout", "w").close(),
    "start a thread": lambda: threading.Thread(target=int).start(),
    "run an event loop": lambda: asyncio.run(asyncio.sleep(0)),
    "use the temporary folder": use_scratch,
    "use libsodium": lambda: nacl.bindings.crypto_hash_sha256(b"x"),
    "be called back from C": lambda: ctypes.CFUNCTYPE(ctypes.c_int)(int)(),
}
SERVER_FILE = b"%s"
outcomes = {name: attempt(action) for name, action in table.items()}
Enclave().write(json.dumps(outcomes).encode(), name="outcomes")
"""

DONE = {
    "write to the output",
    "write to the error output",
    "open the output again",
    "start a thread",
    "run an event loop",
    "use the temporary folder",
    "use libsodium",
    "be called back from C",
}
# Where the two sandboxes differ in the words of their refusal.
PAST_THE_HOOK = {
    "write the inbox past the hook": {"EROFS"},
    "change the library past the hook": {"EROFS", "EACCES"},
    "read the server's files past the hook": {"ENOENT", "EACCES"},
    "load what it wrote past the hook": {"not loaded"},
    "write to its own code past the hook": {"EROFS", "EACCES"},
}


def test_a_program_reaches_nothing_but_what_it_needs(world: World, tmp_path: Path) -> None:
    scene = world.scene()
    server_file = world.platform.database
    outcomes = _results(
        _finished(scene, ESCAPES.replace("%s", str(server_file)), State.SUCCEEDED), tmp_path / "results"
    )
    assert {name for name, outcome in outcomes.items() if outcome == "done"} == DONE
    for name, outcome in outcomes.items():
        if name not in DONE:
            assert outcome in PAST_THE_HOOK.get(name, {"EPERM"}), (name, outcome)


@pytest.mark.parametrize(
    "program",
    [
        "taken = []\nwhile True:\n    taken.append(bytearray(64 << 20))\n",
        "taken = [bytearray(1 << 26) for _ in range(1000)]\n",
    ],
)
@pytest.mark.slow
def test_taking_all_memory_ends_as_limit_with_a_receipt(world: World, program: str) -> None:
    scene = world.scene(limits=dataclasses.replace(LIMITS, max_memory=256 << 20))
    _finished(scene, program, State.FAILED)
    closing = scene.data[0].receipt().closing
    assert closing is not None
    assert closing.outcome is Outcome.LIMIT


@pytest.mark.slow
def test_a_recursion_without_end_fails_with_a_receipt(world: World) -> None:
    scene = world.scene()
    _finished(scene, "def deeper():\n    deeper()\ndeeper()\n", State.FAILED)
    closing = scene.data[0].receipt().closing
    assert closing is not None
    assert closing.failure is not None
    assert closing.failure.type == "RecursionError"


@pytest.mark.parametrize(
    "program",
    [
        # C that keeps the interpreter's lock: nothing inside can end it.
        "import ctypes\nctypes.PyDLL(None).sleep(600)\n",
        "pow(3, 1 << 40, 1 << 80 | 1)\n3 ** (1 << 34)\n",
        "import ctypes, os\nctypes.CDLL(None).abort()\n",
        "import sys\nsys.setrecursionlimit(10 ** 9)\nclass D:\n"
        "    def __getattr__(self, n): return getattr(self, n)\nD().x\n",
    ],
)
@pytest.mark.slow
def test_a_process_that_dies_leaves_an_opening_and_no_closing(world: World, program: str) -> None:
    scene = world.scene(limits=dataclasses.replace(LIMITS, max_seconds=3))
    _finished(scene, program, State.FAILED)
    assert scene.data[0].receipt().closing is None


def _finished(scene: Scene, program: str, state: State) -> Scene:
    scene.prepare({"run.py": program})
    scene.deliver_all()
    scene.wait_for(state, seconds=120)
    return scene


def _results(scene: Scene, folder: Path) -> dict[str, str]:
    (result,) = scene.readers[0].results(folder)
    outcomes: dict[str, str] = json.loads(result.path.read_bytes())
    return outcomes
