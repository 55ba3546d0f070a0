"""What a program inside the simulated enclave can reach, tried from inside in each sandbox."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from escapes import IN_BUBBLEWRAP, WITHOUT_BUBBLEWRAP

from sealroom.insecure.confinement import Confinement, is_possible
from sealroom.insecure.landlock import hides_other_processes, landlock_version

pytestmark = pytest.mark.e2e

# Runs each attempt and publishes what came of it: "done", or the name of the error.
TRY = """
attest()
import errno, json, socket, subprocess, threading
def attempt(action):
    try:
        action()
    except OSError as exc:
        # The dynamic loader gives a sentence and no number.
        return errno.errorcode[exc.errno] if exc.errno else "not loaded"
    except BaseException as exc:
        return type(exc).__name__
    return "done"
outcomes = {name: attempt(action) for name, action in attempts().items()}
publish("log", json.dumps(outcomes).encode())
"""

ATTEMPTS = """
import asyncio, ctypes, mmap, shutil
libc = ctypes.CDLL(None, use_errno=True)
scratch = Path(os.environ["TMPDIR"])
results = spool / "results"
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
def open_many():
    opened = []
    try:
        for _ in range(5000):
            opened.append(open("/dev/null"))
    finally:
        for file in opened:
            file.close()
def start_many_threads():
    stop, started = threading.Event(), []
    try:
        for _ in range(5000):
            started.append(threading.Thread(target=stop.wait))
            started[-1].start()
    finally:
        stop.set()
        for thread in started[:-1]:
            thread.join()
def load_from(folder):
    import _cffi_backend
    shutil.copyfile(_cffi_backend.__file__, folder / "copy.so")
    ctypes.CDLL(str(folder / "copy.so"))
def execute_from(folder):
    shutil.copyfile(sys.executable, folder / "copy")
    os.chmod(folder / "copy", 0o755)
    os.execv(folder / "copy", ["copy", "-c", "pass"])
def fill(folder):
    try:
        for number in range(5):
            with open(folder / f"full-{number}", "wb") as file:
                for _ in range(60):
                    file.write(bytes(1 << 20))
    finally:
        for number in range(5):
            (folder / f"full-{number}").unlink(missing_ok=True)
def write_large(path):
    with open(path, "wb") as file:
        for _ in range(70):
            file.write(bytes(1 << 20))
def look_for_descriptors():
    inherited = {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2}
    assert len(inherited) == 1, inherited
def pair():
    import socket
    for end in socket.socketpair():
        end.close()
def attempts():
    import nacl.bindings
    return {
        "inherit a descriptor": look_for_descriptors,
        "read a server's file": lambda: open(SECRET).read(),
        "list the server's folder": lambda: os.listdir(os.path.dirname(SECRET)),
        "read the host folder": lambda: open(base / "host" / "launch.json").read(),
        "read /etc/passwd": lambda: open("/etc/passwd").read(),
        "connect to a server": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "open a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "open a local socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "connect by a path": lambda: socket.socket(socket.AF_UNIX).connect(LISTENING),
        "connect by an abstract name": lambda: socket.socket(socket.AF_UNIX).connect("\\0abstract"),
        "open a datagram socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        "have a pair of sockets": pair,
        "run an event loop": lambda: asyncio.run(asyncio.sleep(0)),
        "fork": os.fork,
        "fork past Python": lambda: call("fork"),
        "start a program": lambda: subprocess.run([sys.executable, "-c", "pass"]),
        "start a thread": lambda: threading.Thread(target=int).start(),
        "start threads without end": start_many_threads,
        "change the code": lambda: open(base / "code" / "run.py", "w"),
        "change the library": lambda: open(base / "lib" / "more.py", "w"),
        "write to the root": lambda: open("/there", "w"),
        "write a scratch file": lambda: open(scratch / "there", "w").write("x"),
        "write a result": lambda: open(results / "there", "w").write("x"),
        "write into the inbox": lambda: open(spool / "inbox" / "0", "w"),
        "write an input": lambda: open(spool / "inputs" / "there", "w"),
        "write a file in shared memory": lambda: open("/dev/shm/there", "w"),
        "signal the parent": lambda: os.kill(PARENT, 0),
        "trace": lambda: call("ptrace", 0, 0, 0, 0),
        "mount": lambda: call("mount", b"none", b"/", b"tmpfs", 0, None),
        "make a user namespace": lambda: call("unshare", 0x10000000),
        "make a ring of calls": lambda: call("syscall", 425, 1, ctypes.create_string_buffer(256)),
        "make a queue of messages": lambda: call("msgget", 1, 0o1666),
        "note something on a file": lambda: call("setxattr", os.fsencode(results), b"user.x", b"x", 1, 0),
        "untie from the parent": lambda: call("prctl", 1, 0, 0, 0, 0),
        "load a library from scratch": lambda: load_from(scratch),
        "load a library from the spool": lambda: load_from(results),
        "execute a scratch file": lambda: execute_from(scratch),
        "execute a file of the spool": lambda: execute_from(results),
        "make memory for code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "make memory code later": lambda: call("mprotect", libc.mmap(0, 4096, 3, 34, -1, 0), 4096, 5),
        "write to its own code": lambda: open("/proc/self/mem", "r+b"),
        "be called back through ctypes": lambda: ctypes.CFUNCTYPE(ctypes.c_int)(int)(),
        "take a gibibyte too much": lambda: bytearray(3 << 30),
        "fill the scratch folder": lambda: fill(scratch),
        "write one large file": lambda: write_large(results / "large"),
        "open many files": open_many,
        "use libsodium": lambda: nacl.bindings.crypto_hash_sha256(b"x"),
    }
