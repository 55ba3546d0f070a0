"""Sealing a delivery at home and opening it inside: who it goes to, and what a changed one comes to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sealing_cases import (
    CODE_KEY,
    COMPUTATION,
    CONSUMER_KEY,
    FIRST_DATA_KEY,
    NOW,
    OTHER_COMPUTATION,
    SECOND_DATA_KEY,
    STRANGER_KEY,
    Launch,
)

from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.sealing.commitment import NO_COMMITMENT
from sealroom.core.sealing.delivery import BoxRefusedError, commitment_fits, open_delivery
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.enclave_keys import BoxKey, seal_box
from sealroom.core.sealing.keys import DataKey, PreSharedKey, SigningKey
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.delivery import (
    Delivery,
    RefusalReason,
    Statement,
    delivery_signature_message,
    verify_delivery_signature,
)
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Tee

COMMITMENT = b"\x0a" * 32
PRESHARED = PreSharedKey.from_bytes(b"\x50" * 32)
DATA = DataKey.from_bytes(b"\x60" * 32)


def seal(launch: Launch, **changes: object) -> bytes:
    """Seal the first Data Provider's delivery, but for `changes`."""
    chosen = {
        "to": launch.enclave,
        "role": Role.DATA_PROVIDER,
        "signing_key": FIRST_DATA_KEY,
        "commitment": COMMITMENT,
        "preshared_key": PRESHARED,
        "data_key": DATA,
        "now": NOW + timedelta(minutes=1),
        "insecure_accept_simulated": COMPUTATION,
    }
    return seal_delivery(**(chosen | changes))


def signed(statement: Statement, box: bytes, key: SigningKey) -> Delivery:
    """Sign any statement with any box, as a hostile operator who holds `key` can."""
    signature = key.sign(delivery_signature_message(statement, sha256(box)))
    return Delivery(statement=statement, box=box, signature=signature)


def refused(delivery: Delivery, launch: Launch) -> RefusalReason:
    verify_delivery_signature(delivery)
    with pytest.raises(BoxRefusedError) as caught:
        open_delivery(delivery, box_key=launch.box_key)
    return caught.value.reason


def test_opens_to_the_two_keys_and_the_whole_contract() -> None:
    launch = Launch()
    raw = seal(launch)
    assert len(raw) == 402
    delivery = Delivery.from_bytes(raw)
    verify_delivery_signature(delivery)
    assert delivery.statement == Statement(
        agreement=launch.arguments.agreement,
        mrenclave=launch.enclave.mrenclave,
        identity_pk=launch.identity_key.public_key,
        box_pk=launch.box_key.public_key,
        role=Role.DATA_PROVIDER,
        sender_pk=FIRST_DATA_KEY.public_key,
        commitment=COMMITMENT,
    )
    opened = open_delivery(delivery, box_key=launch.box_key)
    assert opened.preshared_key.equals(PRESHARED)
    assert opened.data_key.equals(DATA)
    opened.wipe()
    assert opened.preshared_key.wiped and opened.data_key.wiped


def test_opened_keys_are_hidden_from_repr() -> None:
    launch = Launch()
    opened = open_delivery(Delivery.from_bytes(seal(launch)), box_key=launch.box_key)
    assert "50" * 8 not in repr(opened) and "P" * 8 not in repr(opened) and "`" * 8 not in repr(opened)


@pytest.mark.parametrize(
    ("role", "key"), [(Role.CODE_PROVIDER, CODE_KEY), (Role.RESULT_CONSUMER, FIRST_DATA_KEY)]
)
def test_the_other_roles_deliver_without_a_commitment(role: Role, key: SigningKey) -> None:
    launch = Launch()
    raw = seal(launch, role=role, signing_key=key, commitment=NO_COMMITMENT)
    assert len(raw) == 402
    assert open_delivery(Delivery.from_bytes(raw), box_key=launch.box_key).data_key.equals(DATA)


