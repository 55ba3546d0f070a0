"""Packages over real processes: from the Code Provider's store into the enclave, compared by everybody."""

import pytest
from platform_world import POLICY, Scene, World, deliver

from made_wheels import make_wheel, pin, requirements_of
from sealroom.client import State
from sealroom.client.wheel_store import WheelStore
from sealroom.core.evidence.verdict import Check, Outcome, Verdict
from sealroom.core.measurement.requirements import Requirement

pytestmark = pytest.mark.e2e

GREET = make_wheel("greet", "1.0", {"greet/__init__.py": b"def word(): return b'hello from a package'\n"})
OTHER = make_wheel("greet", "1.0", {"greet/__init__.py": b"def word(): return b'hello from elsewhere'\n"})
PIN = pin(GREET, "greet", "1.0")
PROGRAM = {
    "run.py": (
        "from sealroom.enclave import Enclave\nimport greet\n"
        "from importlib.metadata import version\n"
        "with Enclave() as enclave:\n"
        "    enclave.write(greet.word() + b' ' + version('greet').encode(), name='word')\n"
    ),
    "requirements.txt": requirements_of(PIN).decode(),
}


def keep(scene: Scene, requirement: Requirement, wheel: bytes) -> None:
    WheelStore(scene.code.client.home).add(requirement, lambda sink: sink.write(wheel))


def check(verdict: Verdict, name: str) -> Check:
    return next(check for group in verdict.groups for check in group.parts if check.name == name)


def test_a_package_runs_inside_and_every_participant_has_compared_it(world: World) -> None:
    scene = world.scene()
    keep(scene, PIN, GREET)
    scene.prepare(PROGRAM)
    for holder in scene.holders:
        verdict = holder.appraise(POLICY).verdict
        assert verdict.passed_but_simulated
        assert check(verdict, "code.packages").observed == "greet 1.0"
        assert WheelStore(holder.client.home).missing([PIN]) == ()
        deliver(holder)
    scene.wait_for(State.SUCCEEDED)
    (result,) = scene.readers[0].results()
    assert result.path.read_bytes() == b"hello from a package 1.0"
    assert scene.readers[0].receipt().closing is not None


@pytest.mark.slow
def test_an_operator_who_unpacks_another_wheel_is_found_out_by_the_file(own_world: World) -> None:
    """Name and version are right; requirements.txt, which is measured, named another hash."""
    scene = own_world.scene()
    keep(scene, PIN, GREET)
    for holder in scene.holders[:-1]:
        holder.register()
    scene.send_data(0, {"a.csv": b"1"})
    scene.data[0].done()
    scene.send_code(PROGRAM)
    ((name,),) = own_world.platform.sql("SELECT id FROM wheels")
    (blob,) = own_world.platform.server.data.rglob(str(name))
    blob.write_bytes(OTHER)
    scene.holders[-1].register()
    scene.wait_for(State.AWAITING_KEYS)
    verdict = scene.code.appraise(POLICY).verdict
    assert "package file greet/__init__.py has sha256" in check(verdict, "measurement.manifest").observed
    assert not verdict.passed_but_simulated
    # To whoever has no wheel yet, the operator can only hand out the true one or none at all.
    with pytest.raises(Exception, match=r"wheel of greet 1\.0: got sha256"):
        scene.data[0].appraise(POLICY)


@pytest.mark.slow
def test_without_the_wheel_nothing_can_be_delivered(world: World) -> None:
    scene = world.scene()
    keep(scene, PIN, GREET)
    scene.prepare(PROGRAM)
    world.platform.sql("UPDATE wheels SET completed_at = NULL WHERE computation_uuid = ?", str(scene.uuid))
    verdict = scene.data[0].appraise(POLICY).verdict
    found = check(verdict, "measurement.manifest")
    assert (found.outcome, found.because) == (
        Outcome.NOT_REACHED,
        "the wheels of greet 1.0 are not in your store",
    )
    with pytest.raises(Exception, match="not reached"):
        deliver(scene.data[0])
