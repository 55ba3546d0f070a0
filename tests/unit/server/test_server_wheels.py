"""Wheels on their way to an enclave: named by requirements.txt, whole, and within the rules, or refused."""

from typing import Any

import httpx
import pytest
from server_world import Person, ServerWorld, Study, code_of, make_tar

from made_wheels import make_wheel, pin, requirements_of
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.participants import Role
from sealroom.server.config import ServerLimits
from sealroom.server.launchers.base import LaunchPlan
from sealroom.server.schema import known_blobs

ONE = make_wheel("one", "1", {"one/__init__.py": b"1"})
TWO = make_wheel("two", "2", {"two/__init__.py": b"2" * 3000}, compression=0)
PINS = (pin(ONE, "one", "1"), pin(TWO, "two", "2"))


@pytest.fixture
def registered(study: Study) -> Study:
    study.register()
    return study


def announce(study: Study, *pins: Requirement, sizes: list[int] | None = None, **more: Any) -> httpx.Response:
    body = {
        "requirements": requirements_of(*pins).decode(),
        "sizes": [len(ONE), len(TWO)][: len(pins)] if sizes is None else sizes,
    }
    return (more.pop("person", None) or study.coder).post(study.path("/wheels"), json=body, **more)


def put(
    study: Study, wheel: bytes, *, offset: int = 0, end: int | None = None, **more: Any
) -> httpx.Response:
    person: Person = more.pop("person", None) or study.coder
    where = study.path(f"/wheels/{more.pop('name', None) or sha256(wheel).hex()}?offset={offset}")
    return person.send("PUT", where, content=wheel[offset:end])


def send(study: Study, *wheels: bytes, pins: tuple[Requirement, ...]) -> httpx.Response:
    """Send wheels, then code that names them; the answer is that to the code."""
    assert announce(study, *pins, sizes=[len(wheel) for wheel in wheels]).status_code == 201
    for wheel in wheels:
        assert put(study, wheel).json()["completed"] is True
    return study.send_code({"run.py": b"run", "requirements.txt": requirements_of(*pins)})


def test_wheels_go_first_and_the_code_that_names_them_is_taken(registered: Study) -> None:
    assert send(registered, ONE, TWO, pins=PINS).status_code == 201
    for person in (registered.reader, registered.owner, registered.hospital):
        answer = person.get(registered.path(f"/wheels/{PINS[1].sha256.hex()}"))
        assert answer.content == TWO
        assert answer.headers["etag"] == f'"{PINS[1].sha256.hex()}"'
    part = registered.reader.get(
        registered.path(f"/wheels/{PINS[1].sha256.hex()}"), headers={"Range": "bytes=10-19"}
    )
    assert (part.status_code, part.content) == (206, TWO[10:20])


def test_code_before_its_wheels_is_refused_by_their_names_and_leaves_nothing(
    registered: Study, world: ServerWorld
) -> None:
    announce(registered, *PINS)
    put(registered, ONE)
    blobs = sorted((world.data / "blobs").glob("*/*"))
    answer = registered.send_code({"run.py": b"run", "requirements.txt": requirements_of(*PINS)})
    assert code_of(answer) == "wheels_missing"
    assert answer.json()["error"]["details"]["missing"] == ["two 2"]
    assert sorted((world.data / "blobs").glob("*/*")) == blobs
    assert registered.view()["code"] is None


def test_a_wheel_that_no_requirements_name_is_refused(registered: Study) -> None:
    announce(registered, PINS[0])
    assert code_of(put(registered, TWO)) == "unknown_wheel"
    assert code_of(registered.reader.get(registered.path(f"/wheels/{sha256(TWO).hex()}"))) == "unknown_wheel"


def test_other_bytes_under_a_named_hash_are_dropped(registered: Study, world: ServerWorld) -> None:
    announce(registered, PINS[0], sizes=[len(TWO)])
    assert code_of(put(registered, TWO, name=PINS[0].sha256.hex())) == "upload_digest"
    assert [path for path in (world.data / "blobs").glob("*/*")] == []
    # The size was a claim as well: announced again, the right one is taken.
    announce(registered, PINS[0])
    assert put(registered, ONE).json()["completed"] is True


def test_a_wheel_is_continued_where_it_stopped(registered: Study) -> None:
    announce(registered, *PINS)
    assert put(registered, TWO, end=1000).json()["received"] == 1000
    assert code_of(put(registered, TWO, offset=999)) == "upload_offset"
    again = {each["sha256"]: each for each in announce(registered, *PINS).json()["wheels"]}
    assert again[PINS[1].sha256.hex()]["received"] == 1000
    assert put(registered, TWO, offset=1000).json()["completed"] is True
    assert put(registered, TWO).json()["completed"] is True
    listed = registered.reader.get(registered.path("/wheels")).json()["wheels"]
    assert {each["sha256"]: each["completed"] for each in listed} == {
        PINS[0].sha256.hex(): False,
        PINS[1].sha256.hex(): True,
    }


def test_more_bytes_than_announced_are_refused(registered: Study) -> None:
    announce(registered, PINS[0], sizes=[10])
    assert code_of(put(registered, ONE)) == "too_large"


def test_a_wheel_that_is_not_whole_is_not_handed_out(registered: Study) -> None:
    announce(registered, *PINS)
    put(registered, TWO, end=1000)
    assert code_of(registered.reader.get(registered.path(f"/wheels/{sha256(TWO).hex()}"))) == "unknown_wheel"


