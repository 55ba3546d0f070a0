"""Opening what a verified receipt names, results and log, to see that it is there.

Nothing is kept unless a folder is named. Must never: open under a receipt whose verdict did not hold, or take
a container for the one that is named without comparing its digest.
Spec: docs/spec/receipt.md, "What it hands out".
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from sealroom.client.file_sealing import open_between
from sealroom.client.private_files import open_regular, read_bounded
from sealroom.client.result_files import result_path, store_result
from sealroom.client.results import Offers, check_sealed, most_sealed_bytes
from sealroom.client.runs import MAX_LOG_OVERHEAD, fetch_sealed_log, open_sealed_log
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import Progress
from sealroom.core.errors import TransportError, VerificationError
from sealroom.core.evidence.archive import ArchivedRun
from sealroom.core.evidence.receipt import ReceiptAnchor
from sealroom.core.evidence.receipt_opened import NamedResult, appraise_opened
from sealroom.core.evidence.verdict import CheckGroup
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.output_key import OutputKey, derive_output_key
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing, OutputRecord
from sealroom.core.wire.spool import MAX_LOG_KEYS_BYTES
from sealroom.core.wire.terms import LogRelease

LOG_KEYS_FILE = "log-keys"


class SealedFiles(Protocol):
    """Where the containers of one run are had from; nothing of it is believed."""

    def copy_result(self, output: OutputRecord, sink: IO[bytes], *, max_bytes: int) -> None:
        """Write one sealed result to `sink`; raises `VerificationError` where it is not there.

        Raises an error for one that is larger than `max_bytes`, before it writes more.
        """

    def log(self, closing: Closing, arguments: Arguments) -> tuple[bytes, bytes]:
        """Return the sealed log and the keys beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOfSealedFiles:
    """A folder of containers, each under its digest, as `receipt export --sealed` writes them."""

    path: Path

    def copy_result(self, output: OutputRecord, sink: IO[bytes], *, max_bytes: int) -> None:
        """Copy a container out of the folder."""
        what = f"result {output.name}"
        try:
            with open_regular(self.path / output.sha256.hex(), what=what) as sealed:
                if os.fstat(sealed.fileno()).st_size > max_bytes:
                    raise VerificationError(f"{what}: its container is larger than the contract allows")
                shutil.copyfileobj(sealed, sink)
        except FileNotFoundError as error:
            raise VerificationError(f"{what}: its container is not in {self.path}") from error

    def log(self, closing: Closing, arguments: Arguments) -> tuple[bytes, bytes]:
        """Read log and keys out of the folder."""
        name = (closing.log_sha256 or b"").hex()
        most = 2 * arguments.terms.limits.max_log_bytes + MAX_LOG_OVERHEAD
        try:
            container = read_bounded(self.path / name, max_bytes=most, what="sealed log")
            keys = read_bounded(self.path / LOG_KEYS_FILE, max_bytes=MAX_LOG_KEYS_BYTES, what="log keys")
        except FileNotFoundError as error:
            raise VerificationError(f"log: its container is not in {self.path}") from error
        return container, keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOfSealedFiles:
    """The server's containers of one launch."""

    client: Client
    folder: ComputationFolder
    epoch: int | None
    progress: Progress | None = None

    def copy_result(self, output: OutputRecord, sink: IO[bytes], *, max_bytes: int) -> None:
        """Download a container."""
        path = Offers.fetch(self.client, self.folder, self.epoch).path(output)
        self.client.transport.download(
            path, sink, max_bytes=max_bytes, progress=self.progress, label=output.name
        )

    def log(self, closing: Closing, arguments: Arguments) -> tuple[bytes, bytes]:
        """Download log and keys."""
        try:
            return fetch_sealed_log(self.client, self.folder, arguments, epoch=self.epoch)
        except TransportError as error:
            if error.code is None:
                raise
            raise VerificationError("log: named by the receipt, and the server withholds it") from error


