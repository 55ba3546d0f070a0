import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from sealroom.server.errors import ServiceError
from sealroom.server.states import (
    RANKS,
    TRANSITIONS,
    Actor,
    Cause,
    State,
    check_allowed,
    find_transition,
)

ROOT = Path(__file__).resolve().parents[3]


def test_a_cause_means_one_change_in_a_state() -> None:
    edges = Counter((transition.cause, transition.source) for transition in TRANSITIONS)
    assert [edge for edge, count in edges.items() if count > 1] == []


def test_only_a_new_epoch_goes_back() -> None:
    backwards = [
        transition
        for transition in TRANSITIONS
        if transition.source is not None and RANKS[transition.target] < RANKS[transition.source]
    ]
    assert backwards
    assert all(transition.new_epoch for transition in backwards)


def test_a_new_epoch_always_means_launching() -> None:
    assert {t.target for t in TRANSITIONS if t.new_epoch} == {State.LAUNCHING}
    assert all(t.new_epoch for t in TRANSITIONS if t.target is State.LAUNCHING and t.source is not t.target)


def test_every_state_can_be_reached_and_only_archived_is_final() -> None:
    reached = {State.CREATED}
    while more := {t.target for t in TRANSITIONS if t.source in reached} - reached:
        reached |= more
    assert reached == set(State)
    assert {state for state in State if not any(t.source is state for t in TRANSITIONS)} == {State.ARCHIVED}


def test_every_cause_and_actor_is_in_the_table() -> None:
    assert {t.cause for t in TRANSITIONS} == set(Cause)
    assert set().union(*(t.by for t in TRANSITIONS)) == set(Actor)


def test_a_run_ends_only_by_the_enclave_the_owner_or_its_loss() -> None:
    out = {t.cause for t in TRANSITIONS if t.source is State.RUNNING and t.target is not State.RUNNING}
    assert out == {Cause.RUN_SUCCEEDED, Cause.RUN_FAILED, Cause.ENCLAVE_LOST, Cause.CANCELLED}


def test_a_change_of_another_state_is_refused_with_the_states_that_have_it() -> None:
    with pytest.raises(ServiceError) as refused:
        find_transition(Cause.RUN_STARTED, State.CREATED)
    assert (refused.value.code.code, refused.value.got) == ("wrong_state", "Created")
    assert refused.value.expected == ["AwaitingKeys"]


def test_who_asks_is_checked_before_the_state() -> None:
    with pytest.raises(ServiceError) as refused:
        check_allowed(Cause.CANCELLED, State.ARCHIVED, frozenset({Actor.DATA_PROVIDER}))
    assert refused.value.code.code == "wrong_role"


def test_a_role_that_may_elsewhere_is_refused_in_this_state() -> None:
    with pytest.raises(ServiceError) as refused:
        check_allowed(Cause.END_ASKED, State.RUNNING, frozenset({Actor.DATA_PROVIDER}))
    assert refused.value.code.code == "wrong_role"


def test_the_diagram_is_drawn_from_the_table() -> None:
    spec = importlib.util.spec_from_file_location("draw_states", ROOT / "tools" / "draw_states.py")
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    assert drawing.TARGET.read_text(encoding="utf-8") == drawing.draw(), "run tools/draw_states.py"
