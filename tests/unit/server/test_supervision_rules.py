"""The rules by which a supervisor ends its enclave: a test for each row of the table, and for their order."""

from dataclasses import replace

import pytest

from sealroom.server.launchers.host_files import EndReason
from sealroom.server.supervision import Ask, Asked, Kill, Limits, Seen, Wait, decide

LIMITS = Limits(deadline=100, max_seconds=50, grace_seconds=10, start_seconds=20, max_spool_bytes=1000)
WAITING = Seen(
    now=30,
    spool_present=True,
    superseded=False,
    quote_present=True,
    opening_since=None,
    asked=None,
    asked_since=None,
    spool_bytes=1000,
)
RUNNING = replace(WAITING, opening_since=25)


def asked(seen: Seen, what: Asked, *, seconds_ago: float) -> Seen:
    return replace(seen, asked=what, asked_since=seen.now - seconds_ago)


@pytest.mark.parametrize("seen", [WAITING, RUNNING, replace(RUNNING, now=84), replace(WAITING, now=100)])
def test_nothing_is_due(seen: Seen) -> None:
    assert decide(seen, LIMITS) == Wait()


@pytest.mark.parametrize("seen", [WAITING, RUNNING, asked(WAITING, Asked.CANCELLED, seconds_ago=1)])
def test_without_its_spool_an_enclave_is_killed_at_once(seen: Seen) -> None:
    assert decide(replace(seen, spool_present=False), LIMITS) == Kill(reason=EndReason.SPOOL_GONE)


@pytest.mark.parametrize("seen", [WAITING, RUNNING])
@pytest.mark.parametrize("spool_bytes", [1001, None])
def test_an_enclave_that_writes_more_than_its_budgets_is_killed(seen: Seen, spool_bytes: int | None) -> None:
    assert decide(replace(seen, spool_bytes=spool_bytes), LIMITS) == Kill(reason=EndReason.SPOOL_FULL)


@pytest.mark.parametrize("seen", [WAITING, RUNNING])
def test_a_higher_epoch_asks_first(seen: Seen) -> None:
    seen = replace(seen, superseded=True)
    assert decide(seen, LIMITS) == Ask(end=Asked.CANCELLED)
    assert decide(asked(seen, Asked.CANCELLED, seconds_ago=9), LIMITS) == Wait()
    assert decide(asked(seen, Asked.CANCELLED, seconds_ago=11), LIMITS) == Kill(reason=EndReason.SUPERSEDED)


def test_the_deadline_asks_once() -> None:
    late = replace(WAITING, now=101)
    assert decide(late, LIMITS) == Ask(end=Asked.EXPIRED)
    assert decide(asked(late, Asked.EXPIRED, seconds_ago=9), LIMITS) == Wait()
    assert decide(asked(late, Asked.EXPIRED, seconds_ago=11), LIMITS) == Kill(reason=EndReason.EXPIRED)


def test_the_deadline_does_not_touch_a_run() -> None:
    assert decide(replace(RUNNING, now=101, opening_since=99), LIMITS) == Wait()


def test_a_run_that_began_before_it_read_expired_goes_on() -> None:
    late = replace(WAITING, now=130, opening_since=101)
    assert decide(asked(late, Asked.EXPIRED, seconds_ago=29), LIMITS) == Wait()


def test_a_cancelled_run_is_killed_after_the_grace_period() -> None:
    assert decide(asked(RUNNING, Asked.CANCELLED, seconds_ago=9), LIMITS) == Wait()
    assert decide(asked(RUNNING, Asked.CANCELLED, seconds_ago=11), LIMITS) == Kill(reason=EndReason.CANCELLED)


def test_the_time_limit_counts_from_the_opening() -> None:
    assert decide(replace(RUNNING, now=25 + 60), LIMITS) == Wait()
    assert decide(replace(RUNNING, now=25 + 61), LIMITS) == Kill(reason=EndReason.TIME_LIMIT)


def test_a_start_without_a_quote_is_given_up() -> None:
    assert decide(replace(WAITING, now=20, quote_present=False), LIMITS) == Wait()
    assert decide(replace(WAITING, quote_present=False), LIMITS) == Kill(reason=EndReason.NOT_ATTESTED)
