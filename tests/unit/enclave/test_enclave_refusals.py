"""Every reason for which an enclave ends without a run, each by its attack."""

import dataclasses
import secrets
from collections.abc import Callable
from uuid import uuid4

import pytest
from enclave_world import MRENCLAVE, WAIT_FOR_GO, World

from sealroom.core.sealing.code_signature import sign_code
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.enclave_keys import BoxKey, seal_box
from sealroom.core.sealing.keys import PreSharedKey, SigningKey
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import (
    Delivery,
    DeliveryRefusal,
    RefusalReason,
    Statement,
    delivery_signature_message,
)
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Role

# A process of its own in every test.
pytestmark = pytest.mark.e2e

PROGRAM = "import os\nos.write(1, b'a foreign line ran')\n"


def assert_refused(world: World, reason: RefusalReason) -> None:
    assert world.wait() == 1, world.stderr()
    refusal = world.refusal()
    assert refusal.reason is reason
    assert refusal.agreement == world.arguments.agreement
    assert refusal.mrenclave == MRENCLAVE
    for name in ("opening", "closing", "log", "results"):
        assert not (world.spool / name).exists()
    assert world.stderr() == ""


def signed(statement: Statement, box: bytes, key: SigningKey) -> bytes:
    signature = key.sign(delivery_signature_message(statement, sha256(box)))
    return Delivery(statement=statement, box=box, signature=signature).to_bytes()


def launched(world: World) -> World:
    world.code = {"run.py": PROGRAM, "model.py": "x = 1\n"}
    world.add_input(0, "a", b"a of the first")
    world.add_input(0, "b", b"b of the first")
    world.add_input(1, "a", b"a of the second")
    world.launch()
    return world


# Answered with a reason, filling nothing.


def test_answers_what_is_no_delivery_and_goes_on(world: World) -> None:
    launched(world)
    honest = world.delivery(world.providers[0])
    for raw in (b"", honest[:-1], honest + b"\0", b"\x02" + honest[1:]):
        assert world.ask(raw).refused is DeliveryRefusal.MALFORMED
    world.deliver_all()
    assert world.wait() == 0


def test_refuses_to_follow_a_link_in_the_inbox(world: World) -> None:
    launched(world)
    place = world.base / "outside"
    place.write_bytes(world.delivery(world.providers[0]))
    (world.spool / "inbox/0").symlink_to(place)
    world.messages = 1
    assert b"malformed" in world.wait_for("answers/0")


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("agreement", DeliveryRefusal.AGREEMENT),
        ("mrenclave", DeliveryRefusal.MRENCLAVE),
        ("identity_pk", DeliveryRefusal.ENCLAVE_KEYS),
        ("box_pk", DeliveryRefusal.ENCLAVE_KEYS),
    ],
)
def test_an_older_delivery_is_for_another_enclave(world: World, field: str, reason: DeliveryRefusal) -> None:
    launched(world)
    party = world.providers[0]
    sent = Delivery.from_bytes(world.delivery(party))
    statement = dataclasses.replace(sent.statement, **{field: secrets.token_bytes(32)})
    assert world.ask(signed(statement, sent.box, party.key)).refused is reason
    world.deliver_all()
    assert world.wait() == 0


def test_answers_strangers_and_forged_signatures_without_filling_a_slot(world: World) -> None:
    launched(world)
    party, stranger = world.providers[0], SigningKey.generate()
    sent = Delivery.from_bytes(world.delivery(party))
    unlisted = dataclasses.replace(sent.statement, sender_pk=stranger.public_key)
    assert world.ask(signed(unlisted, sent.box, stranger)).refused is DeliveryRefusal.NOT_LISTED
    other_role = dataclasses.replace(sent.statement, role=Role.RESULT_CONSUMER)
    assert world.ask(signed(other_role, sent.box, party.key)).refused is DeliveryRefusal.NOT_LISTED
    assert world.ask(signed(sent.statement, sent.box, stranger)).refused is DeliveryRefusal.SIGNATURE
    other_box = bytes([sent.box[0] ^ 1]) + sent.box[1:]
    changed = dataclasses.replace(sent, box=other_box).to_bytes()
    assert world.ask(changed).refused is DeliveryRefusal.SIGNATURE
    world.deliver_all()
    assert world.wait() == 0


def test_ignores_identical_bytes_and_refuses_different_ones(world: World) -> None:
    launched(world)
    party = world.providers[0]
    first, second = world.delivery(party), world.delivery(party)
    assert world.ask(first).refused is None
    assert world.ask(first).refused is None
    assert world.ask(second).refused is DeliveryRefusal.SLOT_FILLED
    world.deliver_all(but=party)
    assert world.wait() == 0


