"""The Code Provider's program: its list, its signature, its files, checked before anything of it runs.

Clear files are kept in memory from the pass that hashed them; every container is opened to its last chunk
once. Must never execute anything, nor let a plaintext reach the host.
Spec: docs/spec/code-list.md; docs/spec/enclave-session.md, "Checked once".
"""

from __future__ import annotations

import hmac
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.sealing.context import Context
from sealroom.core.wire import spool as names
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.byte_fields import DIGEST_SIZE, SIGNATURE_SIZE, sha256
from sealroom.core.wire.code_list import (
    CLEAR_PATHS,
    MAX_CODE_LIST_BYTES,
    REQUIREMENTS,
    CodeFile,
    CodeList,
    verify_code_signature,
)
from sealroom.core.wire.delivery import RefusalReason
from sealroom.enclave.admission import Admitted
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.refusal import ComputationRefusedError
from sealroom.enclave.sealed_files import Checking, SealedFile, check_sealed_file

if TYPE_CHECKING:
    from sealroom.enclave.legacy.whole_files import WholeFile

_NO_PACKAGES = bytes(DIGEST_SIZE)
_READ_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCode:
    """All files of the program, by path: clear ones in memory, sealed ones ready to open."""

    clear: dict[str, bytes]
    sealed: dict[str, SealedFile | WholeFile]

    @property
    def paths(self) -> frozenset[str]:
        """Every path of the code list."""
        return frozenset(self.clear) | frozenset(self.sealed)

    def read(self, path: str) -> bytes:
        """Return the plaintext of the file at `path`; raises `KeyError` when the list has none."""
        if path in self.clear:
            return self.clear[path]
        with self.sealed[path].open() as reader:
            return reader.read()

    def open(self, path: str) -> io.BufferedReader:
        """Open the plaintext of the file at `path` for reading at any place, a chunk of it in memory.

        Raises `KeyError` when the list has none.
        """
        if path in self.clear:
            return io.BufferedReader(io.BytesIO(self.clear[path]))
        return io.BufferedReader(self.sealed[path].open())


def check_code(
    spool: HostFolder,
    code_folder: HostFolder,
    provider: Admitted,
    *,
    arguments: Arguments,
    checking: Checking,
) -> ProgramCode:
    """Check that the code is the one measured, that its provider signed it, and that all of it opens.

    Raises `ComputationRefusedError` with `code-signature` or `code-unreadable`.
    """
    _check_signature(spool, provider.participant.public_key, arguments)
    try:
        listed = read_code_list(spool, arguments)
        return _check_files(listed, code_folder, provider, arguments=arguments, checking=checking)
    except ComputationRefusedError:
        raise
    except (MalformedError, VerificationError) as exc:
        raise ComputationRefusedError(RefusalReason.CODE_UNREADABLE) from exc


def _check_signature(spool: HostFolder, public_key: bytes, arguments: Arguments) -> None:
    """Verify the signature over the measured digest: the list that the host offers has no say in it."""
    try:
        signature = spool.read(names.CODE_SIGNATURE, max_bytes=SIGNATURE_SIZE)
        verify_code_signature(
            public_key=public_key,
            computation=arguments.computation,
            digest=arguments.code_digest,
            signature=signature or b"",
        )
    except (MalformedError, VerificationError) as exc:
        raise ComputationRefusedError(RefusalReason.CODE_SIGNATURE) from exc


def read_code_list(spool: HostFolder, arguments: Arguments) -> CodeList:
    """Read the code list; raises `MalformedError` or `VerificationError` for any but the measured one."""
    raw = spool.read(names.CODE_LIST, max_bytes=MAX_CODE_LIST_BYTES)
    if raw is None:
        raise MalformedError("code list: missing")
    listed = CodeList.from_json(raw)
    if not hmac.compare_digest(listed.digest, arguments.code_digest):
        raise VerificationError("code list: not the measured one")
    requirements = listed.find(REQUIREMENTS)
    if (requirements.sha256 if requirements else _NO_PACKAGES) != arguments.packages_digest:
        raise VerificationError(f"{REQUIREMENTS}: not the measured one")
    return listed


def _check_files(
    listed: CodeList,
    folder: HostFolder,
    provider: Admitted,
    *,
    arguments: Arguments,
    checking: Checking,
) -> ProgramCode:
    clear: dict[str, bytes] = {}
    sealed: dict[str, SealedFile | WholeFile] = {}
    for file in listed.files:
        if file.path in CLEAR_PATHS:
            clear[file.path] = read_clear_file(folder, file)
            continue
        context = Context.code(
            computation=arguments.computation, owner_pk=provider.participant.public_key, path=file.path
        )
        found = check_sealed_file(
            folder,
            file.path,
            size=file.size,
            sha256=file.sha256,
            key=provider.keys.data_key,
            context=context,
            checking=checking,
        )
        _open_to_the_end(found, checking)
        sealed[file.path] = found
    return ProgramCode(clear=clear, sealed=sealed)


def read_clear_file(folder: HostFolder, file: CodeFile) -> bytes:
    """Read a clear file; raises `MalformedError` or `VerificationError` for any but the listed one."""
    raw = folder.read(file.path, max_bytes=file.size)
    if raw is None or not hmac.compare_digest(sha256(raw), file.sha256):
        raise VerificationError(f"{file.path}: not the file with the listed digest")
    return raw


def _open_to_the_end(file: SealedFile, checking: Checking) -> None:
    with file.open() as reader:
        while reader.read(_READ_BLOCK):
            checking.pause()