def test_only_the_code_provider_with_a_key_sends_wheels(study: Study) -> None:
    assert code_of(announce(study, *PINS)) == "not_registered"
    assert code_of(announce(study, *PINS, person=study.reader)) == "wrong_role"
    study.register()
    announce(study, *PINS)
    assert code_of(put(study, ONE, person=study.reader)) == "wrong_role"
    stranger = Person(study.world, "stranger@example.org")
    for path in ("/wheels", f"/wheels/{sha256(ONE).hex()}"):
        assert code_of(stranger.get(study.path(path))) == "unknown_computation"


@pytest.mark.parametrize("text", [b"numpy\n", b"\n", b"numpy==1 --hash=sha256:00\n", b"-e .\n"])
def test_requirements_in_another_form_are_refused(registered: Study, text: bytes) -> None:
    answer = registered.send_code({"run.py": b"run", "requirements.txt": text})
    assert code_of(answer) == "requirements"
    assert "line 1: got" in answer.json()["error"]["message"]
    body = {"requirements": text.decode(), "sizes": [1]}
    assert code_of(registered.coder.post(registered.path("/wheels"), json=body)) == "requirements"


def test_each_line_has_one_size(registered: Study) -> None:
    assert code_of(announce(registered, *PINS, sizes=[1])) == "malformed"


BAD = {
    "a .pth file": (make_wheel("one", "1", {"evil.pth": b"import os"}), r"evil.pth: a .pth file"),
    "a script": (make_wheel("one", "1", {"one-1.data/scripts/x": b""}), "scripts, headers and data"),
    "a name of ours": (make_wheel("one", "1", {"nacl.py": b""}), "sealroom's"),
    "another version": (make_wheel("one", "2"), "the wheel of one 1 is one of one 2"),
    "another system": (make_wheel("one", "1", tag="cp311-cp311-win_amd64"), "is for cp311-cp311-win_amd64"),
    "no wheel": (b"x" * 100, "archive"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wheel_that_no_client_would_list_is_refused_with_the_reason(registered: Study, name: str) -> None:
    wheel, reason = BAD[name]
    answer = send(registered, wheel, pins=(pin(wheel, "one", "1"),))
    assert code_of(answer) == "wheels_refused"
    assert reason in answer.json()["error"]["message"]
    assert registered.view()["code"] is None


def test_two_wheels_with_one_path_are_refused_by_both_names(registered: Study) -> None:
    other = make_wheel("other", "3", {"one/__init__.py": b"over it"})
    answer = send(registered, ONE, other, pins=(PINS[0], pin(other, "other", "3")))
    assert "one 1 and other 3 both have one/__init__.py" in answer.json()["error"]["message"]


def test_an_empty_requirements_file_needs_no_wheel(registered: Study) -> None:
    assert registered.send_code({"run.py": b"run", "requirements.txt": b""}).status_code == 201


def test_wheels_are_bounded_in_number_and_size(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = ServerLimits(max_wheels=2, max_wheel_bytes=10_000)
    small = ServerWorld(tmp_path_factory.mktemp("small"), limits=limits)
    study = Study(small)
    study.register(Role.CODE_PROVIDER)
    assert code_of(announce(study, *PINS, sizes=[6_000, 6_000])) == "too_large"
    assert code_of(announce(study, PINS[0], sizes=[(1 << 30) + 1])) == "too_large"
    assert announce(study, *PINS, sizes=[100, 200]).status_code == 201
    third = make_wheel("three", "3")
    assert code_of(announce(study, pin(third, "three", "3"), sizes=[1])) == "too_large"
    small.close()


def test_the_launch_gets_every_wheel_by_its_line(registered: Study, world: ServerWorld) -> None:
    plans: list[LaunchPlan] = []
    prepare = world.launcher.prepare
    world.launcher.prepare = lambda plan: (plans.append(plan), prepare(plan))[1]  # type: ignore[method-assign]
    assert send(registered, ONE, TWO, pins=PINS).status_code == 201
    world.follow()
    (plan,) = plans
    assert tuple(source.requirement for source in plan.packages) == PINS
    for source, wheel in zip(plan.packages, (ONE, TWO), strict=True):
        with source.open() as file:
            assert file.read() == wheel


def test_wheels_survive_the_sweep_after_a_restart(registered: Study, world: ServerWorld) -> None:
    send(registered, ONE, pins=PINS[:1])
    world.restart()
    with world.platform.store.read() as session:
        world.platform.blobs.sweep(known_blobs(session))
    assert registered.reader.get(registered.path(f"/wheels/{sha256(ONE).hex()}")).content == ONE


def test_an_answer_to_a_repeated_announcement_is_the_first_one(registered: Study) -> None:
    key = "0b0e7d3c-6a4f-4d55-9c1e-2f8f3c1d9a10"
    first = announce(registered, *PINS, key=key).json()
    put(registered, ONE)
    assert announce(registered, *PINS, key=key).json() == first


def test_tar_with_requirements_still_needs_the_signature(registered: Study) -> None:
    announce(registered, PINS[0])
    put(registered, ONE)
    tar = make_tar({"run.py": b"x", "requirements.txt": requirements_of(PINS[0])})
    assert code_of(registered.send_tar(tar)) == "code_signature"
