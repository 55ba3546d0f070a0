"""`sealroom code test` with the real enclave in the real sandbox: what a real run does happens here."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

Tried = tuple[int, dict]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all rehearsals here, as a person has: the runtime is copied once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def attempt(tmp_path: Path, cache: Path) -> Callable[..., Tried]:
    def attempt(files: dict[str, str], *options: str) -> Tried:
        for path, text in files.items():
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        done = subprocess.run(
            command(tmp_path, *options),
            env=environment(cache),
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert not done.stderr, done.stderr.decode()
        return done.returncode, json.loads(done.stdout)

    return attempt


def command(folder: Path, *options: str) -> list[str]:
    data = ["--data", str(folder / "data")] if (folder / "data").exists() else ["--no-data"]
    words = ["code", "test", str(folder / "program"), *data, "--to", str(folder / "results"), "--json"]
    return [sys.executable, "-B", "-m", "sealroom.cli.main", *words, *options]


def environment(cache: Path) -> dict[str, str]:
    # No home of sealroom's: none is needed, and none must appear.
    return {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(cache), "HOME": str(cache / "no-home")}


def test_a_program_that_works_at_home_is_shown_with_what_it_read_and_wrote(
    attempt: Callable[..., Tried], tmp_path: Path, cache: Path
) -> None:
    exit_code, report = attempt(
        {
            "program/run.py": (
                "import model\nfrom sealroom.enclave import Enclave\n"
                "with Enclave() as enclave:\n"
                "    total = sum(len(file.read()) for file in enclave.read(1))\n"
                "    enclave.write(f'{model.weight() * total}'.encode(), 0, name='score')\n"
                "    enclave.write(b'for both')\n"
                "print('scored', total)\n"
            ),
            "program/model.py": (
                "from importlib.resources import files\n"
                "def weight():\n    return int((files('tables') / 'weight.txt').read_text())\n"
            ),
            "program/tables/weight.txt": "7",
            "data/clinic/a.csv": "1,2\n",
            "data/hospital/b.csv": "1,2,3\n",
            "data/hospital/c.csv": "4\n",
        },
        "--result-consumer",
        "ana@example.org",
        "--result-consumer",
        "bea@example.org",
    )
    assert (exit_code, report["outcome"], report["exit_code"]) == (0, "succeeded", 0)
    assert [(use["provider"], use["name"], use["size"], use["read"]) for use in report["inputs"]] == [
        ("clinic", "a.csv", 4, False),
        ("hospital", "b.csv", 6, True),
        ("hospital", "c.csv", 2, True),
    ]
    results = {Path(each["path"]).relative_to(tmp_path): each["size"] for each in report["results"]}
    assert {str(path): (tmp_path / path).read_bytes() for path in results} == {
        "results/ana@example.org/score": b"56",
        "results/ana@example.org/result": b"for both",
        "results/bea@example.org/result": b"for both",
    }
    assert report["log"] == {"release": "participants", "text": "scored 8\n"}
    assert 0 <= report["seconds"] < 60
    assert not (cache / "no-home").exists()
    left = {path.name for path in (cache / "sealroom" / "code-test").iterdir()}
    assert left == {"launches", "simulation"}
    assert list((cache / "sealroom" / "code-test" / "launches").iterdir()) == []


def test_a_program_that_tries_the_network_and_processes_is_held_as_in_a_real_run(
    attempt: Callable[..., Tried], tmp_path: Path
) -> None:
    exit_code, report = attempt(
        {
            "program/run.py": (
                "import os, socket, model\nfrom sealroom.enclave import Enclave\n"
                "Enclave().write(b'never leaves')\n"
                "for name, escape in (('network', lambda: socket.create_connection(('192.0.2.1', 80), 2)),\n"
                "                     ('fork', os.fork),\n"
                "                     ('file', lambda: open('/etc/hostname').read())):\n"
                "    try:\n        escape()\n        print(name, 'escaped')\n"
                "    except OSError as error:\n        print(name, type(error).__name__)\n"
                "model.fail()\n"
            ),
            "program/model.py": "def fail():\n    raise KeyError('canary_of_the_source'[:6])\n",
        }
    )
    assert (exit_code, report["outcome"]) == (1, "failed")
    assert report["failure"] == {"type": "KeyError", "file": "model.py", "line": 2}
    text = report["log"]["text"]
    assert "network PermissionError\nfork PermissionError\nfile " in text
    assert "escaped" not in text
    assert "canary_of_the_source" not in text
    assert report["results"] == []
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_time_output_and_death_end_as_in_a_real_run(attempt: Callable[..., Tried]) -> None:
    exit_code, report = attempt({"program/run.py": "import time\ntime.sleep(60)\n"}, "--max-seconds", "1")
    assert (exit_code, report["outcome"]) == (1, "limit")
    assert 1 <= report["seconds"] < 20
    exit_code, report = attempt(
        {
            "program/run.py": (
                "from sealroom.enclave import Enclave\ntry:\n    Enclave().write(b'x' * 2000)\n"
                "except OSError:\n    pass\n"
            )
        },
        "--max-output-bytes",
        "1000",
    )
    assert (exit_code, report["outcome"], report["results"]) == (1, "limit", [])
    # Process 1 of its namespace: a signal of its own does not end it, a fault does.
    exit_code, report = attempt({"program/run.py": "import ctypes\nctypes.string_at(0)\n"})
    assert (exit_code, report["outcome"], report["exit_code"]) == (1, "died", None)
    assert report["death"] == "its process was killed by signal 11"
    exit_code, report = attempt({"program/run.py": "print('unseen')\n"}, "--logs", "none")
    assert (exit_code, report["log"]["text"]) == (0, None)


@pytest.mark.slow
def test_what_a_killed_rehearsal_left_is_gone_after_the_next(
    attempt: Callable[..., Tried], tmp_path: Path, cache: Path
) -> None:
    attempt({"program/run.py": "import time\ntime.sleep(60)\n"}, "--max-seconds", "1")
    killed = subprocess.Popen(command(tmp_path), env=environment(cache), stdout=subprocess.DEVNULL)
    launches = cache / "sealroom" / "code-test" / "launches"
    until = time.monotonic() + 60
    while not list(launches.glob("*/1/spool/opening")):
        assert time.monotonic() < until
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    assert list(launches.iterdir()) != []
    (tmp_path / "program" / "run.py").write_text("pass\n")
    exit_code, _ = attempt({})
    assert exit_code == 0
    assert list(launches.iterdir()) == []


def test_a_machine_that_cannot_run_the_enclave_says_so(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "run.py").write_text("pass\n")
    done = subprocess.run(
        command(tmp_path),
        env=environment(tmp_path / "empty") | {"PATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=False,
    )
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 4
    assert "this machine cannot run the simulated enclave" in error["message"]
    assert "ldd is missing" in error["message"]
