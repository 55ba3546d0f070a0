"""The input commitment: what a Data Provider fixes before it delivers its key.

It binds the files' names, sizes and ciphertext digests, in their order, to the sender and the computation;
the enclave runs on exactly these files or refuses. Spec: docs/spec/commitment.md.
"""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.keys import PUBLIC_KEY_SIZE
from sealroom.core.wire.byte_fields import u16, u32, u64
from sealroom.core.wire.delivery import NO_COMMITMENT
from sealroom.core.wire.input_list import InputList

__all__ = ["NO_COMMITMENT", "input_commitment", "verify_commitment"]

_LABEL = b"sealroom/v1/inputs\x00"


def input_commitment(inputs: InputList, *, computation: UUID, sender_pk: bytes) -> bytes:
    """Hash the list of one Data Provider's files; no files at all is a commitment too."""
    if len(sender_pk) != PUBLIC_KEY_SIZE:
        raise ValueError(f"sender public key: expected {PUBLIC_KEY_SIZE} octets, got {len(sender_pk)}")
    hashed = hashlib.sha256(_LABEL + computation.bytes + sender_pk + u32(len(inputs.files)))
    for file in inputs.files:
        name = file.name.encode()
        hashed.update(u16(len(name)) + name + u64(file.size) + file.sha256)
    return hashed.digest()


def verify_commitment(commitment: bytes, inputs: InputList, *, computation: UUID, sender_pk: bytes) -> None:
    """Refuse any list but the committed one: files dropped, added, swapped, renamed, in another order.

    Raises `VerificationError`; that each file has the digest in the list is left to the caller.
    """
    expected = input_commitment(inputs, computation=computation, sender_pk=sender_pk)
    if not hmac.compare_digest(expected, commitment):
        raise VerificationError("input list: not the one that its provider committed to")
