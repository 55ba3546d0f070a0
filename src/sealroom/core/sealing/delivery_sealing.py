"""Sealing a participant's keys to an enclave that it verified; done at home, so no enclave has this module.

Takes a verified enclave by type and refuses one that is stale, simulated without the flag, or that does not
list the sender. What it seals is opened by `delivery`. Spec: docs/spec/key-delivery.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from nacl._sodium import ffi

from sealroom.core.errors import PolicyError
from sealroom.core.sealing.delivery import commitment_fits
from sealroom.core.sealing.enclave_keys import seal_box
from sealroom.core.sealing.keys import DataKey, PreSharedKey, SigningKey
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.byte_fields import DIGEST_SIZE, sha256
from sealroom.core.wire.delivery import Delivery, Statement, delivery_signature_message
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.participants import Role
from sealroom.core.wire.terms import DeliveryForm, Tee

MAX_EVIDENCE_AGE = timedelta(minutes=10)
_PLAIN_SIZE = DIGEST_SIZE + PreSharedKey.SIZE + DataKey.SIZE


def seal_delivery(
    *,
    to: VerifiedEnclave | SimulatedEnclave,
    role: Role,
    signing_key: SigningKey,
    commitment: bytes,
    preshared_key: PreSharedKey,
    data_key: DataKey,
    now: datetime,
    insecure_accept_simulated: UUID | None = None,
) -> bytes:
    """Seal the two keys to the enclave `to`, giving the 402 octets to send.

    1. The enclave is real, or simulated and accepted for this very computation.
    2. Its evidence was verified less than ten minutes before `now`.
    3. Its arguments list the sender in `role`, and speak this form of delivery.
    4. A Data Provider commits to its inputs, and nobody else does.

    Raises `PolicyError` for 1 to 3 and `ValueError` for 4. Keeping the number of deliveries is left to the
    caller's journal; it must store the result and send the same octets again, never call this twice for one
    enclave.
    """
    check_recipient(
        to,
        role=role,
        public_key=signing_key.public_key,
        form=DeliveryForm.V1,
        now=now,
        insecure_accept_simulated=insecure_accept_simulated,
    )
    if not commitment_fits(role, commitment):
        raise ValueError(
            "commitment: expected 32 octets, not zero for a Data Provider and zero for anybody else"
        )
    statement = Statement(
        agreement=to.arguments.agreement,
        mrenclave=to.mrenclave,
        identity_pk=to.identity_pk,
        box_pk=to.box_pk,
        role=role,
        sender_pk=signing_key.public_key,
        commitment=commitment,
    )
    box = _seal(statement, preshared_key, data_key)
    signature = signing_key.sign(delivery_signature_message(statement, sha256(box)))
    return Delivery(statement=statement, box=box, signature=signature).to_bytes()


def check_recipient(
    to: VerifiedEnclave | SimulatedEnclave,
    *,
    role: Role,
    public_key: bytes,
    form: DeliveryForm,
    now: datetime,
    insecure_accept_simulated: UUID | None,
) -> None:
    """Refuse, with `PolicyError`, an enclave that this participant must not seal its keys to.

    1. It is real, or simulated and accepted for this very computation. 2. Its evidence was verified less
    than ten minutes before `now`. 3. Its arguments ask for `form`, and list the sender in `role`.
    """
    _check_kind(to, insecure_accept_simulated)
    _check_age(to.verified_at, now)
    if to.arguments.terms.delivery is not form:
        raise PolicyError("delivery: the enclave's arguments ask for another form of delivery")
    if to.arguments.find(role, public_key) is None:
        raise PolicyError(f"delivery: the enclave's arguments do not list this key as {role.value}")


def _seal(statement: Statement, preshared_key: PreSharedKey, data_key: DataKey) -> bytes:
    plain = SecretBuffer(_PLAIN_SIZE)
    ffi.memmove(plain.cdata, statement.digest, DIGEST_SIZE)
    ffi.memmove(plain.cdata + DIGEST_SIZE, preshared_key.cdata, PreSharedKey.SIZE)
    ffi.memmove(plain.cdata + DIGEST_SIZE + PreSharedKey.SIZE, data_key.cdata, DataKey.SIZE)
    try:
        return seal_box(plain, statement.box_pk)
    finally:
        plain.wipe()


def _check_kind(to: VerifiedEnclave | SimulatedEnclave, insecure_accept_simulated: UUID | None) -> None:
    # Python checks no types at run time, and this one stands between a key and whoever asks for it.
    if not isinstance(to, VerifiedEnclave | SimulatedEnclave):
        raise TypeError(f"delivery: expected a verified enclave, got {type(to).__name__}")
    terms = to.arguments.terms
    match to:
        case VerifiedEnclave():
            if terms.tee is not Tee.SGX:
                raise PolicyError("delivery: the enclave's arguments do not say sgx")
        case SimulatedEnclave():
            if insecure_accept_simulated != terms.computation:
                raise PolicyError(
                    "delivery: the enclave is simulated, which protects nothing; this computation was not "
                    "named in insecure_accept_simulated"
                )


def _check_age(verified_at: datetime, now: datetime) -> None:
    age = now - verified_at
    if not timedelta(0) <= age < MAX_EVIDENCE_AGE:
        raise PolicyError(f"delivery: expected evidence verified less than {MAX_EVIDENCE_AGE} ago, got {age}")
