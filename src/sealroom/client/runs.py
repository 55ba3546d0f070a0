"""What came out of a launch: its receipt and its log, each checked against what the enclave signed.

The chain starts at home: the journal holds the identity key of every enclave that this participant verified
and delivered to; who delivered nothing brings an enclave that was verified otherwise. Must never: believe a
state, an outcome or a digest that only the server says.
Spec: docs/spec/receipt.md, docs/spec/logs.md.
"""

import hashlib
from dataclasses import dataclass

from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Request
from sealroom.core.errors import TransportError, VerificationError
from sealroom.core.sealing.log import LogKey, LogKeys, find_log_key, open_log
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.delivery import Delivery
from sealroom.core.wire.dsse import verify_envelope
from sealroom.core.wire.enclave import SimulatedEnclave, VerifiedEnclave
from sealroom.core.wire.receipt import MAX_RECEIPT_BYTES, Closing, Opening, Receipt, Refusal
from sealroom.core.wire.spool import MAX_LOG_KEYS_BYTES
from sealroom.core.wire.terms import LogRelease

_MAX_LOG_OVERHEAD = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEnclave:
    """An enclave that was verified before: what its receipt is checked against."""

    agreement: bytes
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes

    @classmethod
    def from_delivery(cls, wire: bytes) -> "KnownEnclave":
        """Return the enclave that a recorded delivery went to."""
        statement = Delivery.from_bytes(wire).statement
        return cls(
            agreement=statement.agreement,
            mrenclave=statement.mrenclave,
            identity_pk=statement.identity_pk,
            box_pk=statement.box_pk,
        )

    @classmethod
    def from_enclave(cls, enclave: VerifiedEnclave | SimulatedEnclave) -> "KnownEnclave":
        """Return an enclave whose evidence was verified."""
        return cls(
            agreement=enclave.arguments.agreement,
            mrenclave=enclave.mrenclave,
            identity_pk=enclave.identity_pk,
            box_pk=enclave.box_pk,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A receipt whose signatures were verified: a run, or a refusal.

    `closing` is `None` when the process died in the run: how it ended is then the server's claim.
    """

    enclave: KnownEnclave
    raw: bytes
    opening: Opening | None
    closing: Closing | None
    refusal: Refusal | None

    @property
    def arguments(self) -> Arguments | None:
        """The measured arguments, as the opening has them."""
        return None if self.opening is None else parse_arguments(self.opening.arguments)


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
    receipt = Receipt.from_bytes(_fetch(client, folder, "receipt", epoch, max_bytes=MAX_RECEIPT_BYTES))
    if receipt.refusal is not None:
        client.deliveries.note_refusal(folder.computation, receipt.refusal)
    known = (
        tuple(
            KnownEnclave.from_delivery(noted.wire)
            for noted in client.deliveries.deliveries(folder.computation)
        )
        if enclave is None
        else (KnownEnclave.from_enclave(enclave),)
    )
    record = verify_record(receipt, known)
    _archive(folder, record)
    return record


def verify_record(receipt: Receipt, known: tuple[KnownEnclave, ...]) -> RunRecord:
    """Find the known enclave that signed a receipt, and check all of it.

    1. Opening or refusal is signed by that enclave's identity key, and names that enclave.
    2. The arguments in an opening are the agreement's.
    3. The closing is signed by the opening's run key and names that opening.
    """
    failed: VerificationError | None = None
    for enclave in known:
        try:
            if receipt.refusal is not None:
                return _verify_refusal(receipt, enclave)
            return _verify_run(receipt, enclave)
        except VerificationError as error:
            failed = error
    if failed is None:
        raise VerificationError("receipt: no enclave of this computation is known here; verify its evidence")
    raise VerificationError("receipt: not signed by an enclave that was verified here") from failed


def open_run_log(client: Client, folder: ComputationFolder, *, epoch: int | None = None) -> OpenedLog:
    """Fetch a run's sealed log, check it against the closing, and open it."""
    record = fetch_record(client, folder, epoch=epoch)
    arguments = record.arguments
    if record.closing is None or arguments is None:
        raise VerificationError("log: the receipt has no closing, so nothing says which log is the run's")
    release = arguments.terms.logs
    if record.closing.log_sha256 is None:
        return OpenedLog(release=release, text=None)
    most = 2 * arguments.terms.limits.max_log_bytes + _MAX_LOG_OVERHEAD
    container = _fetch(client, folder, "log", epoch, max_bytes=most)
    if hashlib.sha256(container).digest() != record.closing.log_sha256:
        raise VerificationError("log: not the one that the receipt names")
    keys = LogKeys.from_bytes(_fetch(client, folder, "log-keys", epoch, max_bytes=MAX_LOG_KEYS_BYTES))
    if release is LogRelease.PUBLIC and keys.public_key is not None:
        key = LogKey.from_bytes(keys.public_key)
    else:
        key = find_log_key(keys, signing_key=client.identity)
    text = open_log(container, key=key, computation=folder.computation, box_pk=record.enclave.box_pk)
    return OpenedLog(release=release, text=text)


def collect_refusals(client: Client, folder: ComputationFolder) -> None:
    """Ask for a signed refusal of every launch whose enclave is still counted, and note those that verify."""
    if not client.deliveries.open_enclaves(folder.computation):
        return
    for launch in client.computation(folder.computation).launches:
        try:
            raw = _fetch(client, folder, "receipt", launch.epoch, max_bytes=MAX_RECEIPT_BYTES)
        except TransportError as error:
            if error.code is None:
                raise
            continue  # no receipt: nothing frees that enclave
        receipt = Receipt.from_bytes(raw)
        if receipt.refusal is not None:
            client.deliveries.note_refusal(folder.computation, receipt.refusal)


def _verify_refusal(receipt: Receipt, enclave: KnownEnclave) -> RunRecord:
    if receipt.refusal is None:
        raise ValueError("not a refusal")
    payload = verify_envelope(receipt.refusal, public_key=enclave.identity_pk)
    refusal = Refusal.from_payload(payload)
    _check_names(refusal, enclave)
    return RunRecord(enclave=enclave, raw=receipt.to_bytes(), opening=None, closing=None, refusal=refusal)


def _verify_run(receipt: Receipt, enclave: KnownEnclave) -> RunRecord:
    if receipt.opening is None:
        raise ValueError("not a run")
    payload = verify_envelope(receipt.opening, public_key=enclave.identity_pk)
    opening = Opening.from_payload(payload)
    _check_names(opening, enclave)
    if opening.box_pk != enclave.box_pk:
        raise VerificationError("receipt: the opening names another box key")
    if parse_arguments(opening.arguments).agreement != enclave.agreement:
        raise VerificationError("receipt: the opening's arguments are not the agreement's")
    closing = None
    if receipt.closing is not None:
        closing = Closing.from_payload(verify_envelope(receipt.closing, public_key=opening.run_key))
        if closing.opening_sha256 != hashlib.sha256(payload).digest():
            raise VerificationError("receipt: the closing is of another opening")
        if closing.agreement != enclave.agreement:
            raise VerificationError("receipt: the closing is of another agreement")
    return RunRecord(enclave=enclave, raw=receipt.to_bytes(), opening=opening, closing=closing, refusal=None)


def _check_names(signed: Opening | Refusal, enclave: KnownEnclave) -> None:
    found = (signed.agreement, signed.mrenclave, signed.identity_pk)
    if found != (enclave.agreement, enclave.mrenclave, enclave.identity_pk):
        raise VerificationError("receipt: names another enclave than the one that signed it")


def _archive(folder: ComputationFolder, record: RunRecord) -> None:
    held = folder.receipt(record.enclave.mrenclave)
    complete = record.closing is not None or record.refusal is not None
    if held is None or complete:
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
