from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sealroom.client.computation import (
    CodeVersion,
    Computation,
    Launch,
    MyRole,
    ParticipantStatus,
    RefusalNotice,
    Run,
    State,
)
from sealroom.client.join import Facts, StepKind, next_steps
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME, OTHER = "me@example.org", "other@example.org"
CODE = CodeVersion(digest=bytes(32), signature=bytes(64), version=1, sent_at=NOW)


def slot(role: Role, email: str = ME, *, key: bool = True, sent: bool = False) -> ParticipantStatus:
    return ParticipantStatus(
        role=role,
        index=0,
        email=email,
        public_key=bytes(32) if key else None,
        registered_at=NOW if key else None,
        sent_at=NOW if sent else None,
        delivered_at=None,
    )


def computation(state: State, *slots: ParticipantStatus, code: bool = True) -> Computation:
    mine = [MyRole(s.role.value) for s in slots if s.email == ME]
    return Computation(
        computation=UUID("11111111-1111-4111-8111-111111111111"),
        name="x",
        owner=OTHER,
        created_at=NOW,
        state=state,
        epoch=1,
        tee=Tee.SGX,
        delivery=DeliveryForm.V1,
        logs=LogRelease.NONE,
        limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=1, max_memory=1),
        participants=slots,
        code=CODE if code else None,
        launches=(Launch(epoch=1, launched_at=NOW, evidence_at=NOW, ended_at=None, mrenclave=bytes(32)),),
        runs=(),
        refusal=None,
        my_roles=tuple(mine),
    )


def kinds(found: Computation, facts: Facts) -> list[tuple[StepKind, Role | None]]:
    return [(step.kind, step.role) for step in next_steps(found, facts)]


CP, DP, RC = Role.CODE_PROVIDER, Role.DATA_PROVIDER, Role.RESULT_CONSUMER
REGISTERED = Facts(email=ME, registered=frozenset(Role))


def test_a_key_comes_first() -> None:
    found = computation(State.CREATED, slot(DP, key=False))
    assert kinds(found, Facts(email=ME)) == [(StepKind.REGISTER, DP)]


def test_a_registration_that_the_server_lost_is_made_again() -> None:
    found = computation(State.REGISTERING, slot(DP, key=False), slot(DP, OTHER))
    assert kinds(found, REGISTERED) == [(StepKind.REGISTER, DP)]


def test_each_role_has_its_own_next_step() -> None:
    found = computation(State.REGISTERING, slot(CP), slot(DP), slot(RC), code=False)
    assert kinds(found, REGISTERED) == [(StepKind.SEND_CODE, CP), (StepKind.SEND_DATA, DP)]


def test_another_providers_data_is_not_mine() -> None:
    found = computation(State.REGISTERING, slot(DP), slot(DP, OTHER, sent=True))
    assert kinds(found, REGISTERED) == [(StepKind.SEND_DATA, DP)]


def test_who_has_done_everything_waits() -> None:
    found = computation(State.REGISTERING, slot(RC), slot(DP, OTHER, key=False))
    assert kinds(found, REGISTERED) == [(StepKind.WAIT_FOR_PEOPLE, None)]


@pytest.mark.parametrize("state", [State.LAUNCHING, State.AWAITING_KEYS])
def test_data_is_done_before_a_delivery_commits_to_it(state: State) -> None:
    found = computation(state, slot(DP))
    assert kinds(found, REGISTERED) == [(StepKind.SEND_DATA, DP)]
    # Noted at home, and the server did not hear of it.
    assert kinds(found, replace(REGISTERED, data_done=True)) == [(StepKind.SEND_DATA, DP)]


def test_an_enclave_is_verified_before_the_key_leaves() -> None:
    found = computation(State.AWAITING_KEYS, slot(DP, sent=True), slot(RC))
    facts = replace(REGISTERED, data_done=True)
    assert kinds(found, facts) == [(StepKind.VERIFY_AND_DELIVER, DP), (StepKind.VERIFY_AND_DELIVER, RC)]


def test_a_recorded_delivery_without_an_answer_is_sent_again() -> None:
    found = computation(State.AWAITING_KEYS, slot(RC))
    facts = replace(REGISTERED, delivered=frozenset({RC}))
    assert kinds(found, facts) == [(StepKind.DELIVER_AGAIN, RC)]
    answered = replace(facts, answered=frozenset({RC}))
    assert kinds(found, answered) == [(StepKind.WAIT_FOR_DELIVERIES, None)]


def test_a_second_enclave_is_a_persons_decision_with_the_number() -> None:
    found = computation(State.AWAITING_KEYS, slot(RC))
    (step,) = next_steps(found, replace(REGISTERED, open_enclaves=1))
    assert step.kind is StepKind.DECIDE
    assert "2 enclaves" in step.why


def test_different_words_are_a_persons_decision() -> None:
    found = computation(State.AWAITING_KEYS, slot(RC))
    (step,) = next_steps(found, replace(REGISTERED, words_differ=True))
    assert step.kind is StepKind.DECIDE
    assert "words" in step.why


def test_an_enclave_that_refused_gets_nothing_more() -> None:
    found = computation(State.AWAITING_KEYS, slot(RC))
    assert kinds(found, replace(REGISTERED, refused_here=True)) == [(StepKind.WAIT_FOR_DELIVERIES, None)]


def test_after_a_run_the_receipt_and_the_results_are_fetched_once() -> None:
    found = computation(State.SUCCEEDED, slot(DP, sent=True), slot(RC))
    assert kinds(found, REGISTERED) == [
        (StepKind.VERIFY_RECEIPT, DP),
        (StepKind.VERIFY_RECEIPT, RC),
        (StepKind.GET_RESULTS, RC),
    ]
    done = replace(REGISTERED, has_receipt=True, has_results=True)
    assert kinds(found, done) == [(StepKind.DONE, None)]


def test_a_signed_refusal_is_fetched_because_it_frees_the_count() -> None:
    found = replace(
        computation(State.REFUSED, slot(RC)),
        refusal=RefusalNotice(by="enclave", reason="words-differ", epoch=1),
    )
    facts = replace(REGISTERED, delivered=frozenset({RC}), answered=frozenset({RC}))
    assert kinds(found, facts) == [(StepKind.VERIFY_RECEIPT, RC)]
    assert kinds(found, replace(facts, has_receipt=True)) == [(StepKind.WAIT_FOR_OWNER, None)]
    assert kinds(found, REGISTERED) == [(StepKind.WAIT_FOR_OWNER, None)]


def test_a_failed_run_has_a_receipt_and_a_lost_enclave_has_none() -> None:
    lost = computation(State.FAILED, slot(RC))
    facts = replace(REGISTERED, delivered=frozenset({RC}))
    assert kinds(lost, facts) == [(StepKind.WAIT_FOR_OWNER, None)]
    run = Run(epoch=1, started_at=NOW, ended_at=NOW, outcome="failed", exit_code=1)
    assert kinds(replace(lost, runs=(run,)), facts) == [(StepKind.VERIFY_RECEIPT, RC)]


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_next_step(state: State) -> None:
    (step, *_) = next_steps(computation(state, slot(RC)), REGISTERED)
    assert step.why
    assert not (step.kind.is_waiting and step.kind.is_end)


@pytest.mark.parametrize("state", [state for state in State if state.is_final])
def test_a_computation_that_is_over_asks_for_nothing(state: State) -> None:
    assert kinds(computation(state, slot(CP, key=False)), Facts(email=ME)) == [(StepKind.ENDED, None)]
