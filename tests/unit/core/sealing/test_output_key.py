"""The output key: of one launch, one consumer, one computation."""

import hashlib
import hmac

import pytest
from sealing_cases import COMPUTATION, FIRST_DATA_KEY, OTHER_COMPUTATION, SECOND_DATA_KEY

from sealroom.core.sealing.keys import DataKey
from sealroom.core.sealing.output_key import derive_output_key

DATA_KEY = b"\x60" * 32
BOX_PK = b"\x11" * 32
CONSUMER = FIRST_DATA_KEY.public_key


def derive(**changes: object) -> bytes:
    chosen = {"box_pk": BOX_PK, "computation": COMPUTATION, "consumer_pk": CONSUMER} | changes
    return derive_output_key(DataKey.from_bytes(DATA_KEY), **chosen).reveal()


def test_is_the_documented_derivation() -> None:
    extracted = hmac.digest(BOX_PK, DATA_KEY, hashlib.sha256)
    info = b"sealroom/v1/output-key\0" + COMPUTATION.bytes + CONSUMER
    assert derive() == hmac.digest(extracted, info + b"\x01", hashlib.sha256)


def test_another_launch_consumer_or_computation_has_another_key() -> None:
    keys = {
        derive(),
        derive(box_pk=b"\x12" * 32),
        derive(computation=OTHER_COMPUTATION),
        derive(consumer_pk=SECOND_DATA_KEY.public_key),
    }
    assert len(keys) == 4


@pytest.mark.parametrize("field", ["box_pk", "consumer_pk"])
def test_refuses_keys_of_another_size(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected 32"):
        derive(**{field: bytes(31)})
