"""One folder for each computation: its invitation, data keys, evidence, receipts, sealed files and results.

Must never: make a second data key for a role, overwrite a receipt by another one, or name a file after what a
server sent without checking it.
Spec: docs/spec/journal.md (what is recorded) and docs/spec/invitation.md.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sealroom.client.home import Home
from sealroom.client.json_values import JsonObject
from sealroom.client.private_files import make_private_folder, read_bounded, write_private
from sealroom.client.transport import ServerAddress
from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.sealing.invitation import (
    MAX_FILE_SIZE,
    Invitation,
    InvitationFile,
    format_invitation,
    format_invitation_file,
    parse_invitation,
)
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.bundle import MAX_BUNDLE_BYTES
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt_file import MAX_RECEIPT_BYTES

_MAX_SERVER_BYTES = 4096


class UnknownComputationError(SealroomError):
    """The home has no folder of the computation: it was never joined or made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedComputation:
    """What the invitation said: the computation, its words, and where its server is."""

    invitation: Invitation
    server: ServerAddress

    @property
    def computation(self) -> UUID:
        """The computation's UUID."""
        return self.invitation.computation

    def file(self) -> bytes | None:
        """Return the invitation's file form, or `None` when the server's certificate is not pinned."""
        if self.server.certificate_sha256 is None:
            return None
        return format_invitation_file(
            InvitationFile(
                invitation=self.invitation,
                server=self.server.origin,
                server_cert_sha256=self.server.certificate_sha256,
            )
        )


class ComputationFolder:
    """The folder of one computation in one home."""

    def __init__(self, home: Home, computation: UUID) -> None:
        self._home = home
        self.computation = computation
        self.path = home.computation(computation)

    def save(self, joined: JoinedComputation) -> None:
        """Store the invitation and the server's address, making the folder."""
        make_private_folder(self._home.computations)
        make_private_folder(self.path)
        pin = joined.server.certificate_sha256
        server = {"certificate_sha256": pin.hex() if pin else None, "url": joined.server.origin}
        write_private(self.path / "server.json", json.dumps(server, sort_keys=True).encode() + b"\n")
        write_private(self.path / "invitation.txt", format_invitation(joined.invitation).encode() + b"\n")

    def load(self) -> JoinedComputation:
        """Read what `save` stored; raises `UnknownComputationError` when there is nothing."""
        try:
            line = read_bounded(self.path / "invitation.txt", max_bytes=MAX_FILE_SIZE, what="invitation")
            server = read_bounded(self.path / "server.json", max_bytes=_MAX_SERVER_BYTES, what="server file")
        except FileNotFoundError as error:
            raise UnknownComputationError(
                f"computation {self.computation}: not joined from {self._home.root}"
            ) from error
        try:
            invitation = parse_invitation(line.decode("ascii").removesuffix("\n"))
        except UnicodeDecodeError as error:
            raise MalformedError("invitation: not ASCII") from error
        return JoinedComputation(invitation=invitation, server=_parse_server(server))

    def discard(self) -> None:
        """Remove the invitation again, because the server did not take the computation."""
        shutil.rmtree(self.path, ignore_errors=True)

    def data_key(self, role: Role) -> DataKey:
        """Return this participant's data key for a role, made and stored when first asked for."""
        path = self.path / f"data-key-{role.value}"
        with self._home.lock():
            try:
                raw = read_bounded(path, max_bytes=DataKey.SIZE, what=f"data key of {role.value}")
            except FileNotFoundError:
                key = DataKey.generate()
                write_private(path, key.reveal())
                return key
        if len(raw) != DataKey.SIZE:
            raise MalformedError(f"data key of {role.value}: expected {DataKey.SIZE} bytes, got {len(raw)}")
        return DataKey.from_bytes(bytearray(raw))

    def save_evidence(self, mrenclave: bytes, bundle: bytes) -> Path:
        """Archive an evidence bundle under the measurement that was verified from it."""
        path = self._below("evidence") / f"{mrenclave.hex()}.json"
        write_private(path, bundle)
        return path

    def evidence(self, mrenclave: bytes) -> bytes | None:
        """Return the archived bundle of an enclave."""
        path = self.path / "evidence" / f"{mrenclave.hex()}.json"
        return _read_if_there(path, max_bytes=MAX_BUNDLE_BYTES, what="evidence bundle")

    def save_receipt(self, mrenclave: bytes, receipt: bytes) -> Path:
        """Archive a verified receipt; one with a closing replaces one without, and nothing else does."""
        path = self._below("receipts") / f"{mrenclave.hex()}.json"
        write_private(path, receipt)
        return path

    def receipt(self, mrenclave: bytes) -> bytes | None:
        """Return the archived receipt of an enclave."""
        path = self.path / "receipts" / f"{mrenclave.hex()}.json"
        return _read_if_there(path, max_bytes=MAX_RECEIPT_BYTES, what="receipt")

    def sealed_input(self, name: str) -> Path:
        """Return where the sealed form of an input stands until the list is done."""
        # Hashed: a name that the protocol allows need not be one that the file system does.
        return self._below("sealed") / hashlib.sha256(name.encode()).hexdigest()

    @property
    def code_archive(self) -> Path:
        """Where the tar of the code stands while it is sent."""
        return self.path / "code.tar"

    def results(self, mrenclave: bytes) -> Path:
        """Return the folder of the opened results of one enclave."""
        return self._below("results") / mrenclave.hex()[:16]

    def _below(self, name: str) -> Path:
        folder = self.path / name
        make_private_folder(folder)
        return folder


def _parse_server(raw: bytes) -> ServerAddress:
    value = JsonObject.from_bytes(raw, what="server file")
    value.check_names("certificate_sha256", "url")
    pin = value.optional("certificate_sha256", lambda name: value.hexadecimal(name, length=32))
    try:
        return ServerAddress(url=value.text("url"), certificate_sha256=pin)
    except ValueError as error:
        raise MalformedError("server file: url is not an https address") from error


def _read_if_there(path: Path, *, max_bytes: int, what: str) -> bytes | None:
    try:
        return read_bounded(path, max_bytes=max_bytes, what=what)
    except FileNotFoundError:
        return None