def open_named(client: Client, run: ArchivedRun, files: SealedFiles, *, to: Path | None) -> CheckGroup:
    """Open what `run` names for this participant, and return the checks of it.

    `run`'s own verdict comes first: unless all of it passed, or only a real enclave could have passed it,
    nothing is opened. Plaintexts are written to `to`, each whole or not at all, or nowhere.
    """
    anchor, closing = run.anchor, run.closing
    verdict = run.verdict
    if anchor is None or not (verdict.accepted or verdict.passed_but_simulated):
        return _unopened("the receipt was not accepted")
    if closing is None:
        return _unopened("there is no closing, so nothing says what came out")
    arguments = anchor.arguments
    own = arguments.find(Role.RESULT_CONSUMER, client.identity.public_key)
    named = _named_for(client, closing, arguments)
    opener = _Opener(client=client, anchor=anchor, files=files, to=to)
    key = opener.output_key() if named else None
    try:
        return appraise_opened(
            results=None if own is None else [opener.named(output, key) for output in named],
            bytes_out=closing.bytes_out,
            log=(lambda: opener.log(closing)) if _reads_log(client, arguments) else None,
        )
    finally:
        if key is not None:
            key.wipe()


def _unopened(because: str) -> CheckGroup:
    return appraise_opened(results=None, bytes_out=0, log=None, because=because)


def _reads_log(client: Client, arguments: Arguments) -> bool:
    if arguments.terms.logs is LogRelease.PARTICIPANTS:
        return any(person.public_key == client.identity.public_key for person in arguments.participants)
    return arguments.terms.logs is LogRelease.PUBLIC


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opener:
    """Opens the containers of one run for one participant."""

    client: Client
    anchor: ReceiptAnchor
    files: SealedFiles
    to: Path | None

    @property
    def folder(self) -> ComputationFolder:
        return ComputationFolder(self.client.home, self.anchor.arguments.computation)

    def output_key(self) -> OutputKey:
        data_key = self.folder.data_key(Role.RESULT_CONSUMER)
        try:
            return derive_output_key(
                data_key,
                box_pk=self.anchor.box_pk,
                computation=self.anchor.arguments.computation,
                consumer_pk=self.client.identity.public_key,
            )
        finally:
            data_key.wipe()

    def named(self, output: OutputRecord, key: OutputKey | None) -> NamedResult:
        return NamedResult(name=output.name, open=lambda: self._result(output, key))

    def _result(self, output: OutputRecord, key: OutputKey | None) -> int:
        if key is None:
            raise RuntimeError("results: opened without a key")
        context = Context.result(
            computation=self.anchor.arguments.computation,
            owner_pk=self.client.identity.public_key,
            box_pk=self.anchor.box_pk,
            name=output.name,
        )
        with tempfile.TemporaryFile(dir=self.folder.path) as sealed:
            most = most_sealed_bytes(self.anchor.arguments)
            self.files.copy_result(output, sealed, max_bytes=most)
            check_sealed(sealed, output)
            if self.to is None:
                with Path(os.devnull).open("wb") as nowhere:
                    return open_between(sealed, nowhere, key=key, context=context).size
            self.to.mkdir(parents=True, exist_ok=True)
            return store_result(
                result_path(self.to, output.name),
                lambda sink: open_between(sealed, sink, key=key, context=context, hashed=True),
            ).size

    def log(self, closing: Closing) -> int:
        container, keys = self.files.log(closing, self.anchor.arguments)
        text = open_sealed_log(
            container,
            keys,
            closing=closing,
            arguments=self.anchor.arguments,
            box_pk=self.anchor.box_pk,
            identity=self.client.identity,
        )
        return len(text)


def save_sealed(
    client: Client, closing: Closing, arguments: Arguments, files: SealedFiles, *, to: Path
) -> int:
    """Write the containers that `closing` names for this participant into `to`, and count them.

    Each under its digest, the keys of the log beside it: what `FolderOfSealedFiles` reads. Raises
    `VerificationError` for a result that is withheld, or not the one that is named.
    """
    to.mkdir(parents=True, exist_ok=True)
    named = _named_for(client, closing, arguments)
    for output in named:
        with (to / output.sha256.hex()).open("w+b") as sealed:
            files.copy_result(output, sealed, max_bytes=most_sealed_bytes(arguments))
            check_sealed(sealed, output)
    if closing.log_sha256 is None or not _reads_log(client, arguments):
        return len(named)
    container, keys = files.log(closing, arguments)
    (to / closing.log_sha256.hex()).write_bytes(container)
    (to / LOG_KEYS_FILE).write_bytes(keys)
    return len(named) + 1


def _named_for(client: Client, closing: Closing, arguments: Arguments) -> tuple[OutputRecord, ...]:
    own = arguments.find(Role.RESULT_CONSUMER, client.identity.public_key)
    return tuple(output for output in closing.outputs if own is not None and output.consumer == own.index)
