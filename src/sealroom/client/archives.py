"""What is kept of a launch for later: its receipt, its enclave's evidence, and what this home expected.

From this home's own archive where it delivered: the evidence is then the bundle that was verified before
the delivery, whatever the server shows today. Who delivered nothing, as an owner, gets both from the server,
to be judged and not to be believed. Must never: mix the receipt of one launch with the evidence of another.
Spec: docs/spec/receipt.md.
"""

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from sealroom.client.member import Member
from sealroom.client.runs import fetch_receipt
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.verification import expectations
from sealroom.core.errors import TransportError, VerificationError
from sealroom.core.evidence.expectations import Expectations


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A receipt and a bundle, with what this participant knows: everything that a verdict needs."""

    receipt: bytes
    bundle: bytes
    expected: Expectations


def read_archive(client: Client, computation: UUID, *, epoch: int | None = None) -> Archive:
    """Return what a verdict over the receipt of a launch needs, the latest that has one unless told.

    Where this home delivered, the receipt is of an enclave that it delivered to, or `VerificationError`.
    Raises `TransportError` (`no_receipt`) where none is there.
    """
    folder = ComputationFolder(client.home, computation)
    expected = expectations(client, folder)
    if not client.deliveries.deliveries(computation):
        receipt, bundle = _as_the_server_has_them(client, folder, epoch)
        return Archive(receipt=receipt, bundle=bundle, expected=expected)
    record = Member(client, computation).receipt(epoch=epoch)
    archived = folder.evidence(record.enclave.mrenclave)
    if archived is None:
        raise VerificationError("receipt: this home holds no evidence of the enclave that signed it")
    return Archive(receipt=record.raw, bundle=archived, expected=expected)


def _as_the_server_has_them(
    client: Client, folder: ComputationFolder, epoch: int | None
) -> tuple[bytes, bytes]:
    """Return receipt and evidence of one launch: the one told, or the latest that has a receipt."""
    receipt = fetch_receipt(client, folder, epoch=epoch)
    if epoch is not None:
        return receipt.to_bytes(), client.fetch_evidence(folder.computation, epoch=epoch)
    for launch in reversed(client.computation(folder.computation).launches):
        with suppress(TransportError):
            receipt = fetch_receipt(client, folder, epoch=launch.epoch)
            return receipt.to_bytes(), client.fetch_evidence(folder.computation, epoch=launch.epoch)
    raise TransportError("receipt: of no launch that the server shows", code="no_receipt")
