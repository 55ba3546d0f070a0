"""Waiting for deliveries: the inbox read in order, each message answered, until all slots are full.

Must never read a message twice, nor believe a number that the host gives: messages are counted here.
Spec: docs/spec/spool.md; docs/spec/enclave-session.md, "Admission".
"""

from __future__ import annotations

import time

from sealroom.core.errors import MalformedError
from sealroom.core.wire import spool as names
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.spool import Answer
from sealroom.enclave.admission import Slots
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.refusal import ComputationRefusedError, DeliveryRefusedError

_POLL_SECONDS = 0.05
_END_REASONS = {
    names.END_CANCELLED: RefusalReason.CANCELLED,
    names.END_EXPIRED: RefusalReason.EXPIRED,
}


def wait_for_deliveries(spool: HostFolder, slots: Slots) -> None:
    """Return when every slot is full.

    Raises `ComputationRefusedError` on the host's end message, and for a delivery that fails after its
    signature. A delivery refused before that is answered with its reason, and waiting goes on.
    """
    number = 0
    while not slots.full:
        check_not_ended(spool)
        raw = _next_message(spool, number)
        if raw is None:
            time.sleep(_POLL_SECONDS)
            continue
        spool.write(names.answer_name(number), _answer(slots, raw).to_bytes())
        number += 1


def check_not_ended(spool: HostFolder) -> None:
    """Raise `ComputationRefusedError` when the host asked the enclave to end; other words are no message."""
    try:
        raw = spool.read(names.END, max_bytes=names.MAX_END_BYTES)
    except MalformedError:
        return
    reason = _END_REASONS.get(raw or b"")
    if reason is not None:
        raise ComputationRefusedError(reason)


def _next_message(spool: HostFolder, number: int) -> bytes | None:
    if number >= names.MAX_INBOX:
        return None
    try:
        return spool.read(names.inbox_name(number), max_bytes=names.INBOX_BYTES)
    except MalformedError:
        # What cannot be read as a message is a message that is refused.
        return b""


def _answer(slots: Slots, raw: bytes) -> Answer:
    try:
        slots.admit(raw)
    except DeliveryRefusedError as exc:
        return Answer(refused=exc.reason)
    return Answer()
