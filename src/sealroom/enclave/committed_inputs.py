"""The inputs, checked against what each Data Provider committed to in its delivery.

Must never give a program a file that its provider did not commit to, or in another order.
Spec: docs/spec/commitment.md; docs/spec/enclave-session.md, "Checked once".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.commitment import verify_commitment
from sealroom.core.sealing.context import Context
from sealroom.core.wire import spool as names
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.receipt_opening import MAX_TOTAL_INPUTS, InputRecord
from sealroom.enclave.admission import Admitted
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.refusal import ComputationRefusedError
from sealroom.enclave.sealed_files import Checking, SealedFile, check_sealed_file

if TYPE_CHECKING:
    from sealroom.enclave.legacy.whole_files import WholeFile


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedInput:
    """One input file: what the receipt says of it, and the checked container."""

    record: InputRecord
    file: SealedFile | WholeFile


def check_inputs(
    spool: HostFolder, providers: tuple[Admitted, ...], *, computation: UUID, checking: Checking
) -> tuple[CommittedInput, ...]:
    """Check every list against its commitment and every file against its list, in the order of the providers.

    Raises `ComputationRefusedError` with `inputs-differ` for a list or file that is missing, added, swapped,
    renamed, reordered, changed, or that does not open with its provider's key.
    """
    return gather_inputs(
        found
        for provider in providers
        for found in _inputs_of(spool, provider, computation=computation, checking=checking)
    )


def gather_inputs(found: Iterable[CommittedInput]) -> tuple[CommittedInput, ...]:
    """Return the inputs that checking gives, one by one; `inputs-differ` where it fails, or for too many."""
    try:
        inputs = tuple(found)
        if len(inputs) > MAX_TOTAL_INPUTS:
            raise MalformedError(f"inputs: got {len(inputs)}, expected at most {MAX_TOTAL_INPUTS}")
    except ComputationRefusedError:
        raise
    except (MalformedError, VerificationError) as exc:
        raise ComputationRefusedError(RefusalReason.INPUTS_DIFFER) from exc
    return inputs


def read_input_list(spool: HostFolder, provider: int) -> InputList:
    """Read a provider's list, which nothing vouches for yet; raises `MalformedError`."""
    raw = spool.read(names.input_list_name(provider), max_bytes=names.MAX_LIST_BYTES)
    if raw is None:
        raise MalformedError("input list: missing")
    return InputList.from_json(raw)


def _inputs_of(
    spool: HostFolder, provider: Admitted, *, computation: UUID, checking: Checking
) -> list[CommittedInput]:
    participant = provider.participant
    listed = read_input_list(spool, participant.index)
    verify_commitment(
        provider.record.statement.commitment,
        listed,
        computation=computation,
        sender_pk=participant.public_key,
    )
    return [
        _check_file(spool, provider, number, file, computation=computation, checking=checking)
        for number, file in enumerate(listed.files)
    ]


def _check_file(
    spool: HostFolder,
    provider: Admitted,
    number: int,
    listed: InputFile,
    *,
    computation: UUID,
    checking: Checking,
) -> CommittedInput:
    participant = provider.participant
    file = check_sealed_file(
        spool,
        names.input_name(participant.index, number),
        size=listed.size,
        sha256=listed.sha256,
        key=provider.keys.data_key,
        context=Context.input(computation=computation, owner_pk=participant.public_key, name=listed.name),
        checking=checking,
    )
    record = InputRecord(provider=participant.index, name=listed.name, size=listed.size, sha256=listed.sha256)
    return CommittedInput(record=record, file=file)
