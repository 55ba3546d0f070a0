"""The opening of the receipt, and the point of no return.

It is signed, and every key that opens more than this one run is forgotten. Must never return with the
identity key, the box key or a delivered key still in memory.
Spec: docs/spec/receipt.md; docs/spec/enclave-session.md, "Opening".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sealroom.core.sealing.enclave_keys import IdentityKey, RunKey
from sealroom.core.sealing.log import LogKey
from sealroom.core.sealing.output_key import OutputKey, derive_output_key
from sealroom.core.sealing.receipt import sign_opening
from sealroom.core.sealing.secret import Secret32
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.receipt_opening import Opening
from sealroom.enclave.admission import Admitted, Self, Slots
from sealroom.enclave.committed_inputs import CommittedInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A Result Consumer, and what results to it are sealed with."""

    participant: Participant
    key: Secret32


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is left after the opening: the signed envelope, and keys that are good for this run alone."""

    envelope: Envelope
    run_key: RunKey
    log_key: LogKey
    consumers: tuple[Consumer, ...]


def open_receipt(
    slots: Slots,
    inputs: tuple[CommittedInput, ...],
    *,
    identity_key: IdentityKey,
    result_key: Callable[[Self, Admitted], Secret32],
) -> Opened:
    """Take the keys of the run, sign the opening, and wipe identity, box and delivered keys.

    `result_key` gives what the results to a consumer are sealed with, in a buffer of its own.
    """
    own, run_key = slots.own, RunKey.generate()
    consumers = tuple(
        Consumer(participant=slot.participant, key=result_key(own, slot))
        for slot in slots.in_role(Role.RESULT_CONSUMER)
    )
    opening = _opening(own, slots.admitted, inputs, run_key=run_key.public_key)
    envelope = sign_opening(opening, identity_key=identity_key)
    slots.box_key.wipe()
    slots.wipe()
    return Opened(envelope=envelope, run_key=run_key, log_key=LogKey.generate(), consumers=consumers)


def output_key(own: Self, slot: Admitted) -> OutputKey:
    """Derive what opens this launch's results to one consumer, and nothing else."""
    return derive_output_key(
        slot.keys.data_key,
        box_pk=own.box_pk,
        computation=own.arguments.computation,
        consumer_pk=slot.participant.public_key,
    )


def _opening(
    own: Self, admitted: tuple[Admitted, ...], inputs: tuple[CommittedInput, ...], *, run_key: bytes
) -> Opening:
    arguments = own.arguments
    return Opening(
        tee=arguments.terms.tee,
        delivery=arguments.terms.delivery,
        computation=arguments.computation,
        agreement=arguments.agreement,
        arguments=arguments.to_bytes(),
        mrenclave=own.mrenclave,
        identity_pk=own.identity_pk,
        box_pk=own.box_pk,
        run_key=run_key,
        participants=tuple(slot.record for slot in admitted),
        inputs=tuple(found.record for found in inputs),
        code=arguments.code_digest,
        packages=arguments.packages_digest,
    )
