"""`status` for a person: what the server wrote is shown, and what is next fits the state and the roles."""

from dataclasses import replace

import pytest
from computations import FOUND, slot

from sealroom.cli.console import Console
from sealroom.cli.options import Invocation
from sealroom.cli.status import NEXT, computation_document, print_computation
from sealroom.client.computation import Computation, MyRole, RefusalNotice, State
from sealroom.core.wire.participants import Role

HOSTILE = "x\x1b[2J\u202e"


def printed(found: Computation, capsys: pytest.CaptureFixture[str]) -> str:
    print_computation(Invocation(home=None, console=Console(as_json=False)), found)
    return capsys.readouterr().out


def test_nothing_that_the_server_wrote_reaches_the_terminal_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = replace(
        FOUND,
        name=HOSTILE,
        owner=HOSTILE,
        participants=(slot(Role.CODE_PROVIDER, HOSTILE, key=False),),
        refusal=RefusalNotice(by=HOSTILE, reason=HOSTILE, epoch=1),
    )
    said = printed(found, capsys)
    assert "\x1b[2J" not in said
    assert "\u202e" not in said
    assert said.count("<U+202E>") >= 5


@pytest.mark.parametrize("state", State)
def test_every_state_is_printed_with_a_next_step(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    found = replace(FOUND, state=state)
    assert f"next: {NEXT[state].format(uuid=FOUND.computation)}" in printed(found, capsys)


def test_a_result_consumer_is_told_of_the_results_and_nobody_else_is() -> None:
    found = replace(FOUND, state=State.SUCCEEDED)
    assert "results get" not in str(computation_document(found)["next"])
    consumer = replace(found, my_roles=(MyRole.RESULT_CONSUMER,))
    assert str(computation_document(consumer)["next"]).startswith(f"sealroom results get {FOUND.computation}")


def test_while_people_are_missing_they_are_named() -> None:
    found = replace(FOUND, participants=(slot(Role.CODE_PROVIDER, "dev@x.example", sent=False),))
    assert computation_document(found)["next"] == (
        "waiting for dev@x.example to send the code; each by sealroom join INVITATION"
    )
