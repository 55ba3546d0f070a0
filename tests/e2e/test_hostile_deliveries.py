"""A hostile operator between the participants and the enclave: keys, files and code on their way in."""

import hashlib
from dataclasses import replace

import pytest
from platform_processes import wait_until
from platform_world import SUM, Scene, World, deliver

from sealroom.client import Client, State
from sealroom.client.transport import Request
from sealroom.core.errors import TransportError, VerificationError
from sealroom.core.sealing.commitment import NO_COMMITMENT
from sealroom.core.wire.delivery import Delivery, DeliveryRefusal
from sealroom.core.wire.participants import Role
from sealroom.core.wire.spool import Answer, answer_name, inbox_name
from sealroom.server.blobs import BlobStore

pytestmark = pytest.mark.e2e


def signed_again(seen: Delivery, thief: Client, *, role: Role, commitment: bytes) -> bytes:
    """The box of `seen` in a delivery of the thief's own, with a signature that holds."""
    statement = replace(seen.statement, role=role, sender_pk=thief.identity.public_key, commitment=commitment)
    message = b"sealroom/v1/delivery\0" + statement.digest + hashlib.sha256(seen.box).digest()
    return Delivery(statement=statement, box=seen.box, signature=thief.identity.sign(message)).to_bytes()


def post(sender: Client, scene: Scene, raw: bytes) -> None:
    request = Request(method="POST", path=f"/computations/{scene.uuid}/deliveries", content=raw)
    sender.transport.send(request)


def refused_for(scene: Scene, reason: str) -> None:
    """The enclave refused, signed it, and every participant who delivered holds that."""
    found = scene.wait_for(State.REFUSED)
    assert found.refusal is not None
    assert (found.refusal.by, found.refusal.reason) == ("enclave", reason)
    delivered = [h for h in scene.holders if h.client.deliveries.deliveries(scene.uuid)]
    assert delivered
    for holder in delivered:
        assert [refusal.reason for refusal in holder.collect_refusals()] == [reason]


def stolen(world: World) -> tuple[Scene, Client, Delivery]:
    """A scene in which the operator is a participant, and a hospital's delivery that passed by."""
    owner, code, hospital, thief = (world.person(name) for name in ("owner", "code", "hospital", "thief"))
    scene = world.propose(owner=owner, code=code, data=[hospital, thief], readers=[thief])
    scene.prepare()
    deliver(scene.code)
    deliver(scene.data[0])
    return scene, thief.client, Delivery.from_bytes(world.operator.last("POST", "/deliveries")[0].body)


def test_a_hospitals_box_signed_again_as_a_second_hospital_is_refused(world: World) -> None:
    scene, thief, seen = stolen(world)
    commitment = scene.data[1].commitment
    assert commitment is not None
    deliver(scene.readers[0])
    post(thief, scene, signed_again(seen, thief, role=Role.DATA_PROVIDER, commitment=commitment))
    refused_for(scene, "box-of-another-statement")


@pytest.mark.slow
def test_a_hospitals_box_moved_to_another_role_is_refused(world: World) -> None:
    scene, thief, seen = stolen(world)
    deliver(scene.data[1])
    post(thief, scene, signed_again(seen, thief, role=Role.RESULT_CONSUMER, commitment=NO_COMMITMENT))
    refused_for(scene, "box-of-another-statement")


@pytest.mark.slow
def test_the_same_delivery_twice_changes_nothing_and_other_bytes_are_refused(world: World) -> None:
    scene = world.scene().prepare()
    provider = scene.data[0]
    first = deliver(provider)
    seen = world.operator.last("POST", "/deliveries")[0].body
    post(provider.client, scene, seen)
    assert first.refused is None
    again = provider.send_again()
    assert again is not None
    assert again.refused is None
    # Another client of the same person, with a journal that never heard of the first delivery.
    forged = signed_again(
        Delivery.from_bytes(seen),
        provider.client,
        role=Role.DATA_PROVIDER,
        commitment=hashlib.sha256(b"other files").digest(),
    )
    with pytest.raises(TransportError, match="other bytes"):
        post(provider.client, scene, forged)
    for holder in (scene.code, scene.readers[0]):
        deliver(holder)
    scene.wait_for(State.SUCCEEDED)


@pytest.mark.slow
def test_an_older_delivery_replayed_to_a_new_launch_fills_no_slot(world: World) -> None:
    scene = world.scene().prepare()
    deliver(scene.data[0])
    old = world.operator.last("POST", "/deliveries")[0].body
    scene.send_code(SUM | {"more.py": "x = 1\n"})
    scene.owner.wait(
        lambda now: now.epoch == 2 and now.state is State.AWAITING_KEYS, timeout_seconds=60, poll_seconds=0.05
    )
    with pytest.raises(TransportError, match="another enclave"):
        post(scene.data[0].client, scene, old)
    # Past the server's own check, straight into the spool, under the number that the enclave reads next.
    spool = scene.launch_folder / "spool"
    (spool / "replay.tmp").write_bytes(old)
    (spool / "replay.tmp").rename(spool / inbox_name(0))
    wait_until((spool / answer_name(0)).exists, "the enclave answers the replayed delivery")
    answer = Answer.from_bytes((spool / answer_name(0)).read_bytes())
    assert answer.refused is DeliveryRefusal.AGREEMENT


