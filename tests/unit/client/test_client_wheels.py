"""Wheels at home: kept by their hashes, listed once, and never believed from a server."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from uuid import UUID

import pytest
from scripted_server import Say, ScriptedServer, scripted_server

from made_wheels import make_wheel, pin, requirements_of
from sealroom.client.home import Home
from sealroom.client.roles import CodeProvider, ComputationDraft, ComputationOwner
from sealroom.client.session import Client
from sealroom.client.transport import Transport, TransportOptions
from sealroom.client.wheel_store import WheelStore
from sealroom.client.wheel_transfer import WheelCourier
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.measurement.wheel import list_wheel
from sealroom.core.wire.terms import Tee

ONE = make_wheel("one", "1", {"one/__init__.py": b"1"})
TWO = make_wheel("two", "2", {"two/__init__.py": b"2" * 5000}, compression=0)
PINS = (pin(ONE, "one", "1"), pin(TWO, "two", "2"))
COMPUTATION = UUID("11111111-1111-4111-8111-111111111111")


def filled(home: Home, *wheels: tuple[Requirement, bytes]) -> WheelStore:
    store = WheelStore(home)
    for requirement, raw in wheels:
        store.add(requirement, lambda sink, raw=raw: sink.write(raw))
    return store


# The store


def test_a_wheel_is_kept_under_its_hash_with_its_list(home: Home) -> None:
    store = filled(home, (PINS[0], ONE))
    assert store.path(PINS[0].sha256).read_bytes() == ONE
    assert store.missing(PINS) == (PINS[1],)
    assert store.known(PINS) == {PINS[0].sha256: list_wheel(io.BytesIO(ONE))}


def test_another_wheel_than_the_one_named_is_not_kept(home: Home) -> None:
    with pytest.raises(VerificationError, match=r"wheel of one 1: got sha256 .*, expected"):
        filled(home, (PINS[0], TWO))
    assert list(home.wheels.iterdir()) == []


def test_a_wheel_that_breaks_a_rule_is_not_kept_and_named(home: Home) -> None:
    evil = make_wheel("one", "1", {"evil.pth": b"import os"})
    with pytest.raises(VerificationError, match=r"wheel of one 1: wheel: evil\.pth: a \.pth file"):
        filled(home, (pin(evil, "one", "1"), evil))
    assert list(home.wheels.iterdir()) == []


def test_a_transfer_that_breaks_off_leaves_nothing(home: Home) -> None:
    def broken(sink: IO[bytes]) -> None:
        sink.write(ONE[:10])
        raise TransportError("gone")

    with pytest.raises(TransportError):
        WheelStore(home).add(PINS[0], broken)
    assert list(home.wheels.iterdir()) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw.replace(b'"rules": 1', b'"rules": 0'),
        lambda raw: json.dumps(json.loads(raw) | {"files": [["one/__init__.py", 1]]}).encode(),
        lambda raw: json.dumps(json.loads(raw) | {"files": [["one/__init__.py", 1, "zz"]]}).encode(),
        lambda raw: json.dumps(json.loads(raw) | {"files": [[1, 1, "00"]]}).encode(),
    ],
)
def test_a_list_that_is_not_whole_or_by_other_rules_is_made_again(
    home: Home, spoil: Callable[[bytes], bytes]
) -> None:
    store = filled(home, (PINS[0], ONE))
    before = store.known(PINS)
    (listed,) = home.wheels.glob("*.json")
    good = listed.read_bytes()
    listed.write_bytes(spoil(good))
    assert store.known(PINS) == before
    assert listed.read_bytes() == good


def test_a_wheel_that_was_changed_on_the_disk_is_not_listed_again(home: Home) -> None:
    store = filled(home, (PINS[0], ONE))
    for path in home.wheels.glob("*.json"):
        path.unlink()
    store.path(PINS[0].sha256).write_bytes(TWO)
    assert store.known(PINS) == {}


# The courier


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    with scripted_server(tmp_path / "server") as scripted:
        yield scripted


@pytest.fixture
def courier(server: ScriptedServer, home: Home) -> Iterator[WheelCourier]:
    with Transport(server.address, TransportOptions(timeout_seconds=5, attempts=2)) as transport:
        yield WheelCourier(transport=transport, computation=COMPUTATION, store=WheelStore(home))


def state(requirement: Requirement, received: int, *, completed: bool = False) -> bytes:
    return json.dumps(
        {"sha256": requirement.sha256.hex(), "size": 1, "received": received, "completed": completed}
    ).encode()


def listed(*states: bytes) -> Say:
    return Say(body=b'{"wheels": [' + b",".join(states) + b"]}")


def refused(code: str, status: int) -> Say:
    return Say(status=status, body=json.dumps({"error": {"code": code, "message": "no"}}).encode())


def test_another_wheel_from_the_server_is_refused_by_name(
    server: ScriptedServer, courier: WheelCourier, home: Home
) -> None:
    server.script = [Say(body=TWO)]
    with pytest.raises(VerificationError, match="wheel of one 1: got sha256"):
        courier.fetch(PINS[:1])
    assert list(home.wheels.glob("*.whl")) == []


def test_only_what_is_missing_is_fetched(server: ScriptedServer, courier: WheelCourier, home: Home) -> None:
    server.script = [Say(body=TWO)]
    filled(home, (PINS[0], ONE))
    courier.fetch(PINS)
    assert courier.store.missing(PINS) == ()
    assert [asked.path.rpartition("/")[2] for asked in server.asked] == [PINS[1].sha256.hex()]


def test_sending_goes_on_where_the_server_is(
    server: ScriptedServer, courier: WheelCourier, home: Home
) -> None:
    filled(home, (PINS[0], ONE), (PINS[1], TWO))
    server.script = [
        listed(state(PINS[0], len(ONE), completed=True), state(PINS[1], 1000)),
        refused("upload_offset", 409),
        listed(state(PINS[1], 2000)),
        Say(body=state(PINS[1], len(TWO), completed=True)),
    ]
    courier.send(PINS)
    puts = [asked for asked in server.asked if asked.method == "PUT"]
    assert [asked.path.rpartition("=")[2] for asked in puts] == ["1000", "2000"]
    assert puts[1].body == TWO[2000:]
    announced = json.loads(server.asked[0].body)
    assert announced == {"requirements": requirements_of(*PINS).decode(), "sizes": [len(ONE), len(TWO)]}


def test_a_server_that_takes_no_more_is_left(
    server: ScriptedServer, courier: WheelCourier, home: Home
) -> None:
    filled(home, (PINS[0], ONE))
    server.script = [listed(state(PINS[0], 0)), Say(body=state(PINS[0], 0))]
    with pytest.raises(TransportError, match="wheel of one 1: the server takes no more"):
        courier.send(PINS[:1])


def test_a_server_that_forgets_a_wheel_is_malformed(
    server: ScriptedServer, courier: WheelCourier, home: Home
) -> None:
    filled(home, (PINS[0], ONE))
    server.script = [listed()]
    with pytest.raises(MalformedError, match="forgot one 1"):
        courier.send(PINS[:1])


def test_a_refusal_of_the_server_is_passed_on(
    server: ScriptedServer, courier: WheelCourier, home: Home
) -> None:
    filled(home, (PINS[0], ONE))
    server.script = [listed(state(PINS[0], 0)), refused("upload_digest", 422)]
    with pytest.raises(TransportError) as caught:
        courier.send(PINS[:1])
    assert caught.value.code == "upload_digest"


# The role


def test_code_goes_with_its_wheels_and_everybody_gets_them(
    make_client: Callable[[str], Client], tmp_path: Path
) -> None:
    people = {name: make_client(name) for name in ("owner", "code", "data", "reader")}
    draft = ComputationDraft(
        name="with packages",
        code_provider=people["code"].account.email,
        data_providers=(people["data"].account.email,),
        result_consumers=(people["reader"].account.email,),
        tee=Tee.SIMULATED,
    )
    owner = ComputationOwner.create(people["owner"], draft)
    people["code"].accept_invitation(owner.folder.load())
    coder = CodeProvider(people["code"], owner.computation)
    coder.register()
    program = tmp_path / "program"
    program.mkdir()
    (program / "run.py").write_text("import one\n")
    (program / "requirements.txt").write_bytes(requirements_of(*PINS))
    filled(people["code"].home, (PINS[0], ONE), (PINS[1], TWO))
    coder.send(program)
    store = WheelStore(people["data"].home)
    transport = people["data"].transport
    WheelCourier(transport=transport, computation=owner.computation, store=store).fetch(PINS)
    assert store.known(PINS).keys() == {each.sha256 for each in PINS}
