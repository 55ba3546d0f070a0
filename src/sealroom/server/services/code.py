"""The Code Provider's program: checked, taken apart into blobs, given out again.

Everything but run.py and requirements.txt is sealed; the server cannot read it and does not try.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from sqlalchemy.orm import Session

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import REQUIREMENTS, CodeFile, CodeList, verify_code_signature
from sealroom.core.wire.terms import ENTRY
from sealroom.server.archive import END_OF_ARCHIVE, ArchiveLimits, Entry, padding, read_archive, write_header
from sealroom.server.blobs import Blob, BlobStore
from sealroom.server.config import ServerLimits
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import change, find_participant, who_is
from sealroom.server.platform import Platform
from sealroom.server.schema import Account, CodeFileRow, CodeVersion, ComputationRow
from sealroom.server.services import launches
from sealroom.server.services.wheels import read_requirements, stored_wheels
from sealroom.server.states import Actor, Cause

_NO_PACKAGES = bytes(32)
_CHUNK = 256 * 1024
_MAX_CLEAR_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedCode:
    """An archive taken apart: its list, each file's blob in the list's order, and the packages it names."""

    code_list: CodeList
    blobs: tuple[Blob, ...]
    packages_digest: bytes
    requirements: tuple[Requirement, ...]


def unpack(source: BinaryIO, blobs: BlobStore, limits: ServerLimits) -> UnpackedCode:
    """Take an archive apart into blobs; what is not right is refused, typed, and leaves nothing behind."""
    stored: dict[str, Blob] = {}
    try:
        _unpack_into(stored, source, blobs, limits)
        if ENTRY not in stored:
            raise ServiceError(ErrorCode.ENTRY_MISSING, f"the archive has no {ENTRY} at its top")
        requirements = blobs.read(stored[REQUIREMENTS].name) if REQUIREMENTS in stored else None
        named = read_requirements(requirements or b"")
        files = tuple(
            CodeFile(path=path, size=blob.size, sha256=blob.sha256) for path, blob in stored.items()
        )
        code_list = CodeList.from_files(files)
    except (MalformedError, ServiceError) as exc:
        for blob in stored.values():
            blobs.delete(blob.name)
        if isinstance(exc, MalformedError):
            raise ServiceError(ErrorCode.ARCHIVE, str(exc)) from exc
        raise
    return UnpackedCode(
        code_list=code_list,
        blobs=tuple(stored[file.path] for file in code_list.files),
        packages_digest=_NO_PACKAGES if requirements is None else sha256(requirements),
        requirements=named,
    )


def check_sender(computation: ComputationRow, account: Account) -> None:
    """Refuse, before anything is read, an account that may not send code or has no key here yet."""
    participant = find_participant(computation, account, Actor.CODE_PROVIDER)
    if participant.public_key is None:
        raise ServiceError(ErrorCode.NOT_REGISTERED, "register your public key as the code provider first")


def add_code(
    session: Session,
    platform: Platform,
    computation: ComputationRow,
    account: Account,
    unpacked: UnpackedCode,
    signature: bytes,
    *,
    now: datetime,
) -> CodeVersion:
    """Take signed code as the computation's newest version; a waiting enclave with older code is ended.

    Every wheel that it names is here, whole; that they keep the rules was checked by the caller before.
    """
    check_sender(computation, account)
    stored_wheels(computation, unpacked.requirements)
    digest = unpacked.code_list.digest
    _check_signature(computation, account, digest, signature)
    if computation.codes and computation.codes[-1].digest == digest:
        return computation.codes[-1]
    who = who_is(computation, account)
    version = len(computation.codes) + 1
    change(session, computation, Cause.CODE_SENT, who, now=now, code=digest.hex(), version=version)
    code = CodeVersion(
        version=version,
        digest=digest,
        packages_digest=unpacked.packages_digest,
        signature=signature,
        sent_at=now,
        files=[
            CodeFileRow(place=place, path=file.path, size=file.size, sha256=file.sha256, blob=blob.name)
            for place, (file, blob) in enumerate(zip(unpacked.code_list.files, unpacked.blobs, strict=True))
        ],
    )
    computation.codes.append(code)
    session.flush()
    launches.ask_for_new_code(computation, who, now=now)
    launches.plan_if_ready(session, platform, computation, now=now)
    return code


def newest_code(computation: ComputationRow) -> CodeVersion:
    """Return the version that the next launch takes, or refuse when there is none yet."""
    if not computation.codes:
        raise ServiceError(ErrorCode.NO_CODE, "the code provider has not sent the program yet")
    return computation.codes[-1]


def code_list(code: CodeVersion) -> CodeList:
    """Return a version's signed list."""
    return CodeList(
        files=tuple(CodeFile(path=row.path, size=row.size, sha256=row.sha256) for row in code.files)
    )


def stream_archive(code: CodeVersion, blobs: BlobStore) -> Iterator[bytes]:
    """Yield a version as a tar: its files in the list's order, without times or owners."""
    for row in code.files:
        yield write_header(row.path, row.size)
        with blobs.open(row.blob) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield padding(row.size)
    yield END_OF_ARCHIVE


def _unpack_into(stored: dict[str, Blob], source: BinaryIO, blobs: BlobStore, limits: ServerLimits) -> None:
    def store(entry: Entry, contents: Iterator[bytes]) -> None:
        if entry.path in (ENTRY, REQUIREMENTS) and entry.size > _MAX_CLEAR_BYTES:
            raise MalformedError(
                f"archive: {entry.path} has {entry.size} bytes, expected at most {_MAX_CLEAR_BYTES}"
            )
        with blobs.create() as writer:
            for chunk in contents:
                writer.write(chunk)
            stored[entry.path] = writer.commit()

    read_archive(
        source, ArchiveLimits(max_files=limits.max_code_files, max_bytes=limits.max_code_bytes), store
    )


def _check_signature(computation: ComputationRow, account: Account, digest: bytes, signature: bytes) -> None:
    public_key = find_participant(computation, account, Actor.CODE_PROVIDER).public_key or b""
    try:
        verify_code_signature(
            public_key=public_key, computation=UUID(computation.uuid), digest=digest, signature=signature
        )
    except VerificationError as exc:
        raise ServiceError(
            ErrorCode.CODE_SIGNATURE,
            "the signature is not by the code provider's registered key over this archive's list",
            expected=digest.hex(),
        ) from exc