@pytest.mark.slow
def test_a_delivery_with_a_forged_signature_fills_no_slot(world: World) -> None:
    scene = world.scene().prepare()
    deliver(scene.data[0])
    seen = Delivery.from_bytes(world.operator.last("POST", "/deliveries")[0].body)
    spool = scene.launch_folder / "spool"
    wait_until((spool / answer_name(0)).exists, "the honest delivery is answered")
    statement = replace(
        seen.statement,
        role=Role.RESULT_CONSUMER,
        sender_pk=scene.readers[0].client.identity.public_key,
        commitment=NO_COMMITMENT,
    )
    (spool / "forged.tmp").write_bytes(replace(seen, statement=statement).to_bytes())
    (spool / "forged.tmp").rename(spool / inbox_name(1))
    wait_until((spool / answer_name(1)).exists, "the enclave answers the forged delivery")
    answer = Answer.from_bytes((spool / answer_name(1)).read_bytes())
    assert answer.refused is DeliveryRefusal.SIGNATURE


# What the operator does to the hospital's two files, in its own database.
FILES = {
    "dropped": ("UPDATE uploads SET place = NULL WHERE place = 1 AND participant_id = ?",),
    "swapped": ("UPDATE uploads SET place = 1 - place WHERE participant_id = ?",),
    "renamed": ("UPDATE uploads SET name = 'c.csv' WHERE name = 'b.csv' AND participant_id = ?",),
    "added": (
        "INSERT INTO uploads (id, participant_id, name, size, sha256, created_at, completed_at, place) "
        "SELECT lower(hex(randomblob(16))), participant_id, 'c.csv', size, sha256, created_at, "
        "completed_at, 2 "
        "FROM uploads WHERE place = 0 AND participant_id = ?",
    ),
}


@pytest.mark.parametrize(
    "what", ["dropped", *(pytest.param(name, marks=pytest.mark.slow) for name in FILES if name != "dropped")]
)
def test_a_file_dropped_added_swapped_or_renamed_by_the_operator_is_refused(world: World, what: str) -> None:
    scene = world.scene().prepare(files={"a.csv": b"one", "b.csv": b"two"})
    ((participant,),) = world.platform.sql(
        "SELECT id FROM participants WHERE role = 'data-provider' AND computation_uuid = ?", str(scene.uuid)
    )
    for statement in FILES[what]:
        world.platform.sql(statement, participant)
    if what == "added":
        names = world.platform.sql(
            "SELECT id FROM uploads WHERE place IN (0, 2) AND participant_id = ? ORDER BY place", participant
        )
        (first,), (added,) = names
        blobs = BlobStore(world.platform.server.data / "blobs")
        with blobs.continue_partial(str(added)) as file:
            file.write(blobs.read(str(first)))
        blobs.publish(str(added))
    scene.deliver_all()
    refused_for(scene, "inputs-differ")


def test_an_upload_after_the_delivery_is_refused_by_client_server_and_enclave(world: World) -> None:
    scene = world.scene().prepare(files={"a.csv": b"one"})
    provider = scene.data[0]
    deliver(provider)
    (world.root / "b.csv").write_bytes(b"two")
    with pytest.raises(VerificationError, match="final"):
        provider.send(world.root / "b.csv")
    body = {"name": "b.csv", "size": 92, "sha256": bytes(32).hex()}
    with pytest.raises(TransportError) as refused:
        provider.client.transport.post_json(f"/computations/{scene.uuid}/data", body)
    assert refused.value.code == "data_delivered"
    # The operator writes it himself, over the file that was committed to.
    place = scene.launch_folder / "spool" / "inputs" / "0" / "0"
    wait_until(place.exists, "the server placed the input")
    place.chmod(0o600)
    place.write_bytes(place.read_bytes()[::-1])
    for holder in (scene.code, scene.readers[0]):
        deliver(holder)
    refused_for(scene, "inputs-differ")


@pytest.mark.slow
def test_another_hospitals_file_in_place_of_the_committed_one_is_refused(world: World) -> None:
    scene = world.scene(data_providers=2).prepare()
    for holder in (*scene.data, scene.code):
        deliver(holder)
    inputs = scene.launch_folder / "spool" / "inputs"
    wait_until(lambda: (inputs / "0/0").exists() and (inputs / "1/0").exists(), "both inputs are placed")
    (inputs / "0/0").write_bytes((inputs / "1/0").read_bytes())
    deliver(scene.readers[0])
    refused_for(scene, "inputs-differ")


def test_code_changed_after_it_was_verified_is_refused_by_the_enclave(world: World) -> None:
    scene = world.scene().prepare()
    for holder in scene.holders[:-1]:
        deliver(holder)
    module = scene.launch_folder / "code" / "secret.py"
    module.chmod(0o600)
    content = bytearray(module.read_bytes())
    content[-1] ^= 1
    module.write_bytes(content)
    deliver(scene.holders[-1])
    refused_for(scene, "code-unreadable")


@pytest.mark.slow
def test_a_delivery_that_the_operator_keeps_back_starts_nothing(world: World) -> None:
    scene = world.scene().prepare()
    provider = scene.data[0]
    world.operator.drop("POST", "/deliveries", {"slot": 1, "admitted": True, "refused": None})
    assert deliver(provider).admitted is True
    world.operator.be_honest()
    for holder in (scene.code, scene.readers[0]):
        deliver(holder)
    assert scene.owner.status().state is State.AWAITING_KEYS
    # Once it is sent again, to the byte, the run begins: nothing was lost but time.
    assert provider.send_again() is not None
    scene.wait_for(State.SUCCEEDED)