"""


def _attempt(make_launch: Callable, tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "server" / "secret"
    secret.parent.mkdir()
    secret.write_text("a file of the server's")
    with _listening(tmp_path / "socket") as listening:
        names = {"SECRET": str(secret), "PARENT": os.getpid(), "LISTENING": listening}
        program = "".join(f"{name} = {value!r}\n" for name, value in names.items()) + ATTEMPTS + TRY
        launch = make_launch(program)
        launch.start()
        launch.wait_until_ended()
    rows = json.loads((launch.folder / "host" / "protections.json").read_bytes())
    assert launch.launcher.protections(launch.computation, 1)
    assert (launch.spool / "log").exists(), launch.console()
    outcomes = json.loads((launch.spool / "log").read_bytes())
    return outcomes | {row["name"]: row["on"] for row in rows}


@contextmanager
def _listening(path: Path) -> Iterator[str]:
    """A server of the machine's that listens at a path, as container engines do."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield str(path)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_in_bubblewrap_a_program_sees_its_own_files_alone(make_launch: Callable, tmp_path: Path) -> None:
    outcomes = _attempt(make_launch, tmp_path)
    expected = IN_BUBBLEWRAP
    assert {name: outcomes[name] for name in expected} == expected
    assert all(outcomes[name] for name in outcomes.keys() - expected.keys())


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


@pytest.mark.skipif(not hides_other_processes(), reason="this kernel has no Landlock of version 6")
def test_without_bubblewrap_landlock_hides_the_same_files(
    make_launch: Callable, tmp_path: Path, no_bubblewrap: None
) -> None:
    outcomes = _attempt(make_launch, tmp_path)
    expected = WITHOUT_BUBBLEWRAP
    assert {name: outcomes[name] for name in expected} == expected


def test_what_is_said_to_be_on_was_tried(make_launch: Callable, tmp_path: Path, no_bubblewrap: None) -> None:
    outcomes = _attempt(make_launch, tmp_path)
    assert outcomes["no-network"] is is_possible(Confinement(limits=(), isolate=True))
    assert outcomes["private-files"] is bool(landlock_version())
    assert outcomes["private-processes"] is hides_other_processes()
    assert outcomes["system-calls"] is (outcomes["fork"] == "EPERM")


def test_the_environment_is_the_manifests(make_launch: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "canary")
    launch = make_launch("attest()\npublish('log', repr(sorted(os.environ)).encode())")
    launch.start()
    names = launch.wait_for("log").decode()
    assert "SECRET" not in names
    assert "TMPDIR" in names


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_sandbox_names_no_path_of_the_host(make_launch: Callable, tmp_path: Path) -> None:
    launch = make_launch(
        "attest()\n"
        "processes = [name for name in os.listdir('/proc') if name.isdigit()]\n"
        "seen = b''.join(open(f'/proc/{name}/cmdline', 'rb').read() for name in processes)\n"
        "publish('log', seen + open('/proc/self/environ', 'rb').read())"
    )
    launch.start()
    assert str(tmp_path).encode() not in launch.wait_for("log")


@pytest.mark.slow
def test_a_bubblewrap_that_does_not_work_is_not_believed(
    make_launch: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    launch = make_launch("attest()\n")
    launch.start()
    assert launch.wait_until_ended().exit.exit_code == 0
    shown = {p.name: p for p in launch.launcher.protections(launch.computation, 1)}
    assert shown["private-files"].on is bool(landlock_version())
    assert "Landlock" in shown["private-files"].detail
