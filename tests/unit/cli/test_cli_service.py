"""The commands of a service's code provider and callers, without an enclave: what they print and refuse."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import service_samples
from sealroom.cli.exit_codes import explain
from sealroom.cli.main import run
from sealroom.cli.service_hosting import failure_of
from sealroom.client.service.stack import STACK
from sealroom.core.measurement.requirements import Requirement, write_requirements
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.service_spool import CERTIFICATE, STATE
from sealroom.server.hosting.folder import CONSOLE_PATH, Hosting
from sealroom.server.launchers.host_files import EXIT, SUPERVISOR, EndReason, ExitRecord, SupervisorRecord


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


@pytest.mark.parametrize(
    "words", [("list",), ("status", "scores"), ("logs", "scores"), ("evidence", "scores"), ("stop", "scores")]
)
def test_whoever_looks_into_a_folder_that_is_not_there_is_told_and_makes_none(
    shell: Shell, words: tuple[str, ...]
) -> None:
    error = shell(*words, "--data", "mistyped", code=64)["error"]
    assert (error["code"], error["message"]) == ("no_data", "mistyped: there is no such folder")
    assert not Path("mistyped").exists()
    Path("empty").mkdir()
    shell(*words, "--data", "empty", code=0 if words == ("list",) else 64)
    assert list(Path("empty").iterdir()) == []


def test_a_certificate_of_ones_own_and_its_chain_go_together(shell: Shell) -> None:
    Path("any").write_text("")
    service = ("--service", "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b")
    for choice in (("--certificate", "own"), ("--chain", "any")):
        error = shell("spawn", "any", *service, *choice, code=64)["error"]
        assert (error["code"], "--chain" in error["message"]) == ("usage", True)
    assert not Path("operator").exists()


def hosted(state: bytes = b"", console: bytes = b"") -> None:
    """Write the files of a service in `operator`; without a state it ended with code 2."""
    folder = Path("operator/services/hello/1")
    for name in ("host", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "args").write_bytes(replace(service_samples.ARGUMENTS, name="hello").to_bytes())
    (folder.parent / "epoch").write_bytes(b"1")
    (folder / CONSOLE_PATH).write_bytes(console)
    (folder / "host" / SUPERVISOR).write_bytes(SupervisorRecord.of_this_process(epoch=1).to_json())
    if state:
        (folder / "spool" / STATE).write_bytes(state)
        return
    record = ExitRecord(exit_code=2, ended_at=datetime(2026, 1, 1, tzinfo=UTC), reason=EndReason.EXITED)
    (folder / "host" / EXIT).write_bytes(record.to_json())


@pytest.mark.parametrize(
    ("console", "code"),
    [
        (b"service: [Errno 98] Address already in use\n", "port_taken"),
        (b"warning\nservice: [Errno 98] Address already in use\n", "port_taken"),
        (b"service: [Errno 13] Permission denied\n", "service_failed"),
        (b"", "service_failed"),
    ],
)
def test_a_port_that_is_taken_is_said_to_be_and_what_to_do(shell: Shell, console: bytes, code: str) -> None:
    hosted(console=console)
    failure = failure_of(Hosting(shell.folder / "operator").look("hello"))
    problem = explain(failure)
    assert problem.code == code
    if code == "port_taken":
        assert f"port {service_samples.ARGUMENTS.port} is taken" in problem.message
        assert "--port" in str(problem.hint)


def test_an_application_cannot_say_that_its_port_was_taken(shell: Shell) -> None:
    hosted(console=b"service: [Errno 98] Address already in use\n")
    Path("operator/services/hello/1/spool", CERTIFICATE).write_bytes(b"-----BEGIN CERTIFICATE-----")
    assert explain(failure_of(Hosting(shell.folder / "operator").look("hello"))).code == "service_failed"


def test_who_brings_a_key_to_a_service_that_runs_is_told_of_restart(shell: Shell) -> None:
    hosted(state=b"application")
    Path("any").write_text("")
    error = shell("run", "hello", "any", "--package", "any", "--policy", "strict", code=1)["error"]
    assert (error["code"], "restart" in error["next"]) == ("already_runs", True)


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
