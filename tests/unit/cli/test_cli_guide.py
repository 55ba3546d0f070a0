"""`join` for a person: what is missing is asked for, and what is waited for is named once."""

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from computations import FOUND, slot
from transcript import Played, play

from sealroom.adapters.policies import load_policy
from sealroom.cli.console import Console
from sealroom.cli.guide import Guide, Part
from sealroom.cli.options import Invocation
from sealroom.cli.waiting import Waiting, missing_people
from sealroom.client.computation import Computation, State
from sealroom.client.session import Client
from sealroom.client.transport import ServerAddress
from sealroom.core.errors import TransportError
from sealroom.core.wire.participants import Role

Run = Callable[..., Played]


@pytest.fixture
def invited(tmp_path: Path, address: ServerAddress) -> Run:
    """Runs commands in a folder that has an owner's invitation for `ana` and `dev`."""
    assert address.certificate_sha256 is not None
    server = ["--server", address.url, "--server-cert", address.certificate_sha256.hex()]
    domain = f"{tmp_path.name.lower().replace('_', '-')[-40:]}.example"

    def run(*words: str, typed: str | None = None) -> Played:
        filled = [word.replace("@DOMAIN", f"@{domain}") for word in words]
        typed = None if typed is None else typed.replace("@DOMAIN", f"@{domain}")
        return play(filled, folder=tmp_path, environment={}, typed=typed)

    run("account", "create", *server, "--email", "owner@DOMAIN", "--home", "owner")
    people = ["--code-provider", "dev@DOMAIN", "--data-provider", "ana@DOMAIN", "--tee", "simulated"]
    made = run(
        "computation", "create", *server, "--name", "S", *people, "--invitation", "inv", "--home", "owner"
    )
    assert made.exit_code == 0, made.output
    return run


def test_a_person_without_account_is_asked_for_the_address_until_it_is_one(invited: Run) -> None:
    went = invited("join", "inv", "--policy", "strict", "--home", "ana", typed="Ana\nana@DOMAIN\nnowhere\n")
    assert "You have no account at" in went.output
    assert "Error: got 'Ana'" in went.output
    assert "account ana@" in went.output
    assert "as data-provider" in went.output
    # The line of what is typed ended after a file that is not there: asked again, and interrupted.
    assert "A file that you bring" in went.output
    assert went.exit_code == 1
    assert went.output.rstrip().endswith("the same command goes on where this one stopped")


def test_a_code_provider_is_asked_for_the_folder_and_may_answer_later(invited: Run, tmp_path: Path) -> None:
    join = ("join", "inv", "--policy", "strict", "--home", "dev")
    went = invited(*join, "--email", "dev@DOMAIN", typed="nowhere\n")
    assert went.exit_code == 1
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "run.py").write_text("x = 1\n")
    assert "code folder" not in went.output
    # Interrupted while it waits for the other: what was sent stays sent.
    again = play_until_waiting(invited, *join, typed="program\n")
    assert "sent 1 files" in again.output
    assert "to register" in again.output


def play_until_waiting(invited: Run, *words: str, typed: str) -> Played:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sealroom.cli.waiting.time.sleep", interrupt)
        return invited(*words, typed=typed)


def test_before_the_launch_those_are_named_who_keep_it_from_starting() -> None:
    people = (
        slot(Role.CODE_PROVIDER, "dev@x.example", sent=False),
        slot(Role.DATA_PROVIDER, "ana@x.example", key=False, sent=False),
        slot(Role.DATA_PROVIDER, "ben@x.example", sent=False),
        slot(Role.RESULT_CONSUMER, "eva@x.example", key=False),
    )
    assert missing_people(replace(FOUND, participants=people)) == (
        "for dev@x.example to send the code, ana@x.example and eva@x.example to register"
    )


def test_before_the_run_those_are_named_whose_keys_are_missing() -> None:
    people = (
        slot(Role.CODE_PROVIDER, "dev@x.example", out=True),
        slot(Role.DATA_PROVIDER, "ana@x.example", sent=False),
        slot(Role.RESULT_CONSUMER, "eva@x.example"),
    )
    assert missing_people(replace(FOUND, state=State.AWAITING_KEYS, participants=people)) == (
        "for ana@x.example to send data and say done, eva@x.example to deliver a key"
    )


def test_nobody_is_named_where_nobody_is_missing_and_few_where_many_are() -> None:
    assert missing_people(replace(FOUND, state=State.RUNNING)) is None
    assert missing_people(FOUND) is None
    crowd = tuple(slot(Role.DATA_PROVIDER, f"p{number}@x.example", key=False) for number in range(9))
    assert (missing_people(replace(FOUND, participants=crowd)) or "").endswith("and 3 others to register")


def test_a_line_is_printed_only_when_something_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with Waiting(Console(as_json=False)) as waiting:
        for what in ("for A", "for A", "for B", "for B"):
            waiting.wait(what, seconds=0)
        assert waiting.began
        waiting.stop("now: mine")
        assert not waiting.began
    assert capsys.readouterr().out == "waiting: for A\nwaiting: for B\nnow: mine\n"


def test_a_terminal_shows_how_long_and_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Waiting(Console(as_json=False)) as waiting:
        waiting.wait("for A", seconds=0.01)
    assert "0 s (Ctrl-C stops; the same command goes on here)" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K") or terminal.getvalue().endswith("\r")


def test_json_says_nothing_while_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    with Waiting(Console(as_json=True)) as waiting:
        waiting.wait("for A", seconds=0)
    assert capsys.readouterr().out == ""


def test_a_server_that_is_started_again_is_waited_for_and_one_that_never_answered_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sealroom.cli.waiting.time.sleep", lambda _: None)
    monkeypatch.setattr("sealroom.cli.guide.POLL_SECONDS", 0.0)
    answers: list[Computation | TransportError] = [TransportError("no answer"), FOUND]
    guide = guide_to(answers)
    with pytest.raises(TransportError):
        guide._ask()
    answers.insert(0, TransportError("no answer"))
    guide._waiting.wait("for others", seconds=0)
    assert guide._ask() is FOUND
    # A refusal is an answer, and is not waited out.
    answers.append(TransportError("gone", code="unknown_computation"))
    with pytest.raises(TransportError, match="gone"):
        guide._ask()


def guide_to(answers: list[Computation | TransportError]) -> Guide:
    class Server:
        def computation(self, _: UUID) -> Computation:
            answer = answers.pop(0)
            if isinstance(answer, TransportError):
                raise answer
            return answer

    part = Part(
        code=None, data=(), results=None, policy=load_policy("strict"), asks=False, yes=True,
        accept_simulated=False,
    )  # fmt: skip
    invocation = Invocation(home=None, console=Console(as_json=True))
    return Guide(invocation, cast(Client, Server()), FOUND.computation, part)
