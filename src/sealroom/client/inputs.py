"""Sealing a Data Provider's files at home, uploading them resumably, and fixing the commitment.

Constant memory for any size. Must never: upload a byte that was not sealed, upload before the journal knows
what, or say done before the commitment is recorded.
Spec: docs/spec/input-list.md, docs/spec/commitment.md, docs/spec/container.md.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from sealroom.client.file_sealing import seal_between
from sealroom.client.journal import Journal
from sealroom.client.json_values import JsonObject
from sealroom.client.private_files import read_bounded, replacing, write_private
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import STREAM_BYTES, FileBody, Progress, Request, Transport, progress_of
from sealroom.core.errors import MalformedError, TransportError, VerificationError
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.container_streams import sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.wire.input_list import InputFile
from sealroom.core.wire.names import check_file_name
from sealroom.core.wire.participants import Role

_ATTEMPTS_WITHOUT_PROGRESS = 6
_MAX_NOTE_BYTES = 4096
# The coarsest clock of a file system that people use: FAT's.
_CLOCK_DOUBT_NS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSender:
    """Everything that sending one participant's inputs of one computation needs."""

    transport: Transport
    journal: Journal
    folder: ComputationFolder
    public_key: bytes

    @property
    def computation(self) -> UUID:
        """The computation's UUID."""
        return self.folder.computation

    def send(self, path: Path, *, name: str | None = None, progress: Progress | None = None) -> InputFile:
        """Seal one file and upload it, going on where an interrupted attempt stopped.

        A second file under the same name takes the first one's place, until the list is final.
        """
        name = path.name if name is None else name
        check_file_name(name, field="input name")
        if self.journal.commitment(self.computation) is not None:
            return self._committed(path, name, progress)
        sealed = self._sealed(path, name, progress)
        known = {file.name: file for file in self.journal.uploads(self.computation).files}.get(name)
        if known != sealed:
            self._drop_remote(name)
            self.journal.note_upload(self.computation, sealed)
        self._upload(sealed, progress)
        return sealed

    def remove(self, name: str) -> None:
        """Take a file back, here and at the server."""
        self.journal.forget_upload(self.computation, name)
        self._drop_remote(name)
        self._drop_staged(name)

    def done(self, *, progress: Progress | None = None) -> bytes:
        """Fix the list of inputs as it is, tell the server, and return the commitment.

        Unfinished uploads are finished first. No files at all is a list, too. Afterwards the list is final.
        """
        inputs = self.journal.uploads(self.computation)
        if self.journal.commitment(self.computation) is None:
            for file in inputs.files:
                self._upload(file, progress)
        commitment = input_commitment(inputs, computation=self.computation, sender_pk=self.public_key)
        self.journal.note_commitment(self.computation, commitment, inputs)
        body = {"files": [{"name": f.name, "size": f.size, "sha256": f.sha256.hex()} for f in inputs.files]}
        self.transport.post_json(f"/computations/{self.computation}/data/done", body)
        for file in inputs.files:
            self._drop_staged(file.name)
        return commitment

    def _committed(self, path: Path, name: str, progress: Progress | None) -> InputFile:
        """Return a file of the final list that is sent again before `done` went through; refuse any other."""
        with _open_input(path) as source:
            staged = self._staged(name, source, progress)
        if staged is None or staged not in self.journal.uploads(self.computation).files:
            raise VerificationError("inputs: the list was said to be done, and is final")
        return staged

    def _sealed(self, path: Path, name: str, progress: Progress | None) -> InputFile:
        """Return the staged container of `path`, sealing it unless just that content is staged already."""
        with _open_input(path) as source:
            return self._staged(name, source, progress) or self._seal(source, name, progress)

    def _seal(self, source: BinaryIO, name: str, progress: Progress | None) -> InputFile:
        """Seal and hash in one pass over the file, which must not change meanwhile."""
        context = Context.input(computation=self.computation, owner_pk=self.public_key, name=name)
        key = self.folder.data_key(Role.DATA_PROVIDER)
        target = self.folder.sealed_input(name)
        tell = progress_of(progress, f"sealing {name}")
        before = _Version.of(source)
        try:
            with replacing(target) as sink:
                sealed = seal_between(source, sink, key=key, context=context, tell=tell, hashed=True)
                if not before.still_of(source) or (
                    before.may_hide_a_change
                    and _digest(source, f"reading {name}", progress) != sealed.plain_sha256
                ):
                    raise VerificationError(f"input {name}: changed while it was sealed; send it again")
        finally:
            key.wipe()
        file = InputFile(name=name, size=sealed_size(sealed.plain_size), sha256=sealed.sealed_sha256)
        note = {
            "plain_sha256": sealed.plain_sha256.hex(),
            "sha256": file.sha256.hex(),
            "size": file.size,
        }
        write_private(target.with_suffix(".json"), json.dumps(note, sort_keys=True).encode())
        return file

    def _staged(self, name: str, source: BinaryIO, progress: Progress | None) -> InputFile | None:
        """Return what is staged under `name`, if it is the container of just what `source` holds."""
        target = self.folder.sealed_input(name)
        try:
            raw = read_bounded(target.with_suffix(".json"), max_bytes=_MAX_NOTE_BYTES, what="staging note")
        except FileNotFoundError:
            return None
        # The note is written after the file, and a new file is under its name before a new note.
        if not target.exists():
            return None
        note = JsonObject.from_bytes(raw, what="staging note")
        file = InputFile(name=name, size=note.number("size"), sha256=note.hexadecimal("sha256", length=32))
        if _digest(source, f"reading {name}", progress) != note.hexadecimal("plain_sha256", length=32):
            return None
        with target.open("rb") as sealed:
            intact = hashlib.file_digest(sealed, "sha256").digest() == file.sha256
        return file if intact else None

    def _upload(self, file: InputFile, progress: Progress | None) -> None:
        """Upload a staged container from where the server stands; raises `TransportError` when stuck."""
        state = self._announce(file)
        path = self.folder.sealed_input(file.name)
        stuck = 0
        while not state.completed:
            if not path.exists():
                raise MalformedError(f"input {file.name}: its sealed form is gone; send the file again")
            try:
                self._put(
                    state.upload,
                    FileBody(path=path, offset=state.received, progress=progress, label=file.name),
                )
            except TransportError as error:
                if error.code not in (None, "upload_offset", "upload_busy"):
                    raise
                if stuck >= _ATTEMPTS_WITHOUT_PROGRESS:
                    raise
            before, state = state, self._state(state.upload)
            stuck = 0 if state.received > before.received else stuck + 1
            if stuck > _ATTEMPTS_WITHOUT_PROGRESS:
                raise TransportError(f"input {file.name}: the server takes no more of it")
        if progress:
            progress(file.name, file.size, file.size)

    def _announce(self, file: InputFile) -> "_Upload":
        answer = self.transport.post_json(
            f"/computations/{self.computation}/data",
            {"name": file.name, "size": file.size, "sha256": file.sha256.hex()},
        )
        return _Upload.parse(answer)

    def _put(self, upload: str, body: FileBody) -> None:
        self.transport.send(
            Request(
                method="PUT",
                path=f"/computations/{self.computation}/data/{upload}",
                params={"offset": body.offset},
                content=body,
                retry=False,
                patient=True,
            )
        )

    def _state(self, upload: str) -> "_Upload":
        return _Upload.parse(self.transport.get_json(f"/computations/{self.computation}/data/{upload}"))

    def _drop_remote(self, name: str) -> None:
        """Delete this participant's upload under a name, whatever it holds; nothing is fine too."""
        data = self.transport.get_json(f"/computations/{self.computation}/data")
        for provider in data.items("providers"):
            if provider.optional("uploads", provider.items) is None:
                continue  # another provider's: their uploads are not shown
            for upload in provider.items("uploads"):
                if upload.text("name") == name:
                    where = f"/computations/{self.computation}/data/{_upload_name(upload.text('upload'))}"
                    self.transport.send(Request(method="DELETE", path=where))

    def _drop_staged(self, name: str) -> None:
        target = self.folder.sealed_input(name)
        for path in (target.with_suffix(".json"), target):
            with suppress(FileNotFoundError):
                path.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upload:
    """How far an upload is at the server."""

    upload: str
    received: int
    completed: bool

    @classmethod
    def parse(cls, value: JsonObject) -> "_Upload":
        return cls(
            upload=_upload_name(value.text("upload")),
            received=value.number("received"),
            completed=value.flag("completed"),
        )


