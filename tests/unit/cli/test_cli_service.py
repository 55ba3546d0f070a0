"""The commands of a service's code provider and callers, without an enclave: what they print and refuse."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sealroom.cli.main import run
from sealroom.client.service.stack import STACK
from sealroom.core.measurement.requirements import Requirement, write_requirements
from sealroom.core.wire.byte_fields import sha256


class Shell:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> dict[str, Any]:
        found = run(["service", *words, "--home", str(self.folder / "home"), "--json"])
        shown = self._capsys.readouterr().out
        assert found == code, shown
        return json.loads(shown)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


def locked(folder: Path) -> None:
    """Pin what serves, without wheels that nobody asks for here."""
    names = sorted(line.partition(">")[0] for line in STACK)
    pins = [Requirement(name=name, version="1.0", sha256=sha256(name.encode())) for name in names]
    (folder / "requirements.txt").write_bytes(write_requirements(tuple(pins)))


def test_a_project_is_made_once_and_named_like_its_folder(shell: Shell) -> None:
    assert shell("new", "scores")["name"] == "scores"
    assert shell("new", "scores", code=2)["error"]["code"] == "file"
    assert shell("new", "Scores", code=64)["error"]["code"] == "usage"
    assert shell("new", "other", "--name", "under_score", code=64)["error"]["code"] == "usage"


def test_a_project_that_is_not_locked_says_what_to_do(shell: Shell) -> None:
    shell("new", "scores")
    error = shell("package", "scores", code=1)["error"]
    assert (error["code"], "sealroom lock" in error["next"]) == ("not_locked", True)
    assert not Path("scores.package").exists()
    assert not Path("scores/code.key").exists()


def test_what_is_no_project_is_malformed(shell: Shell) -> None:
    Path("empty").mkdir()
    for command in ("package", "test"):
        assert shell(command, "empty", code=2)["error"]["code"] == "malformed"


def test_a_package_opens_with_its_key_alone(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("new", "scores")
    locked(Path("scores"))
    # Its interface is in config.toml, so nothing is imported, and no wheel is needed.
    monkeypatch.setattr("sealroom.cli.service_projects.fetch_from_index", lambda *_, **__: None)
    packed = shell("package", "scores")
    assert packed["key_is_new"]
    assert [file["path"] for file in packed["files"]] == [
        "config.toml", "requirements.txt", "src/app.py", "tests/test_app.py",
    ]  # fmt: skip
    assert not shell("package", "scores")["key_is_new"]
    opened = shell("decrypt", "scores.package", "--key", "scores/code.key", "--to", "opened")
    assert opened["service"] == packed["service"]
    assert Path("opened/src/app.py").read_bytes() == Path("scores/src/app.py").read_bytes()
    Path("other.key").write_text("ab" * 32 + "\n")
    assert shell("decrypt", "scores.package", "--key", "other.key", "--to", "never", code=1)
    assert shell("decrypt", "scores.package", "--key", "scores/code.key", "--to", "opened", code=2)


def test_verify_and_seal_refuse_what_is_no_evidence_and_have_no_skip(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("new", "scores")
    locked(Path("scores"))
    monkeypatch.setattr("sealroom.cli.service_projects.fetch_from_index", lambda *_, **__: None)
    monkeypatch.setattr("sealroom.client.service.verification.fetch_from_index", lambda *_, **__: None)
    shell("package", "scores")
    Path("evidence.json").write_bytes(b"{}")
    asked = ("evidence.json", "--package", "scores.package", "--policy", "up-to-date")
    assert shell("verify", *asked, code=2)["error"]["code"] == "malformed"
    sealing = (*asked, "--project", "scores", "--to", "sealed.json")
    assert shell("seal", *sealing, code=2)["error"]["code"] == "malformed"
    assert shell("seal", *asked, "--to", "sealed.json", code=64)["error"]["code"] == "usage"
    assert shell("verify", "evidence.json", "--policy", "strict", code=64)["error"]["code"] == "usage"
    assert shell("verify", "evidence.json", "--package", "scores.package", code=64)
    wrong = (*asked, "--source", "intel", "--collateral", "evidence.json")
    assert shell("verify", *wrong, code=64)["error"]["code"] == "usage"
    assert not Path("sealed.json").exists()


def test_the_tests_of_a_project_decide_the_exit_code(shell: Shell) -> None:
    shell("new", "scores", "--interface", "wsgi")
    Path("scores/tests/test_app.py").write_text("raise SystemExit(3)\n")
    done = subprocess.run(
        [sys.executable, "-m", "sealroom.cli.main", "service", "test", "scores", "--home", "home", "--json"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["interface"], said["passed"]) == ("wsgi", False)
