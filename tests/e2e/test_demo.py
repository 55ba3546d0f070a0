"""`make demo`, as a newcomer runs it, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _play(demonstration: str, folder: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        # Beside the folder: where wheels are fetched first, tools keep some of them at home.
        "HOME": str(folder.with_name(f"{folder.name}-home")),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    played = subprocess.run(
        [sys.executable, "-m", f"examples.{demonstration}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    return played.stdout


@pytest.mark.e2e
@pytest.mark.slow
def test_the_demonstration_does_what_it_says_and_leaves_one_folder(tmp_path: Path) -> None:
    said = _play("demo", tmp_path)
    for reason in ("words-differ", "inputs-differ", "box-of-another-statement"):
        assert reason in said
    assert [path.name for path in tmp_path.iterdir()] == ["demo-run"]
    left = tmp_path / "demo-run"
    for name in ("report.html", "run.svg", "evidence.json", "arguments", "receipt.json"):
        assert (left / name).stat().st_size > 0
    assert not processes_that_mention(str(tmp_path))


@pytest.mark.e2e
@pytest.mark.slow
def test_the_demonstration_of_a_service_does_what_it_says_and_leaves_one_folder(tmp_path: Path) -> None:
    said = _play("service_demo", tmp_path)
    assert said.count("refused") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["demo-service-run"]
    for name in ("scoring.package", "evidence.json", "sealed.json", "service.pem"):
        assert (tmp_path / "demo-service-run" / name).stat().st_size > 0
    assert not processes_that_mention(str(tmp_path))


def processes_that_mention(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in command:
                found.append(command)
    return found