# Fatal, and signed.


def test_a_box_sealed_to_another_key_ends_the_enclave(world: World) -> None:
    launched(world)
    party = world.providers[0]
    sent = Delivery.from_bytes(world.delivery(party))
    box = seal_box(SecretBuffer.random(96), BoxKey.generate().public_key)
    world.send(signed(sent.statement, box, party.key))
    assert_refused(world, RefusalReason.BOX_UNREADABLE)


def test_a_copied_box_signed_again_by_another_participant_ends_the_enclave(world: World) -> None:
    launched(world)
    victim, thief = world.providers
    copied = Delivery.from_bytes(world.delivery(victim))
    own = Delivery.from_bytes(world.delivery(thief))
    world.send(signed(own.statement, copied.box, thief.key))
    assert_refused(world, RefusalReason.BOX_OF_ANOTHER_STATEMENT)


def test_a_box_moved_to_another_role_of_the_same_person_ends_the_enclave(world: World) -> None:
    provider, consumer = world.providers[0], world.consumers[0]
    consumer.seed, consumer.key, consumer.email = provider.seed, provider.key, provider.email
    launched(world)
    copied = Delivery.from_bytes(world.delivery(provider))
    own = Delivery.from_bytes(world.delivery(consumer))
    world.send(signed(own.statement, copied.box, consumer.key))
    assert_refused(world, RefusalReason.BOX_OF_ANOTHER_STATEMENT)


@pytest.mark.parametrize("role", [Role.DATA_PROVIDER, Role.RESULT_CONSUMER])
def test_a_commitment_that_does_not_fit_the_role_ends_the_enclave(world: World, role: Role) -> None:
    launched(world)
    party = world.providers[0] if role is Role.DATA_PROVIDER else world.consumers[0]
    sent = Delivery.from_bytes(world.delivery(party))
    commitment = bytes(32) if role is Role.DATA_PROVIDER else b"\x01" * 32
    statement = dataclasses.replace(sent.statement, commitment=commitment)
    plain = SecretBuffer.take(bytearray(statement.digest + party.preshared_bytes + party.data_key_bytes), 96)
    world.send(signed(statement, seal_box(plain, statement.box_pk), party.key))
    assert_refused(world, RefusalReason.COMMITMENT)


def test_other_words_of_one_participant_end_the_enclave_without_saying_whose(world: World) -> None:
    launched(world)
    world.providers[1].preshared_bytes = secrets.token_bytes(32)
    world.deliver_all()
    assert_refused(world, RefusalReason.WORDS_DIFFER)
    answers = {(world.spool / f"answers/{number}").read_bytes() for number in range(4)}
    assert answers == {b'{"admitted":true}'}


def test_equal_data_keys_in_two_slots_end_the_enclave(world: World) -> None:
    launched(world)
    world.consumers[0].data_key_bytes = world.providers[1].data_key_bytes
    world.deliver_all()
    assert_refused(world, RefusalReason.DATA_KEYS_EQUAL)


def _drop(files: list[tuple[str, bytes]]) -> None:
    del files[1]


def _add(files: list[tuple[str, bytes]]) -> None:
    files.append(("c", files[0][1]))


def _swap(files: list[tuple[str, bytes]]) -> None:
    (a, first), (b, second) = files
    files[:] = [(a, second), (b, first)]


def _rename(files: list[tuple[str, bytes]]) -> None:
    files[1] = ("c", files[1][1])


def _reorder(files: list[tuple[str, bytes]]) -> None:
    files.reverse()


@pytest.mark.parametrize("change", [_drop, _add, _swap, _rename, _reorder])
def test_inputs_other_than_the_committed_ones_end_the_enclave(
    world: World, change: Callable[[list[tuple[str, bytes]]], None]
) -> None:
    launched(world)
    deliveries = [world.delivery(party) for party in world.parties]
    change(world.providers[0].files)
    world.put_inputs(world.providers[0])
    for raw in deliveries:
        world.send(raw)
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


def test_files_swapped_under_an_unchanged_list_end_the_enclave(world: World) -> None:
    launched(world)
    folder = world.spool / "inputs/0"
    (folder / "0").rename(folder / "x")
    (folder / "1").rename(folder / "0")
    (folder / "x").rename(folder / "1")
    world.deliver_all()
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


@pytest.mark.parametrize("name", ["list", "1"])
def test_a_missing_file_or_list_ends_the_enclave(world: World, name: str) -> None:
    launched(world)
    (world.spool / "inputs/0" / name).unlink()
    world.deliver_all()
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


