"""What the audit hook refuses, tried by programs in interpreters of their own: it cannot be taken off again.

The hook is the second line. What only the sandbox stops is in tests/e2e/enclaves/test_sandbox.py.
"""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

Outcomes = dict[str, dict[str, str]]

SRC = Path(__file__).parents[3] / "src"

# Installs the hook over folders of the test, then tries each attempt: "done", or what it raised.
PROGRAM = """
import ctypes, errno, json, os, sqlite3, socket, subprocess, sys, shutil, tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path
sys.path.insert(0, {src!r})
from sealroom.enclave import audit_hook, messages
base = Path({base!r})
tmp, spool, measured = base / "tmp", base / "spool", base / "measured"
unmeasured = str(base / "unmeasured.so")
inside = os.open(tmp, os.O_RDONLY)
outside = os.open(base, os.O_RDONLY)
spool_folder = os.open(spool, os.O_RDONLY)
audit_hook.install(audit_hook.Boundaries(
    measured=(str(measured), os.path.dirname(os.path.dirname(os.__file__))),
    scratch=(str(tmp),), closed=(str(spool), str(tmp / "device")), own=(messages,),
))
def attempt(action):
    try:
        action()
    except OSError as exc:
        return errno.errorcode.get(exc.errno, 'other')
    except BaseException as exc:
        return type(exc).__name__
    return "done"
def load_into(database):
    database.enable_load_extension(True)
    database.load_extension(unmeasured)
groups = {{
{groups}
}}
print(json.dumps({{
    group: {{name: attempt(action) for name, action in attempts.items()}}
    for group, attempts in groups.items()
}}))
"""


