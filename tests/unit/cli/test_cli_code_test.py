"""What `sealroom code test` says of a run that came out one way or another."""

import dataclasses
import json
from pathlib import Path

import pytest

from sealroom.cli import code_test
from sealroom.cli.main import run
from sealroom.client.roles import DEFAULT_LIMITS
from sealroom.core.wire.receipt_closing import Failure, Outcome
from sealroom.core.wire.terms import LogRelease
from sealroom.rehearsal import play
from sealroom.rehearsal.report import InputUse, Report, WrittenResult
from sealroom.rehearsal.stage import RehearsalError
from sealroom.server.launchers.base import Protection

REPORT = Report(
    outcome=Outcome.SUCCEEDED,
    failure=None,
    death="",
    seconds=1.25,
    inputs=(
        InputUse(provider="hospital-a", name="x.csv", size=1234, was_read=True),
        InputUse(provider="hospital-b", name="y.csv", size=5, was_read=False),
    ),
    results=(WrittenResult(consumer="c@code.test", name="mean", size=8, path=Path("/out/mean")),),
    bytes_out=12,
    log=b"said \x1b[31mthis\n",
    logs=LogRelease.PARTICIPANTS,
    limits=DEFAULT_LIMITS,
    protections=(Protection(name="no-network", on=True, detail="x"),),
)


def told(
    report: Report | Exception,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *options: str,
) -> tuple[int, str]:
    def hold(self: play.Rehearsal) -> Report:
        self.tell("the program runs")
        if isinstance(report, Exception):
            raise report
        return report

    monkeypatch.setattr(play.Rehearsal, "play", hold)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    exit_code = run(["code", "test", str(tmp_path), "--no-data", "--to", str(tmp_path / "out"), *options])
    said = capsys.readouterr()
    return exit_code, said.out + said.err


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    return lambda report, *options: told(report, monkeypatch, tmp_path, capsys, *options)


def test_a_success_shows_what_went_in_and_out_and_exits_with_0(tell) -> None:
    exit_code, said = tell(REPORT)
    assert exit_code == 0
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "hospital-a x.csv 1,234 read" in lines
    assert "hospital-b y.csv 5 not read" in lines
    assert "c@code.test mean 8 /out/mean" in lines
    assert "[31mthis" in said
    assert "\x1b[31m" not in said
    assert "results: 12 of 67,108,864 bytes, with their names" in lines
    assert "time: 1.2 of 3,600 s" in lines
    assert lines[-1] == "succeeded: exit code 0"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"outcome": Outcome.FAILED, "failure": Failure(type="KeyError", file="run.py", line=3)},
            "failed: KeyError in run.py, line 3, which everybody learns; no result leaves",
        ),
        ({"outcome": Outcome.FAILED}, "failed: exit code 1; no result leaves"),
        ({"outcome": Outcome.LIMIT, "seconds": 3600.1}, "limit: the time was over (--max-seconds 3600)"),
        ({"outcome": Outcome.LIMIT}, "limit: --max-output-bytes or --max-memory was too little"),
        ({"outcome": None, "death": "killed by signal 9", "log": None}, "died: killed by signal 9"),
        ({"outcome": Outcome.FAILED, "log": None, "logs": LogRelease.NONE}, "no log leaves with --logs none"),
        ({"outcome": Outcome.FAILED, "log": b""}, "it printed nothing"),
        ({"outcome": Outcome.FAILED, "log": b"x" * (1 << 16)}, "65,536 bytes, and was cut there"),
        (
            {
                "outcome": Outcome.FAILED,
                "protections": (Protection(name="no-network", on=False, detail="why"),),
            },
            "not as in a real run: no-network is off on this machine (why)",
        ),
    ],
)
def test_what_did_not_succeed_exits_with_1_and_says_why(tell, changes, sentence: str) -> None:
    exit_code, said = tell(dataclasses.replace(REPORT, results=(), **changes))
    assert exit_code == 1
    assert sentence in said


def test_json_is_one_document_with_the_same(tell) -> None:
    failed = dataclasses.replace(
        REPORT, outcome=Outcome.FAILED, failure=Failure(type="KeyError", file="run.py", line=3), results=()
    )
    exit_code, said = tell(failed, "--json")
    document = json.loads(said)
    assert exit_code == 1
    assert document["outcome"] == "failed"
    assert document["exit_code"] == 1
    assert document["failure"] == {"type": "KeyError", "file": "run.py", "line": 3}
    assert document["inputs"][1] == {"provider": "hospital-b", "name": "y.csv", "size": 5, "read": False}
    assert document["log"] == {"release": "participants", "text": "said \x1b[31mthis\n"}


def test_a_machine_that_cannot_run_it_exits_with_4(tell) -> None:
    exit_code, said = tell(RehearsalError("this machine cannot run the simulated enclave: why"))
    assert exit_code == 4
    assert "this machine cannot run the simulated enclave: why" in said


def test_another_system_is_told_before_anything_is_imported(tell, monkeypatch) -> None:
    monkeypatch.setattr(code_test.platform, "system", lambda: "Darwin")
    exit_code, said = tell(REPORT)
    assert exit_code == 4
    assert "runs on Linux only" in said


def test_no_empty_folder_is_left_where_nothing_was_written(tell, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(code_test.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "made"))
    (tmp_path / "made").mkdir()
    run(["code", "test", str(tmp_path), "--no-data"])
    assert not (tmp_path / "made").exists()