def test_a_link_in_place_of_an_input_ends_the_enclave(world: World) -> None:
    launched(world)
    place = world.spool / "inputs/0/1"
    place.rename(world.base / "elsewhere")
    place.symlink_to(world.base / "elsewhere")
    world.deliver_all()
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


def test_one_changed_byte_of_an_input_ends_the_enclave(world: World) -> None:
    launched(world)
    place = world.spool / "inputs/1/0"
    raw = bytearray(place.read_bytes())
    raw[-1] ^= 1
    place.write_bytes(raw)
    world.deliver_all()
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


def test_an_input_sealed_with_another_key_than_its_provider_s_ends_the_enclave(world: World) -> None:
    launched(world)
    thief = world.providers[1]
    thief.files = [world.providers[0].files[0]]
    world.put_inputs(thief)
    world.deliver_all()
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


def test_the_inputs_of_an_older_commitment_end_the_enclave(world: World) -> None:
    launched(world)
    party = world.providers[0]
    older = InputList(files=(InputFile(name="a", size=92, sha256=bytes(32)),))
    raw = seal_delivery(
        to=world.enclave,
        role=party.role,
        signing_key=SigningKey.from_seed(party.seed),
        commitment=input_commitment(older, computation=world.computation, sender_pk=party.public_key),
        preshared_key=PreSharedKey.from_bytes(party.preshared_bytes),
        data_key=party.data_key,
        now=world.enclave.verified_at,
        insecure_accept_simulated=world.computation,
    )
    world.send(raw)
    world.deliver_all(but=party)
    assert_refused(world, RefusalReason.INPUTS_DIFFER)


@pytest.mark.parametrize("signer", ["stranger", "missing", "other computation"])
def test_code_that_its_provider_did_not_sign_ends_the_enclave(world: World, signer: str) -> None:
    launched(world)
    key = SigningKey.generate() if signer == "stranger" else world.code_provider.key
    computation = uuid4() if signer == "other computation" else world.computation
    world.put("code-signature", sign_code(world.code_list, computation=computation, signing_key=key))
    if signer == "missing":
        (world.spool / "code-signature").unlink()
    world.deliver_all()
    assert_refused(world, RefusalReason.CODE_SIGNATURE)


@pytest.mark.parametrize("path", ["run.py", "model.py"])
def test_changed_code_ends_the_enclave(world: World, path: str) -> None:
    launched(world)
    place = world.base / "code" / path
    raw = bytearray(place.read_bytes())
    raw[-1] ^= 1
    place.write_bytes(raw)
    world.deliver_all()
    assert_refused(world, RefusalReason.CODE_UNREADABLE)


def test_another_code_list_than_the_measured_one_ends_the_enclave(world: World) -> None:
    launched(world)
    files = tuple(file for file in world.code_list.files if file.path == "run.py")
    world.put("code-list", dataclasses.replace(world.code_list, files=files).to_json())
    world.deliver_all()
    assert_refused(world, RefusalReason.CODE_UNREADABLE)


def test_code_sealed_with_another_key_ends_the_enclave(world: World) -> None:
    launched(world)
    world.code_provider.data_key_bytes = secrets.token_bytes(32)
    world.deliver_all()
    assert_refused(world, RefusalReason.CODE_UNREADABLE)


def test_a_sealed_file_under_another_path_ends_the_enclave(world: World) -> None:
    original = world.seal_code

    def moved(path: str, content: str | bytes) -> bytes:
        return original("other.py" if path == "model.py" else path, content)

    world.seal_code = moved  # type: ignore[method-assign]
    launched(world)
    world.deliver_all()
    assert_refused(world, RefusalReason.CODE_UNREADABLE)


@pytest.mark.parametrize("word", [RefusalReason.CANCELLED, RefusalReason.EXPIRED])
def test_an_end_message_is_answered_with_a_signed_refusal(world: World, word: RefusalReason) -> None:
    launched(world)
    assert world.ask(world.delivery(world.providers[0])).refused is None
    world.put("end", word.value.encode())
    assert_refused(world, word)


def test_another_word_in_the_end_message_is_no_message(world: World) -> None:
    launched(world)
    world.put("end", b"now")
    world.deliver_all()
    assert world.wait() == 0


def test_an_end_message_after_the_opening_ends_nothing(world: World) -> None:
    world.code = {"run.py": WAIT_FOR_GO}
    world.launch()
    world.deliver_all()
    world.wait_for("opening")
    world.put("end", b"cancelled")
    world.put("go", b"")
    assert world.wait() == 0
    assert not (world.spool / "refusal").exists()
