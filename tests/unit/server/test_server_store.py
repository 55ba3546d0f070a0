import hashlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from server_world import ServerWorld, Study
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DatabaseError, StatementError

from sealroom.server.errors import ServiceError
from sealroom.server.events import BEGINNING, event_digest
from sealroom.server.idempotency import RepeatableRequest, parse_key, perform_once, request_digest
from sealroom.server.schema import Account, Base, Event, IdempotencyKey
from sealroom.server.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'test.sqlite'}")


def request(digest: bytes = b"d" * 32, *, scope: str = "1") -> RepeatableRequest:
    return RepeatableRequest(scope=scope, key=uuid4(), digest=digest)


def test_the_migrations_make_exactly_the_schema(store: Store, tmp_path: Path) -> None:
    with create_engine(f"sqlite:///{tmp_path / 'test.sqlite'}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    store.close()
    open_store(f"sqlite:///{tmp_path / 'test.sqlite'}").close()


def test_sqlite_keeps_what_was_committed_through_a_power_cut(store: Store) -> None:
    with store.read() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_time_without_zone_is_our_own_mistake(store: Store) -> None:
    with pytest.raises(StatementError, match="naive"), store.write() as session:
        session.add(Account(email="a@b", token_sha256=b"t", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001
        session.flush()


def test_a_time_comes_back_to_the_microsecond(store: Store) -> None:
    at = datetime(2026, 11, 22, 1, 2, 3, 999_999, tzinfo=UTC)
    with store.write() as session:
        session.add(Account(email="a@b", token_sha256=b"t", created_at=at))
    with store.read() as session:
        assert session.scalars(select(Account.created_at)).one() == at


def test_a_failed_statement_does_not_tell_its_parameters(store: Store) -> None:
    with pytest.raises(DatabaseError) as failed, store.write() as session:
        for _ in range(2):
            session.add(Account(email="a@b", token_sha256=b"a hash", created_at=datetime.now(UTC)))
            session.flush()
    assert "a hash" not in str(failed.value)


@pytest.mark.parametrize("statement", ["UPDATE events SET kind = 'x'", "DELETE FROM events"])
def test_events_cannot_be_changed_or_removed(study: Study, world: ServerWorld, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), world.platform.store.write() as session:
        session.execute(text(statement))


def test_events_are_chained_as_the_page_says(study: Study, world: ServerWorld) -> None:
    study.register()
    shown = study.owner.get(study.path("/events")).json()["events"]
    with world.platform.store.read() as session:
        rows = session.scalars(select(Event).order_by(Event.number)).all()
    previous = BEGINNING
    for number, (row, seen) in enumerate(zip(rows, shown, strict=True)):
        fields = {
            name: seen[name] for name in ("by", "details", "epoch", "kind", "number", "source", "target")
        }
        at = datetime.fromisoformat(seen["at"]).isoformat(timespec="microseconds")
        body = json.dumps(
            {**fields, "at": at, "computation": str(study.uuid)}, sort_keys=True, separators=(",", ":")
        ).encode()
        digest = hashlib.sha256(
            b"sealroom/v1/event\0" + previous + len(body).to_bytes(4, "big") + body
        ).digest()
        assert (seen["number"], seen["previous"], seen["digest"]) == (number, previous.hex(), digest.hex())
        assert event_digest(row) == digest
        previous = digest


def test_a_repeated_request_takes_effect_once_and_is_answered_the_same(store: Store) -> None:
    calls: list[int] = []
    wanted = request()
    answers = [perform_once(store, wanted, lambda _: {"n": calls.append(1) or len(calls)}) for _ in range(3)]
    assert (answers, len(calls)) == ([{"n": 1}] * 3, 1)


def test_a_key_used_for_another_request_is_refused(store: Store) -> None:
    wanted = request()
    perform_once(store, wanted, lambda _: {})
    other = RepeatableRequest(scope=wanted.scope, key=wanted.key, digest=b"e" * 32)
    with pytest.raises(ServiceError) as refused:
        perform_once(store, other, lambda _: {})
    assert refused.value.code.code == "idempotency_key_reused"


def test_two_accounts_may_use_one_key(store: Store) -> None:
    first = request(scope="1")
    second = RepeatableRequest(scope="2", key=first.key, digest=first.digest)
    assert perform_once(store, first, lambda _: {"n": 1}) == {"n": 1}
    assert perform_once(store, second, lambda _: {"n": 2}) == {"n": 2}


def test_a_refused_request_is_judged_again(store: Store) -> None:
    wanted = request()

    def refuse(_: object) -> dict[str, object]:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError):
        perform_once(store, wanted, refuse)
    assert perform_once(store, wanted, lambda _: {"n": 1}) == {"n": 1}


def test_the_key_itself_is_not_kept(store: Store) -> None:
    wanted = request()
    perform_once(store, wanted, lambda _: {})
    with store.read() as session:
        row = session.scalars(select(IdempotencyKey)).one()
    assert wanted.key.bytes not in (row.key_sha256, row.request_sha256)


def test_duplicates_at_the_same_time_take_effect_once(store: Store) -> None:
    wanted, calls, answers = request(), [], []
    together = threading.Barrier(8)

    def repeat() -> None:
        together.wait()
        answers.append(perform_once(store, wanted, lambda _: {"n": calls.append(1) or len(calls)}))

    threads = [threading.Thread(target=repeat) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, len(calls)) == ([{"n": 1}] * 8, 1)


@pytest.mark.parametrize(
    "key",
    ["", "x", "a" * 32, "00000000-0000-1000-8000-000000000000", "{5c7f4a39-9d52-4a3e-8b0d-2f6f0c7d9a11}"],
)
def test_a_key_that_is_no_random_uuid_is_refused(key: str) -> None:
    with pytest.raises(ServiceError):
        parse_key(key)


def test_a_request_is_told_apart_by_every_part() -> None:
    digests = {
        request_digest("POST", "/a", b"x"),
        request_digest("POST", "/ax"),
        request_digest("POST", "/a", b"x", b""),
        request_digest("PUT", "/a", b"x"),
    }
    assert len(digests) == 4