# What is tried, in groups of the same expectation.
GROUPS = {
    "processes": """
        "fork": os.fork, "forkpty": os.forkpty, "system": lambda: os.system("true"),
        "popen": lambda: os.popen("true"), "run": lambda: subprocess.run(["true"]),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "spawn": lambda: os.spawnv(os.P_NOWAIT, "/bin/true", ["true"]),
        "fork_exec": lambda: __import__("_posixsubprocess").fork_exec(),
    """,
    "network": """
        "inet": socket.socket, "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
        "look-up": lambda: socket.getaddrinfo("localhost", 9),
        "by name": lambda: socket.gethostbyname("localhost"),
        "local": lambda: socket.socket(socket.AF_UNIX).connect("\\0abstract"),
        "bind": lambda: socket.socket(socket.AF_UNIX).bind("\\0abstract"),
        "send": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", "\\0abstract"),
        "raw": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "syslog": lambda: __import__("syslog").syslog("x"),
    """,
    "event loop": """
        "loop": lambda: __import__("asyncio").run(__import__("asyncio").sleep(0)),
    """,
    "unmeasured": """
        "ctypes": lambda: ctypes.CDLL(str(base / "unmeasured.so")),
        "bytes": lambda: ctypes.CDLL(os.fsencode(base / "unmeasured.so")),
        "link": lambda: ctypes.CDLL(str(tmp / "way-in" / "library.so")),
        "dots": lambda: ctypes.CDLL(str(measured) + "/../unmeasured.so"),
        "relative": lambda: ctypes.CDLL("./unmeasured.so"),
        "extension": lambda: __import__("_imp").create_dynamic(ModuleSpec("x", None, origin=unmeasured)),
        "database": lambda: load_into(sqlite3.connect(":memory:")),
    """,
    "measured": """
        "the program itself": lambda: ctypes.CDLL(None), "by bare name": lambda: ctypes.CDLL("libc.so.6"),
        "of the runtime": lambda: __import__("_decimal"),
    """,
    "no library": """
        "measured": lambda: ctypes.CDLL(str(measured / "library.so")),
    """,
    "outside": """
        "create": lambda: open(base / "new", "w"), "append": lambda: open(base / "elsewhere", "a"),
        "update": lambda: open(base / "elsewhere", "r+"),
        "os.open": lambda: os.open(base / "elsewhere", os.O_RDWR),
        "through a link": lambda: open(tmp / "way-out", "w"), "relative": lambda: open("new", "w"),
        "dots": lambda: open(str(tmp) + "/../new", "w"), "own memory": lambda: open("/proc/self/mem", "r+b"),
        "remove": lambda: os.remove(base / "elsewhere"),
        "rename out": lambda: os.rename(tmp / "there", base / "new"),
        "rename in": lambda: os.rename(base / "elsewhere", tmp / "new"),
        "mkdir": lambda: os.mkdir(base / "new"),
        "rmdir": lambda: os.rmdir(measured), "link": lambda: os.link(base / "elsewhere", tmp / "new"),
        "symlink": lambda: os.symlink("/", base / "new"),
        "chmod": lambda: os.chmod(base / "elsewhere", 0o777),
        "chown": lambda: os.chown(base / "elsewhere", 0, 0), "utime": lambda: os.utime(base / "elsewhere"),
        "truncate": lambda: os.truncate(base / "elsewhere", 0),
        "in an open folder": lambda: os.remove("elsewhere", dir_fd=outside),
        "database": lambda: sqlite3.connect(base / "new"), "by its address": lambda: sqlite3.connect(
            f"file:{base}/new?mode=rwc", uri=True),
    """,
    "inside": """
        "file": lambda: open(tmp / "new", "w").write("x"), "read back": lambda: open(tmp / "new").read(),
        "folder": lambda: os.mkdir(tmp / "folder"),
        "rename": lambda: os.rename(tmp / "new", tmp / "folder" / "x"),
        "list": lambda: os.listdir(tmp), "tree": lambda: shutil.rmtree(tmp / "folder"),
        "unnamed": lambda: tempfile.TemporaryFile(dir=tmp), "database": lambda: sqlite3.connect(tmp / "db"),
        "in an open folder": lambda: os.remove("there", dir_fd=inside),
        "remove a link": lambda: os.remove(tmp / "way-in"),
        "nowhere": lambda: open(os.devnull, "w"), "descriptor": lambda: os.fdopen(os.dup(2), "w"),
    """,
    "closed": """
        "read": lambda: open(spool / "opening"),
        "list": lambda: os.listdir(spool),
        "scan": lambda: os.scandir(spool),
        "write": lambda: open(spool / "closing", "w"), "remove": lambda: os.remove(spool / "opening"),
        "through a link": lambda: open(tmp / "way-in" / "opening"),
        "device": lambda: open(tmp / "device" / "quote"),
        "write to the device": lambda: open(tmp / "device" / "quote", "w"),
        "in the open folder": lambda: os.remove("opening", dir_fd=spool_folder),
        "folder itself": lambda: os.open(spool, os.O_RDONLY),
    """,
    "own": """
        "write": lambda: messages.HostFolder(spool).write("results/0/0", b"sealed"),
        "read": lambda: messages.HostFolder(spool).read("opening", max_bytes=100),
    """,
    "others": """
        "parent": lambda: os.kill(os.getppid(), 0), "group": lambda: os.killpg(os.getpgrp(), 0),
    """,
    "itself": """
        "self": lambda: os.kill(os.getpid(), 0),
    """,
    "hooks": """
        "hook": lambda: (sys.addaudithook(lambda *_: 1 / 0), sys.audit("x")),
        "further interpreter": lambda: __import__("_xxsubinterpreters").create(),
        "fork after that": os.fork,
    """,
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Try everything once, each group over what the ones before it left."""
    base = tmp_path_factory.mktemp("launch")
    for name in ("tmp/device", "spool/inbox", "measured"):
        (base / name).mkdir(parents=True)
    (base / "spool" / "opening").write_text("signed")
    (base / "tmp" / "there").write_text("there")
    (base / "elsewhere").write_text("elsewhere")
    (base / "unmeasured.so").write_bytes(b"no library at all")
    (base / "measured" / "library.so").write_bytes(b"no library either")
    (base / "tmp" / "way-in").symlink_to(base / "spool")
    (base / "tmp" / "way-out").symlink_to(base / "elsewhere")
    groups = "".join(f"{name!r}: {{{attempts}}},\n" for name, attempts in GROUPS.items())
    program = PROGRAM.format(src=str(SRC), base=str(base), groups=groups)
    command = [sys.executable, "-I", "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    outcomes: Outcomes = json.loads(done.stdout.splitlines()[-1])
    return outcomes


def assert_each(outcomes: dict[str, str], expected: str) -> None:
    assert outcomes == dict.fromkeys(outcomes, expected)


def test_no_process_is_started(tried: Outcomes) -> None:
    assert_each(tried["processes"], "EPERM")


def test_nothing_of_the_network_is_reached(tried: Outcomes) -> None:
    assert_each(tried["network"], "EPERM")


def test_an_event_loop_has_its_pair_of_local_sockets(tried: Outcomes) -> None:
    assert_each(tried["event loop"], "done")


def test_native_code_of_an_unmeasured_file_is_not_loaded(tried: Outcomes) -> None:
    outcomes = tried["unmeasured"]
    # Python may have been built without extensions of SQLite, which is as good.
    assert outcomes.pop("database") in ("EPERM", "AttributeError")
    assert_each(outcomes, "EPERM")


def test_measured_libraries_load_as_scikit_learn_loads_them(tried: Outcomes) -> None:
    assert_each(tried["measured"], "done")
    # The loader was asked, and found that it is no library.
    assert_each(tried["no library"], "other")


def test_nothing_is_written_outside_the_temporary_folder(tried: Outcomes) -> None:
    assert_each(tried["outside"], "EPERM")


def test_the_temporary_folder_is_used_as_everywhere(tried: Outcomes) -> None:
    outcomes = tried["inside"]
    # A link that leads out is not followed, and not removed either.
    assert outcomes.pop("remove a link") == "EPERM"
    assert_each(outcomes, "done")


def test_spool_and_device_are_closed_even_below_the_temporary_folder(
    tried: Outcomes,
) -> None:
    assert_each(tried["closed"], "EPERM")


def test_our_own_functions_still_reach_the_spool(tried: Outcomes) -> None:
    assert_each(tried["own"], "done")


def test_other_processes_get_no_signal(tried: Outcomes) -> None:
    assert_each(tried["others"], "EPERM")
    assert_each(tried["itself"], "done")


def test_the_hook_stays_and_no_other_comes_beside_it(tried: Outcomes) -> None:
    # Python swallows the refusal of a hook: nothing is added, and nothing is said.
    outcomes = tried["hooks"]
    assert outcomes == {"hook": "done", "further interpreter": "RuntimeError", "fork after that": "EPERM"}


def test_a_refusal_says_what_is_refused() -> None:
    program = (
        f"import os, sys; sys.path.insert(0, {str(SRC)!r})\n"
        "from sealroom.enclave import audit_hook\n"
        "audit_hook.install(audit_hook.Boundaries(measured=(), scratch=(), closed=(), own=()))\n"
        "try:\n    os.fork()\n"
        "except PermissionError as exc:\n    print(exc.errno, exc.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EPERM} an enclave starts no processes\n"
