"""A Result Consumer's results: downloaded sealed, compared with the receipt, opened at home.

Constant memory for any size. Must never: keep a plaintext that does not authenticate, or a result that the
receipt does not name.
Spec: docs/spec/container.md, docs/spec/receipt.md.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from sealroom.client.file_sealing import open_between
from sealroom.client.receipts import RunRecord
from sealroom.client.result_files import result_path, store_result
from sealroom.client.runs import fetch_record
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Progress, progress_of
from sealroom.core.errors import VerificationError
from sealroom.core.sealing.container_streams import sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.output_key import OutputKey, derive_output_key
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import OutputRecord

# Noted when every result of a run is stored; no file can have this name.
ALL_RESULTS = ""
# No result is larger than the whole budget of outputs, sealed in the smallest chunks.
_SMALLEST_CHUNK_LOG2 = 12
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One opened result, on disk."""

    name: str
    path: Path
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTarget:
    """Where results go, and how far they are told about."""

    folder: Path | None = None
    epoch: int | None = None
    progress: Progress | None = None


def fetch_results(client: Client, home: ComputationFolder, target: ResultTarget) -> tuple[Result, ...]:
    """Fetch, check and open every result of this consumer.

    1. The receipt is signed by an enclave that this participant delivered to, and has a closing.
    2. The consumer's index is the one of this participant's key in the measured arguments.
    3. Each container has the digest that the closing names, and opens under its name.

    Raises `VerificationError` for a result that is withheld, changed or not named.
    """
    offers = Offers.fetch(client, home, target.epoch)
    record = fetch_record(client, home, epoch=offers.epoch)
    index = own_index(record, client.identity.public_key)
    folder = target.folder or home.results(record.enclave.mrenclave)
    folder.mkdir(parents=True, exist_ok=True)
    key = _output_key(client, home, record)
    opener = _Opener(
        client=client, home=home, record=record, folder=folder, key=key, progress=target.progress
    )
    try:
        opened = tuple(opener.open(output, offers.path(output)) for output in own_outputs(record, index))
    finally:
        key.wipe()
    opener.note(ALL_RESULTS, b"")
    return opened


def own_index(record: RunRecord, public_key: bytes) -> int:
    """Return this key's index among the Result Consumers of the measured arguments."""
    arguments = record.arguments
    slot = None if arguments is None else arguments.find(Role.RESULT_CONSUMER, public_key)
    if slot is None:
        raise VerificationError("results: this key is no result consumer in the measured arguments")
    return slot.index


def own_outputs(record: RunRecord, index: int) -> tuple[OutputRecord, ...]:
    """Return the results that the closing names for one consumer."""
    if record.closing is None:
        raise VerificationError(
            "results: the receipt has no closing, so nothing says which results are the run's"
        )
    return tuple(output for output in record.closing.outputs if output.consumer == index)


def check_sealed(sealed: IO[bytes], output: OutputRecord) -> None:
    """Refuse a container that is not the one a closing names; leaves the file at its start."""
    sealed.seek(0)
    if _digest(sealed) != output.sha256:
        raise VerificationError(f"result {output.name}: not the one that the receipt names")
    sealed.seek(0)


def _digest(sealed: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    while piece := sealed.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.digest()


def most_sealed_bytes(arguments: Arguments | None) -> int:
    """Return the largest size that a sealed result can have under this contract."""
    budget = 0 if arguments is None else arguments.terms.limits.max_output_bytes
    return sealed_size(budget, chunk_log2=_SMALLEST_CHUNK_LOG2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What the server offers: where each result of a launch would be."""

    computation: UUID
    epoch: int
    places: Mapping[tuple[int, str], int]

    @classmethod
    def fetch(cls, client: Client, home: ComputationFolder, epoch: int | None) -> "Offers":
        """Ask the server for the list."""
        query = "" if epoch is None else f"?epoch={epoch}"
        answer = client.transport.get_json(f"/computations/{home.computation}/results{query}")
        places = {
            (entry.number("consumer"), entry.text("name")): entry.number("index")
            for entry in answer.items("results")
        }
        return cls(computation=home.computation, epoch=answer.number("epoch"), places=places)

    def path(self, output: OutputRecord) -> str:
        """Return where a result is; raises `VerificationError` for one that the server withholds."""
        place = self.places.get((output.consumer, output.name))
        if place is None:
            raise VerificationError(
                f"result {output.name}: named by the receipt, and the server withholds it"
            )
        return f"/computations/{self.computation}/results/{output.consumer}/{place}?epoch={self.epoch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opener:
    """Downloads, checks and opens the results of one run."""

    client: Client
    home: ComputationFolder
    record: RunRecord
    folder: Path
    key: OutputKey
    progress: Progress | None

    def open(self, output: OutputRecord, path: str) -> Result:
        target = result_path(self.folder, output.name)
        with tempfile.TemporaryFile(dir=self.home.path) as sealed:
            self.client.transport.download(
                path, sealed, max_bytes=self._most(), progress=self.progress, label=output.name
            )
            check_sealed(sealed, output)
            context = self._context(output.name)
            tell = progress_of(self.progress, f"opening {output.name}")
            opened = store_result(
                target,
                lambda sink: open_between(
                    sealed, sink, key=self.key, context=context, tell=tell, hashed=True
                ),
            )
        self.note(output.name, output.sha256)
        return Result(name=output.name, path=target, size=opened.size, sha256=opened.sha256)

    def note(self, name: str, sha256: bytes) -> None:
        self.client.journal.note_received(
            self.home.computation, mrenclave=self.record.enclave.mrenclave, name=name, sha256=sha256
        )

    def _context(self, name: str) -> Context:
        return Context.result(
            computation=self.home.computation,
            owner_pk=self.client.identity.public_key,
            box_pk=self.record.enclave.box_pk,
            name=name,
        )

    def _most(self) -> int:
        return most_sealed_bytes(self.record.arguments)


def _output_key(client: Client, home: ComputationFolder, record: RunRecord) -> OutputKey:
    data_key = home.data_key(Role.RESULT_CONSUMER)
    try:
        return derive_output_key(
            data_key,
            box_pk=record.enclave.box_pk,
            computation=home.computation,
            consumer_pk=client.identity.public_key,
        )
    finally:
        data_key.wipe()
