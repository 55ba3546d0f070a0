"""The published client's delivery: sealed to a verified enclave alone, and opened to the two keys."""

import sys
from datetime import timedelta
from pathlib import Path

import nacl.public
import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "sealing"))

from sealing_cases import (
    COMPUTATION,
    FIRST_DATA_KEY,
    NOW,
    OTHER_COMPUTATION,
    STRANGER_KEY,
    Launch,
)

from sealroom.core.compat.legacy_delivery import (
    DELIVERY_SIZE,
    MESSAGE_SIZE,
    LegacyDelivery,
    open_legacy_delivery,
)
from sealroom.core.compat.legacy_sealing import seal_legacy_delivery
from sealroom.core.errors import MalformedError, PolicyError, VerificationError
from sealroom.core.sealing.delivery import BoxRefusedError
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.keys import DataKey, PreSharedKey
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Tee


def seal(launch: Launch, **changes: object) -> bytes:
    chosen = {
        "to": launch.enclave,
        "role": Role.DATA_PROVIDER,
        "signing_key": FIRST_DATA_KEY,
        "preshared_key": PreSharedKey.from_bytes(b"\x50" * 32),
        "data_key": DataKey.from_bytes(b"\x60" * 32),
        "now": NOW + timedelta(minutes=1),
        "insecure_accept_simulated": COMPUTATION,
    }
    return seal_legacy_delivery(**(chosen | changes))


@pytest.fixture
def launch() -> Launch:
    return Launch(delivery=DeliveryForm.LEGACY)


def delivered(raw: bytes) -> LegacyDelivery:
    return LegacyDelivery.from_client(raw, role=Role.DATA_PROVIDER, sender_pk=FIRST_DATA_KEY.public_key)


def test_opens_inside_to_the_two_keys(launch: Launch) -> None:
    raw = seal(launch)
    assert len(raw) == DELIVERY_SIZE == 176
    delivery = delivered(raw)
    assert len(delivery.to_bytes()) == MESSAGE_SIZE == 210
    assert LegacyDelivery.from_bytes(delivery.to_bytes()) == delivery
    delivery.verify_signature(COMPUTATION)
    keys = open_legacy_delivery(delivery, box_key=BoxKey.from_signing_key(launch.identity_key))
    assert keys.preshared_key.reveal() == b"\x50" * 32
    assert keys.data_key.reveal() == b"\x60" * 32


def test_has_the_bytes_that_the_published_enclave_library_opens(launch: Launch) -> None:
    """By the definition alone: PyNaCl's own classes and none of ours."""
    raw = seal(launch)
    nacl.signing.VerifyKey(FIRST_DATA_KEY.public_key).verify(COMPUTATION.bytes + raw[64:], raw[:64])
    identity = nacl.signing.SigningKey(launch.identity_key.secret.reveal()[:32])
    opened = nacl.public.SealedBox(identity.to_curve25519_private_key()).decrypt(raw[64:])
    assert opened == b"\x50" * 32 + b"\x60" * 32


@pytest.mark.parametrize(
    "changes",
    [
        {"role": Role.CODE_PROVIDER},
        {"signing_key": STRANGER_KEY},
        {"now": NOW + timedelta(minutes=10)},
        {"now": NOW - timedelta(seconds=1)},
        {"insecure_accept_simulated": None},
        {"insecure_accept_simulated": OTHER_COMPUTATION},
    ],
)
def test_is_sealed_to_nobody_that_version_1_would_not_be_sealed_to(
    launch: Launch, changes: dict[str, object]
) -> None:
    with pytest.raises(PolicyError):
        seal(launch, **changes)


def test_is_sealed_only_where_the_measured_arguments_ask_for_it() -> None:
    with pytest.raises(PolicyError, match="another form"):
        seal(Launch())
    with pytest.raises(TypeError):
        seal(Launch(delivery=DeliveryForm.LEGACY), to=b"an address")
    real = Launch(tee=Tee.SGX, delivery=DeliveryForm.LEGACY)
    assert len(seal(real, insecure_accept_simulated=None)) == DELIVERY_SIZE


def test_a_signature_for_another_computation_or_box_does_not_hold(launch: Launch) -> None:
    delivery = delivered(seal(launch))
    with pytest.raises(VerificationError, match="delivery signature"):
        delivery.verify_signature(OTHER_COMPUTATION)
    mixed = delivered(delivery.signature + seal(launch)[64:])
    with pytest.raises(VerificationError, match="delivery signature"):
        mixed.verify_signature(COMPUTATION)


def test_a_box_for_another_enclave_does_not_open(launch: Launch) -> None:
    other = BoxKey.from_signing_key(Launch().identity_key)
    with pytest.raises(BoxRefusedError) as caught:
        open_legacy_delivery(delivered(seal(launch)), box_key=other)
    assert caught.value.reason is RefusalReason.BOX_UNREADABLE


@given(st.binary(max_size=250) | st.binary(min_size=MESSAGE_SIZE, max_size=MESSAGE_SIZE))
def test_any_bytes_are_a_delivery_or_malformed(raw: bytes) -> None:
    try:
        delivery = LegacyDelivery.from_bytes(raw)
    except MalformedError:
        return
    assert delivery.to_bytes() == raw
