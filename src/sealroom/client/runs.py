"""What came out of a launch: its receipt and its log, each checked against what the enclave signed.

The chain starts at home: the journal holds the identity key of every enclave that this participant verified
and delivered to; who delivered nothing brings an enclave that was verified otherwise. Must never: believe a
state, an outcome or a digest that only the server says.
Spec: docs/spec/receipt.md, docs/spec/logs.md.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sealroom.client.receipts import KnownEnclave, RunRecord, check_consistent, verify_record
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Request
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.sealing.log import LogKey
from sealroom.core.sealing.log_opening import find_log_key, open_log, parse_log_keys
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.receipt import Closing
from sealroom.core.wire.receipt_file import MAX_RECEIPT_BYTES, Receipt
from sealroom.core.wire.spool import MAX_LOG_KEYS_BYTES
from sealroom.core.wire.terms import LogRelease, Tee

MAX_LOG_OVERHEAD = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedLog:
    """What the program printed; `text` is `None` when no log leaves the enclave."""

    release: LogRelease
    text: bytes | None


def fetch_record(
    client: Client,
    folder: ComputationFolder,
    *,
    epoch: int | None = None,
    enclave: VerifiedEnclave | SimulatedEnclave | None = None,
) -> RunRecord:
    """Fetch a receipt, verify it, and archive it.

    Without `enclave` it must be of one that this participant delivered to. Raises `VerificationError` for a
    receipt that nobody known signed, `TransportError` (`no_receipt`) when there is none.
    """
    receipt = fetch_receipt(client, folder, epoch=epoch)
    known = _delivered_to(client, folder) if enclave is None else (KnownEnclave.from_enclave(enclave),)
    record = verify_record(receipt, known)
    archive(folder, record)
    if receipt.refusal is not None:
        client.deliveries.note_refusal(folder.computation, receipt.refusal)
    _note_people(client, record)
    return record


def fetch_receipt(client: Client, folder: ComputationFolder, *, epoch: int | None = None) -> Receipt:
    """Fetch a receipt as the server has it, not verified; raises `TransportError` when there is none."""
    return Receipt.from_bytes(_fetch(client, folder, "receipt", epoch, max_bytes=MAX_RECEIPT_BYTES))


def open_run_log(client: Client, folder: ComputationFolder, *, epoch: int | None = None) -> OpenedLog:
    """Fetch a run's sealed log, check it against the closing, and open it."""
    record = fetch_record(client, folder, epoch=epoch)
    arguments = record.arguments
    if record.closing is None or arguments is None:
        raise VerificationError("log: the receipt has no closing, so nothing says which log is the run's")
    release = arguments.terms.logs
    if record.closing.log_sha256 is None:
        return OpenedLog(release=release, text=None)
    container, keys = fetch_sealed_log(client, folder, arguments, epoch=epoch)
    text = open_sealed_log(
        container,
        keys,
        closing=record.closing,
        arguments=arguments,
        box_pk=record.enclave.box_pk,
        identity=client.identity,
    )
    return OpenedLog(release=release, text=text)


def fetch_sealed_log(
    client: Client, folder: ComputationFolder, arguments: Arguments, *, epoch: int | None
) -> tuple[bytes, bytes]:
    """Fetch the log's container and the keys beside it, as the server has them."""
    most = 2 * arguments.terms.limits.max_log_bytes + MAX_LOG_OVERHEAD
    container = _fetch(client, folder, "log", epoch, max_bytes=most)
    return container, _fetch(client, folder, "log-keys", epoch, max_bytes=MAX_LOG_KEYS_BYTES)


def open_sealed_log(
    container: bytes,
    raw_keys: bytes,
    *,
    closing: Closing,
    arguments: Arguments,
    box_pk: bytes,
    identity: SigningKey,
) -> bytes:
    """Open the log that `closing` names; raises `VerificationError` or `MalformedError` for any other."""
    if hashlib.sha256(container).digest() != closing.log_sha256:
        raise VerificationError("log: not the one that the receipt names")
    keys = parse_log_keys(raw_keys)
    if arguments.terms.logs is LogRelease.PUBLIC and keys.public_key is not None:
        key = LogKey.from_bytes(keys.public_key)
    else:
        key = find_log_key(keys, signing_key=identity)
    return open_log(container, key=key, computation=arguments.computation, box_pk=box_pk)


def collect_refusals(client: Client, folder: ComputationFolder) -> None:
    """Ask for a signed refusal of every launch whose enclave is still counted, and note those that verify."""
    if not client.deliveries.open_enclaves(folder.computation):
        return
    for launch in client.computation(folder.computation).launches:
        try:
            receipt = fetch_receipt(client, folder, epoch=launch.epoch)
        except TransportError as error:
            if error.code is None:
                raise
            continue  # no receipt: nothing frees that enclave
        if receipt.refusal is None:
            continue
        with suppress(VerificationError, MalformedError):
            # Of an enclave that signed an opening before, a refusal frees nothing.
            archive(folder, verify_record(receipt, _delivered_to(client, folder)))
            client.deliveries.note_refusal(folder.computation, receipt.refusal)


def _delivered_to(client: Client, folder: ComputationFolder) -> tuple[KnownEnclave, ...]:
    deliveries = client.deliveries.deliveries(folder.computation)
    return tuple(KnownEnclave.from_delivery(noted.wire) for noted in deliveries)


def _note_people(client: Client, record: RunRecord) -> None:
    """Note the participants' keys as seen: an enclave that opened found that all of them know the words.

    Not from a simulated one: whoever runs it knows the words too, and could put any key there.
    """
    arguments = record.arguments
    if arguments is None or arguments.terms.tee is Tee.SIMULATED:
        return
    client.contacts.note_seen(
        {person.email: person.public_key for person in arguments.participants}, now=datetime.now(UTC)
    )


def archive(folder: ComputationFolder, record: RunRecord) -> None:
    """Archive a verified receipt; raises `VerificationError` for one that contradicts what is archived."""
    raw = folder.receipt(record.enclave.mrenclave)
    held = None if raw is None else Receipt.from_bytes(raw)
    if held is not None:
        check_consistent(held, Receipt.from_bytes(record.raw))
    if held is None or (held.closing is None and record.closing is not None):
        folder.save_receipt(record.enclave.mrenclave, record.raw)


def _fetch(
    client: Client, folder: ComputationFolder, what: str, epoch: int | None, *, max_bytes: int
) -> bytes:
    request = Request(
        method="GET",
        path=f"/computations/{folder.computation}/{what}",
        params={} if epoch is None else {"epoch": epoch},
    )
    return client.transport.send(request, max_bytes=max_bytes)
