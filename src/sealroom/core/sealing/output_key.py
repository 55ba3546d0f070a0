"""The output key: opens one launch's results to one Result Consumer, and nothing else.

The enclave derives it before foreign code runs and then forgets the consumer's data key. Spec:
docs/spec/container.md, section "Output key".
"""

from __future__ import annotations

from uuid import UUID

from sealroom.core.sealing.hkdf import hkdf_sha256
from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE, DataKey
from sealroom.core.sealing.secret import Secret32

_LABEL = b"sealroom/v1/output-key\x00"


class OutputKey(Secret32):
    """What the results to one consumer, of one launch, are sealed with."""

    __slots__ = ()


def derive_output_key(
    data_key: DataKey, *, box_pk: bytes, computation: UUID, consumer_pk: bytes
) -> OutputKey:
    """Derive the consumer's output key from its data key and the launch's box key.

    Both sides call this: the enclave when all deliveries are in, the consumer when it opens its results.
    """
    for name, key in (("box_pk", box_pk), ("consumer_pk", consumer_pk)):
        if len(key) != PUBLIC_KEY_SIZE:
            raise ValueError(f"{name}: expected {PUBLIC_KEY_SIZE} octets, got {len(key)}")
    return hkdf_sha256(data_key, salt=box_pk, info=_LABEL + computation.bytes + consumer_pk, into=OutputKey())
