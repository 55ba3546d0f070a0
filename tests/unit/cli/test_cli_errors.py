"""Errors as the shell sees them: exit code, stable code, a sentence, what is next, and never a traceback."""

import errno
import io
import json
import sqlite3
import sys
from pathlib import Path

import click
import pytest

from sealroom.cli import main
from sealroom.cli.exit_codes import EXIT_MEANINGS, CommandError, ExitCode, explain
from sealroom.client.contacts import ContactConflictError
from sealroom.client.delivery_journal import DeliveryBlockedError
from sealroom.client.home import HomeError
from sealroom.client.identity import IdentityError, PassphraseError
from sealroom.client.session import AccountError
from sealroom.client.store import UnknownComputationError
from sealroom.client.tls import UntrustedServerError
from sealroom.core.errors import (
    CollateralError,
    MalformedError,
    PolicyError,
    SealroomError,
    TransportError,
    VerificationError,
)

CASES = [
    (MalformedError("x"), ExitCode.MALFORMED, "malformed"),
    (VerificationError("x"), ExitCode.REFUSED, "refused"),
    (PolicyError("x"), ExitCode.REFUSED, "refused"),
    (CollateralError("x"), ExitCode.COLLATERAL, "collateral"),
    (TransportError("x"), ExitCode.TRANSPORT, "unreachable"),
    (TransportError("x", code="internal"), ExitCode.TRANSPORT, "internal"),
    (TransportError("x", code="wrong_state"), ExitCode.REFUSED, "wrong_state"),
    (TransportError("x", code="wrong_role"), ExitCode.REFUSED, "wrong_role"),
    (TransportError("x", code="unauthorized"), ExitCode.REFUSED, "unauthorized"),
    (TransportError("x", code="archive"), ExitCode.MALFORMED, "archive"),
    (TransportError("x", code="of_a_later_release"), ExitCode.REFUSED, "of_a_later_release"),
    (ContactConflictError("x"), ExitCode.REFUSED, "contact"),
    (DeliveryBlockedError("x", code="words-differ", enclaves=2), ExitCode.REFUSED, "words-differ"),
    (HomeError("x"), ExitCode.REFUSED, "home"),
    (IdentityError("x"), ExitCode.REFUSED, "identity"),
    (PassphraseError("x"), ExitCode.REFUSED, "passphrase"),
    (AccountError("x"), ExitCode.REFUSED, "account"),
    (UnknownComputationError("x"), ExitCode.REFUSED, "not_joined"),
    (UntrustedServerError("x"), ExitCode.REFUSED, "certificate"),
    (SealroomError("x"), ExitCode.REFUSED, "failed"),
    (sqlite3.OperationalError("database or disk is full"), ExitCode.MALFORMED, "file"),
    (CommandError("x", code="no_key"), ExitCode.REFUSED, "no_key"),
]


@pytest.mark.parametrize(("failure", "exit_code", "code"), CASES, ids=lambda value: str(value)[:30])
def test_every_error_has_its_exit_code_and_its_stable_code(
    failure: Exception, exit_code: ExitCode, code: str
) -> None:
    problem = explain(failure)
    assert (problem.exit_code, problem.code) == (exit_code, code)


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_MEANINGS) == set(ExitCode)


def test_a_file_error_names_the_file_and_no_number() -> None:
    problem = explain(FileNotFoundError(errno.ENOENT, "No such file or directory", "here.csv"))
    assert problem.message == "here.csv: No such file or directory"


def test_the_next_step_names_the_computation_of_the_command() -> None:
    uuid = "11111111-2222-4333-8444-555555555555"
    hint = explain(TransportError("x", code="wrong_state"), computation=uuid).hint
    assert hint == f"sealroom status {uuid} shows where it stands"


def test_a_defect_says_where_it_is_and_not_what_it_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, ValueError("the secret words"))
    assert main.run(["contact", "list"]) == ExitCode.DEFECT
    said = capsys.readouterr()
    assert said.err.startswith("sealroom: a defect: ValueError at test_cli_errors.py:")
    assert "secret" not in said.err + said.out
    assert "Traceback" not in said.err


def test_a_defect_is_shown_whole_to_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ValueError("x"))
    monkeypatch.setenv("SEALROOM_TRACEBACK", "1")
    with pytest.raises(ValueError, match="x"):
        main.run(["contact", "list"])


def test_an_error_in_json_is_one_document_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, AccountError("account: none"))
    assert main.run(["contact", "list", "--json"]) == ExitCode.REFUSED
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == "account"
    assert said.err == ""


def test_what_others_wrote_is_shown_and_not_obeyed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, MalformedError("name \x1b[2J\u202e"))
    main.run(["contact", "list"])
    assert "\x1b[2J" not in capsys.readouterr().err


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), click.exceptions.Abort()])
def test_ctrl_c_ends_with_one_sentence(
    failure: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, failure)
    assert main.run(["contact", "list"]) == ExitCode.REFUSED
    assert "the same command goes on where this one stopped" in capsys.readouterr().err


def test_a_reader_that_left_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, BrokenPipeError())
    with (tmp_path / "out").open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main.run(["contact", "list"]) == ExitCode.REFUSED
    assert capsys.readouterr().err == ""


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")

    monkeypatch.setattr(main.importlib, "import_module", absent)
    assert main.run(["server", "--data", "d"]) == ExitCode.USAGE
    assert "fastapi is not installed" in capsys.readouterr().err


def fail_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    def command(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(main.sealroom, "main", command)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
