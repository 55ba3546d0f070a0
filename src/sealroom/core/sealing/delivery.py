"""Opening the keys that a participant sealed to this enclave, into buffers that can be erased.

Admission (order, slots, signatures) is the enclave's own, in core.wire and sealroom.enclave; sealing is done
at home, in `delivery_sealing`. Spec: docs/spec/key-delivery.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from nacl._sodium import ffi

from sealroom.core.errors import VerificationError
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.keys import DataKey, PreSharedKey
from sealroom.core.sealing.secret import SecretBuffer
from sealroom.core.wire.delivery import (
    NO_COMMITMENT,
    Delivery,
    RefusalReason,
    Statement,
)
from sealroom.core.wire.participants import Role

_DIGEST_SIZE = 32


class BoxRefusedError(VerificationError):
    """A delivery that failed after its signature: fatal for the enclave, which signs `reason`."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(f"delivery: {reason.value}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDelivery:
    """The two keys of one delivery, in buffers of their own."""

    statement: Statement
    preshared_key: PreSharedKey
    data_key: DataKey

    def wipe(self) -> None:
        """Erase both keys."""
        self.preshared_key.wipe()
        self.data_key.wipe()


def open_delivery(delivery: Delivery, *, box_key: BoxKey) -> OpenedDelivery:
    """Open a delivery whose signature was verified already.

    1. The box opens with the enclave's box key.
    2. The digest inside is that of the statement outside: the box was made by this sender, for this role.
    3. The commitment is there exactly for a Data Provider.

    Raises `BoxRefusedError` with the reason to sign; whatever was opened is wiped by then.
    """
    try:
        plain = box_key.open(delivery.box)
    except VerificationError as error:
        raise BoxRefusedError(RefusalReason.BOX_UNREADABLE) from error
    try:
        return _split(delivery.statement, plain)
    finally:
        plain.wipe()


def commitment_fits(role: Role, commitment: bytes) -> bool:
    """Say whether `commitment` is 32 octets, and other than zeros exactly for a Data Provider."""
    is_given = commitment != NO_COMMITMENT
    return len(commitment) == _DIGEST_SIZE and is_given == (role is Role.DATA_PROVIDER)


def _split(statement: Statement, plain: SecretBuffer) -> OpenedDelivery:
    if bytes(ffi.buffer(plain.cdata, _DIGEST_SIZE)) != statement.digest:
        raise BoxRefusedError(RefusalReason.BOX_OF_ANOTHER_STATEMENT)
    if not commitment_fits(statement.role, statement.commitment):
        raise BoxRefusedError(RefusalReason.COMMITMENT)
    return OpenedDelivery(
        statement=statement,
        preshared_key=PreSharedKey().fill_from(plain, start=_DIGEST_SIZE),
        data_key=DataKey().fill_from(plain, start=_DIGEST_SIZE + PreSharedKey.SIZE),
    )