@pytest.mark.parametrize("tee", [Tee.SGX, Tee.SIMULATED])
@pytest.mark.parametrize("age", [timedelta(minutes=10), timedelta(days=1), timedelta(microseconds=-1)])
def test_refuses_evidence_that_is_not_less_than_ten_minutes_old(tee: Tee, age: timedelta) -> None:
    with pytest.raises(PolicyError, match="less than 0:10:00 ago"):
        seal(Launch(tee=tee), now=NOW + age)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(minutes=10) - timedelta(microseconds=1)])
def test_takes_evidence_up_to_ten_minutes_old(age: timedelta) -> None:
    assert len(seal(Launch(tee=Tee.SGX), now=NOW + age, insecure_accept_simulated=None)) == 402


@pytest.mark.parametrize("accepted", [None, OTHER_COMPUTATION])
def test_refuses_a_simulated_enclave_unless_this_computation_is_named(accepted: UUID | None) -> None:
    with pytest.raises(PolicyError, match="simulated, which protects nothing"):
        seal(Launch(tee=Tee.SIMULATED), insecure_accept_simulated=accepted)


def test_refuses_a_verified_enclave_whose_arguments_say_simulated() -> None:
    launch = Launch(tee=Tee.SGX)
    enclave = replace(launch.enclave, arguments=Launch(tee=Tee.SIMULATED).arguments)
    with pytest.raises(PolicyError, match="do not say sgx"):
        seal(launch, to=enclave)


def test_refuses_what_is_no_enclave_by_type() -> None:
    launch = Launch()

    class LooksLikeOne:
        arguments = launch.arguments
        mrenclave = launch.enclave.mrenclave
        identity_pk = launch.enclave.identity_pk
        box_pk = launch.enclave.box_pk
        verified_at = NOW

    with pytest.raises(TypeError, match="a verified enclave"):
        seal(launch, to=LooksLikeOne())


@pytest.mark.parametrize(
    ("role", "key"),
    [
        (Role.DATA_PROVIDER, STRANGER_KEY),
        (Role.DATA_PROVIDER, CODE_KEY),
        (Role.CODE_PROVIDER, FIRST_DATA_KEY),
        (Role.RESULT_CONSUMER, SECOND_DATA_KEY),
        (Role.RESULT_CONSUMER, CONSUMER_KEY),
    ],
)
def test_refuses_a_role_or_key_that_the_arguments_do_not_list(role: Role, key: SigningKey) -> None:
    commitment = COMMITMENT if role is Role.DATA_PROVIDER else NO_COMMITMENT
    with pytest.raises(PolicyError, match="do not list this key"):
        seal(Launch(), role=role, signing_key=key, commitment=commitment)


def test_refuses_arguments_that_ask_for_the_legacy_form() -> None:
    with pytest.raises(PolicyError, match="another form of delivery"):
        seal(Launch(delivery=DeliveryForm.LEGACY))


@pytest.mark.parametrize(
    ("role", "key", "commitment"),
    [
        (Role.DATA_PROVIDER, FIRST_DATA_KEY, NO_COMMITMENT),
        (Role.CODE_PROVIDER, CODE_KEY, COMMITMENT),
        (Role.RESULT_CONSUMER, FIRST_DATA_KEY, COMMITMENT),
        (Role.DATA_PROVIDER, FIRST_DATA_KEY, COMMITMENT[:31]),
        (Role.CODE_PROVIDER, CODE_KEY, b""),
    ],
)
def test_refuses_a_commitment_missing_or_out_of_place(role: Role, key: SigningKey, commitment: bytes) -> None:
    assert not commitment_fits(role, commitment)
    with pytest.raises(ValueError, match="commitment"):
        seal(Launch(), role=role, signing_key=key, commitment=commitment)


def test_a_copied_box_signed_by_a_second_data_provider_is_refused() -> None:
    """The operator re-signs one hospital's box as a second hospital, to fill both slots from one."""
    launch = Launch()
    stolen = Delivery.from_bytes(seal(launch))
    statement = replace(stolen.statement, sender_pk=SECOND_DATA_KEY.public_key)
    forged = signed(statement, stolen.box, SECOND_DATA_KEY)
    assert refused(forged, launch) is RefusalReason.BOX_OF_ANOTHER_STATEMENT


