"""What a program inside the simulated enclave can reach, tried from inside in each sandbox."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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
        return errno.errorcode[exc.errno]
    except BaseException as exc:
        return type(exc).__name__
    return "done"
outcomes = {name: attempt(action) for name, action in attempts().items()}
publish("log", json.dumps(outcomes).encode())
"""

ATTEMPTS = """
def open_many():
    opened = []
    try:
        for _ in range(5000):
            opened.append(open("/dev/null"))
    finally:
        for file in opened:
            file.close()
def attempts():
    import numpy, nacl.bindings
    return {
        "read a server's file": lambda: open(SECRET).read(),
        "list the server's folder": lambda: os.listdir(os.path.dirname(SECRET)),
        "read the host folder": lambda: open(base / "host" / "launch.json").read(),
        "read /etc/passwd": lambda: open("/etc/passwd").read(),
        "connect to a server": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "open a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "open a local socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "fork": os.fork,
        "start a program": lambda: subprocess.run([sys.executable, "-c", "pass"]),
        "start a thread": lambda: threading.Thread(target=int).start(),
        "change the code": lambda: open(base / "code" / "run.py", "w"),
        "change the library": lambda: open(base / "lib" / "more.py", "w"),
        "write to the root": lambda: open("/there", "w"),
        "write a scratch file": lambda: open(os.environ["TMPDIR"] + "/there", "w").write("x"),
        "write a result": lambda: open(spool / "results" / "there", "w").write("x"),
        "signal the parent": lambda: os.kill(PARENT, 0),
        "take a gibibyte too much": lambda: bytearray(3 << 30),
        "open many files": open_many,
        "use numpy": lambda: numpy.linalg.solve(numpy.eye(300), numpy.ones(300)),
    }
"""


def _attempt(make_launch: Callable, tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "server" / "secret"
    secret.parent.mkdir()
    secret.write_text("a file of the server's")
    program = f"SECRET, PARENT = {str(secret)!r}, {os.getpid()}\n" + ATTEMPTS + TRY
    launch = make_launch(program)
    launch.start()
    launch.wait_until_ended()
    rows = json.loads((launch.folder / "host" / "protections.json").read_bytes())
    assert launch.launcher.protections(launch.computation, 1)
    assert (launch.spool / "log").exists(), launch.console()
    outcomes = json.loads((launch.spool / "log").read_bytes())
    return outcomes | {row["name"]: row["on"] for row in rows}


IN_EVERY_SANDBOX = {
    "connect to a server": "EPERM",
    "open a raw socket": "EPERM",
    "open a local socket": "done",
    "fork": "EPERM",
    "start a program": "EPERM",
    "start a thread": "done",
    "write a scratch file": "done",
    "write a result": "done",
    "take a gibibyte too much": "MemoryError",
    "open many files": "EMFILE",
    "use numpy": "done",
}


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_in_bubblewrap_a_program_sees_its_own_files_alone(make_launch: Callable, tmp_path: Path) -> None:
    outcomes = _attempt(make_launch, tmp_path)
    expected = IN_EVERY_SANDBOX | {
        "read a server's file": "ENOENT",
        "list the server's folder": "ENOENT",
        "read the host folder": "ENOENT",
        "read /etc/passwd": "ENOENT",
        "change the code": "EROFS",
        "change the library": "EROFS",
        "write to the root": "EROFS",
        "signal the parent": "ESRCH",
    }
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
    expected = IN_EVERY_SANDBOX | {
        "read a server's file": "EACCES",
        "list the server's folder": "EACCES",
        "read the host folder": "EACCES",
        "read /etc/passwd": "EACCES",
        "change the code": "EACCES",
        "change the library": "EACCES",
        "write to the root": "EACCES",
        "signal the parent": "EPERM",
    }
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
