"""The published client's key delivery: 176 octets, in which neither sender nor role nor contract stands.

Opening gives the two keys in buffers that can be erased; sealing is done at home, in `legacy_sealing`. Must
never be used where the arguments say another form.
Spec: docs/spec/legacy-delivery.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.delivery import BoxRefusedError
from sealroom.core.sealing.enclave_keys import BoxKey
from sealroom.core.sealing.keys import DataKey, PreSharedKey
from sealroom.core.wire.byte_fields import KEY_SIZE, SIGNATURE_SIZE, check_size
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.participants import Role
from sealroom.core.wire.signatures import verify_ed25519

BOX_SIZE = 112
DELIVERY_SIZE = SIGNATURE_SIZE + BOX_SIZE
MESSAGE_SIZE = 1 + 1 + KEY_SIZE + DELIVERY_SIZE
_MARK = 0
_SENDER_AT = 2
_DELIVERY_AT = _SENDER_AT + KEY_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyDelivery:
    """One delivery, and who sent it in which role by the server's word: parsed, not verified."""

    role: Role
    sender_pk: bytes
    signature: bytes
    box: bytes

    def __post_init__(self) -> None:
        check_size(self.sender_pk, field="sender_pk", size=KEY_SIZE)
        check_size(self.signature, field="signature", size=SIGNATURE_SIZE)
        check_size(self.box, field="box", size=BOX_SIZE)

    def to_bytes(self) -> bytes:
        """Return the 210 octets of the spool's message."""
        return bytes((_MARK, self.role.code)) + self.sender_pk + self.signature + self.box

    @classmethod
    def from_bytes(cls, raw: bytes) -> LegacyDelivery:
        """Read the 210 octets; raises `MalformedError` for another length, mark or an unknown role."""
        check_size(raw, field="delivery", size=MESSAGE_SIZE)
        if raw[0] != _MARK:
            raise MalformedError(f"delivery: got {raw[0]}, expected {_MARK}, the mark of the older form")
        return cls.from_client(
            raw[_DELIVERY_AT:], role=Role.from_code(raw[1]), sender_pk=raw[_SENDER_AT:_DELIVERY_AT]
        )

    @classmethod
    def from_client(cls, delivery: bytes, *, role: Role, sender_pk: bytes) -> LegacyDelivery:
        """Read the 176 octets that a client sends; raises `MalformedError` for another length."""
        check_size(delivery, field="delivery", size=DELIVERY_SIZE)
        return cls(
            role=role,
            sender_pk=sender_pk,
            signature=delivery[:SIGNATURE_SIZE],
            box=delivery[SIGNATURE_SIZE:],
        )

    def verify_signature(self, computation: UUID) -> None:
        """Verify that `sender_pk` signed this box for `computation`; raises `VerificationError`."""
        verify_ed25519(
            public_key=self.sender_pk,
            message=signed_message(computation, self.box),
            signature=self.signature,
            field="delivery signature",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyKeys:
    """The two keys of one delivery, in buffers of their own."""

    preshared_key: PreSharedKey
    data_key: DataKey


def open_legacy_delivery(delivery: LegacyDelivery, *, box_key: BoxKey) -> LegacyKeys:
    """Open a delivery whose signature was verified already; `box_key` is the identity key's X25519 form.

    Raises `BoxRefusedError`. That the sender made the box is not to be known.
    """
    try:
        plain = box_key.open(delivery.box)
    except VerificationError as exc:
        raise BoxRefusedError(RefusalReason.BOX_UNREADABLE) from exc
    try:
        return LegacyKeys(
            preshared_key=PreSharedKey().fill_from(plain),
            data_key=DataKey().fill_from(plain, start=PreSharedKey.SIZE),
        )
    finally:
        plain.wipe()


def signed_message(computation: UUID, box: bytes) -> bytes:
    """Return what the sender of a box signs."""
    return computation.bytes + box
