"""Sealing keys as the published client does; done at home, so no enclave has this module.

Takes a verified enclave whose measured arguments ask for this form. What it seals is opened by
`legacy_delivery`. Spec: docs/spec/legacy-delivery.md.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from nacl._sodium import ffi

from sealroom.core.compat.legacy_delivery import signed_message
from sealroom.core.sealing.delivery_sealing import check_recipient
from sealroom.core.sealing.enclave_keys import box_form, seal_box
from sealroom.core.sealing.keys import DataKey, PreSharedKey, SigningKey
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm

_PLAIN_SIZE = PreSharedKey.SIZE + DataKey.SIZE


def seal_legacy_delivery(
    *,
    to: VerifiedEnclave | SimulatedEnclave,
    role: Role,
    signing_key: SigningKey,
    preshared_key: PreSharedKey,
    data_key: DataKey,
    now: datetime,
    insecure_accept_simulated: UUID | None = None,
) -> bytes:
    """Seal the two keys to the enclave `to`, giving the 176 octets that the published client would send.

    Raises `PolicyError` for an enclave that is simulated and not accepted, was verified ten minutes before
    `now` or earlier, does not list the sender in `role`, or asks for another form of delivery.
    """
    check_recipient(
        to,
        role=role,
        public_key=signing_key.public_key,
        form=DeliveryForm.LEGACY,
        now=now,
        insecure_accept_simulated=insecure_accept_simulated,
    )
    plain = SecretBuffer(_PLAIN_SIZE)
    ffi.memmove(plain.cdata, preshared_key.cdata, PreSharedKey.SIZE)
    ffi.memmove(plain.cdata + PreSharedKey.SIZE, data_key.cdata, DataKey.SIZE)
    try:
        box = seal_box(plain, box_form(to.identity_pk))
    finally:
        plain.wipe()
    return signing_key.sign(signed_message(to.arguments.computation, box)) + box