def test_a_box_moved_to_another_role_of_its_sender_is_refused() -> None:
    launch = Launch()
    stolen = Delivery.from_bytes(seal(launch))
    statement = replace(stolen.statement, role=Role.RESULT_CONSUMER, commitment=NO_COMMITMENT)
    assert (
        refused(signed(statement, stolen.box, FIRST_DATA_KEY), launch)
        is RefusalReason.BOX_OF_ANOTHER_STATEMENT
    )


@pytest.mark.parametrize("field", ["agreement", "mrenclave", "identity_pk", "commitment"])
def test_a_box_under_a_changed_statement_is_refused(field: str) -> None:
    launch = Launch()
    made = Delivery.from_bytes(seal(launch))
    statement = replace(made.statement, **{field: b"\x77" * 32})
    assert (
        refused(signed(statement, made.box, FIRST_DATA_KEY), launch) is RefusalReason.BOX_OF_ANOTHER_STATEMENT
    )


def test_a_box_for_another_launch_is_unreadable() -> None:
    launch, other = Launch(), Launch()
    assert refused(Delivery.from_bytes(seal(launch)), other) is RefusalReason.BOX_UNREADABLE


@pytest.mark.parametrize("place", [0, 31, 32, 100, 143])
def test_a_changed_box_is_unreadable_even_when_its_sender_signs_it(place: int) -> None:
    launch = Launch()
    made = Delivery.from_bytes(seal(launch))
    box = bytearray(made.box)
    box[place] ^= 1
    assert refused(signed(made.statement, bytes(box), FIRST_DATA_KEY), launch) is RefusalReason.BOX_UNREADABLE


def test_any_change_outside_the_box_breaks_the_signature() -> None:
    raw = bytearray(seal(Launch()))
    raw[40] ^= 1
    with pytest.raises(VerificationError):
        verify_delivery_signature(Delivery.from_bytes(bytes(raw)))


def forge(launch: Launch, statement: Statement, key: SigningKey) -> Delivery:
    """Make a delivery whose box truly names its statement, whatever that says."""
    plain = SecretBuffer.take(statement.digest + b"\x50" * 32 + b"\x60" * 32, 96)
    return signed(statement, seal_box(plain, launch.box_key.public_key), key)


Change = Callable[[Statement], Statement]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda made: replace(made, commitment=NO_COMMITMENT), FIRST_DATA_KEY),
        (lambda made: replace(made, role=Role.RESULT_CONSUMER), FIRST_DATA_KEY),
        (lambda made: replace(made, role=Role.CODE_PROVIDER, sender_pk=CODE_KEY.public_key), CODE_KEY),
    ],
    ids=["data provider without", "consumer with", "code provider with"],
)
def test_a_commitment_missing_or_out_of_place_is_refused_inside_too(change: Change, key: SigningKey) -> None:
    launch = Launch()
    statement = change(Delivery.from_bytes(seal(launch)).statement)
    assert refused(forge(launch, statement, key), launch) is RefusalReason.COMMITMENT


def test_nothing_opened_survives_a_refusal() -> None:
    launch = Launch()
    stolen = Delivery.from_bytes(seal(launch))
    kept: list[SecretBuffer] = []

    class Watched(BoxKey):
        def open(self, box: bytes) -> SecretBuffer:
            kept.append(launch.box_key.open(box))
            return kept[0]

    watched = Watched(launch.box_key.secret, launch.box_key.public_key)
    statement = replace(stolen.statement, sender_pk=SECOND_DATA_KEY.public_key)
    with pytest.raises(BoxRefusedError):
        open_delivery(signed(statement, stolen.box, SECOND_DATA_KEY), box_key=watched)
    assert [plain.wiped for plain in kept] == [True]


def test_a_wiped_key_cannot_be_delivered() -> None:
    data_key = DataKey.generate()
    data_key.wipe()
    with pytest.raises(RuntimeError, match="wiped"):
        seal(Launch(), data_key=data_key)
