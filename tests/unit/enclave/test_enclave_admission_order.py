"""The order of the checks: of several faults the first decides, so no answer tells what a later check saw."""

import secrets
from dataclasses import replace

import pytest
from enclave_world import MRENCLAVE, Party, World

from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey, seal_box
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import (
    Delivery,
    DeliveryRefusal,
    RefusalReason,
    Statement,
    delivery_signature_message,
)
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.spool import PublicKeys
from sealroom.enclave.admission import Self, Slots
from sealroom.enclave.refusal import ComputationRefusedError, DeliveryRefusedError


class Door:
    """The slots of one enclave, in this process, and its first Data Provider in front of them."""

    def __init__(self, world: World) -> None:
        world.prepare()
        self.world = world
        self.box_key = BoxKey.generate()
        identity_pk = IdentityKey.generate().public_key
        world.put("public", PublicKeys(identity_pk=identity_pk, box_pk=self.box_key.public_key).to_bytes())
        self.enclave: SimulatedEnclave = world.enclave
        own = Self(
            arguments=world.arguments,
            mrenclave=MRENCLAVE,
            identity_pk=identity_pk,
            box_pk=self.box_key.public_key,
        )
        self.slots = Slots(own, box_key=self.box_key)
        self.party: Party = world.providers[0]

    def answer(self, raw: bytes) -> DeliveryRefusal | RefusalReason | None:
        try:
            self.slots.admit(raw)
        except (DeliveryRefusedError, ComputationRefusedError) as error:
            return error.reason
        return None


@pytest.fixture
def door(world: World) -> Door:
    return Door(world)


def wire(statement: Statement, box: bytes, key: SigningKey) -> bytes:
    signature = key.sign(delivery_signature_message(statement, sha256(box)))
    return Delivery(statement=statement, box=box, signature=signature).to_bytes()


def test_of_several_faults_before_the_signature_the_first_is_answered(door: Door) -> None:
    honest = Delivery.from_bytes(door.world.delivery(door.party))
    stranger, box, bad = SigningKey.generate(), secrets.token_bytes(144), bytes(64)
    right = honest.statement
    wrong = Statement(
        agreement=bytes(32),
        mrenclave=bytes(32),
        identity_pk=bytes(32),
        box_pk=bytes(32),
        role=right.role,
        sender_pk=stranger.public_key,
        commitment=bytes(32),
    )
    # Each step repairs one fault more; everything behind it is still wrong.
    steps = [
        ("agreement", DeliveryRefusal.AGREEMENT),
        ("mrenclave", DeliveryRefusal.MRENCLAVE),
        ("identity_pk", DeliveryRefusal.ENCLAVE_KEYS),
        ("box_pk", DeliveryRefusal.ENCLAVE_KEYS),
        ("sender_pk", DeliveryRefusal.NOT_LISTED),
    ]
    raw = Delivery(statement=wrong, box=box, signature=bad).to_bytes()
    assert door.answer(b"\x02" + raw[1:]) is DeliveryRefusal.MALFORMED
    for field, reason in steps:
        assert door.answer(Delivery(statement=wrong, box=box, signature=bad).to_bytes()) is reason
        wrong = replace(wrong, **{field: getattr(right, field)})
    forged = Delivery(statement=wrong, box=box, signature=bad).to_bytes()
    assert door.answer(forged) is DeliveryRefusal.SIGNATURE
    assert door.slots.admitted == ()
    assert door.answer(honest.to_bytes()) is None
    assert door.answer(forged) is DeliveryRefusal.SLOT_FILLED


def test_of_several_faults_behind_the_signature_the_first_is_signed(door: Door) -> None:
    right = Delivery.from_bytes(door.world.delivery(door.party)).statement
    no_commitment = replace(right, commitment=bytes(32))
    unreadable = wire(no_commitment, secrets.token_bytes(144), door.party.key)
    assert door.answer(unreadable) is RefusalReason.BOX_UNREADABLE
    of_another = seal_box(SecretBuffer.take(right.digest + bytes(64), 96), door.box_key.public_key)
    copied = wire(no_commitment, of_another, door.party.key)
    assert door.answer(copied) is RefusalReason.BOX_OF_ANOTHER_STATEMENT
    own = seal_box(SecretBuffer.take(no_commitment.digest + bytes(64), 96), door.box_key.public_key)
    assert door.answer(wire(no_commitment, own, door.party.key)) is RefusalReason.COMMITMENT
    assert door.slots.admitted == ()


def test_where_words_and_data_keys_are_wrong_the_words_decide(door: Door) -> None:
    consumer = door.world.consumers[0]
    consumer.data_key_bytes = door.party.data_key_bytes
    consumer.preshared_bytes = secrets.token_bytes(32)
    for party in door.world.parties:
        assert door.answer(door.world.delivery(party)) is None
    with pytest.raises(ComputationRefusedError) as refused:
        door.slots.check_keys()
    assert refused.value.reason is RefusalReason.WORDS_DIFFER


def test_nothing_is_checked_once_before_every_slot_is_full(door: Door) -> None:
    for party in door.world.parties[:-1]:
        assert door.answer(door.world.delivery(party)) is None
        assert not door.slots.full
    with pytest.raises(RuntimeError):
        door.slots.check_keys()