@dataclass(frozen=True, slots=True)
class _Version:
    """What the system says of a file's content without reading it: its length, and when it changed last."""

    size: int
    changed_ns: int
    inode_changed_ns: int

    @classmethod
    def of(cls, source: BinaryIO) -> "_Version":
        found = os.fstat(source.fileno())
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def still_of(self, source: BinaryIO) -> bool:
        return self == _Version.of(source)

    @property
    def may_hide_a_change(self) -> bool:
        """Whether the file changed so shortly ago that the clock may give another change the same time."""
        return time.time_ns() - max(self.changed_ns, self.inode_changed_ns) < _CLOCK_DOUBT_NS


def _open_input(path: Path) -> BinaryIO:
    if not path.is_file():
        raise MalformedError(f"input {path}: not a file")
    try:
        return path.open("rb")
    except OSError as error:
        raise MalformedError(f"input {path}: cannot be read: {error.strerror}") from error


def _digest(source: BinaryIO, label: str, progress: Progress | None) -> bytes:
    digest, done, total = hashlib.sha256(), 0, os.fstat(source.fileno()).st_size
    source.seek(0)
    while chunk := source.read(STREAM_BYTES):
        digest.update(chunk)
        done += len(chunk)
        if progress:
            progress(label, done, max(total, done))
    source.seek(0)
    return digest.digest()


def _upload_name(text: str) -> str:
    # It becomes part of an address, so it must not be able to lead to another one.
    if not 1 <= len(text) <= 128 or not text.isascii() or not text.replace("-", "").isalnum():
        raise MalformedError("upload: the server's name for it is not one")
    return text
