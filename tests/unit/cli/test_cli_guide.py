"""`join` for a person: what is missing is asked for, and what is waited for is named once."""

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from transcript import Played, play

from sealroom.cli.console import Console
from sealroom.cli.waiting import Waiting, missing_people
from sealroom.client.computation import Computation, MyRole, ParticipantStatus, State
from sealroom.client.transport import ServerAddress
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
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


def slot(
    role: Role, email: str, *, key: bool = True, sent: bool = True, out: bool = False
) -> ParticipantStatus:
    return ParticipantStatus(
        role=role,
        index=0,
        email=email,
        public_key=bytes(32) if key else None,
        registered_at=NOW if key else None,
        sent_at=NOW if sent else None,
        delivered_at=NOW if out else None,
    )


FOUND = Computation(
    computation=UUID("11111111-2222-4333-8444-555555555555"),
    name="S",
    owner="o@x.example",
    created_at=NOW,
    state=State.REGISTERING,
    epoch=0,
    tee=Tee.SIMULATED,
    delivery=DeliveryForm.V1,
    logs=LogRelease.NONE,
    limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
    participants=(),
    code=None,
    launches=(),
    runs=(),
    refusal=None,
    my_roles=(MyRole.OWNER,),
)


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
