"""The code archive: what a Code Provider sends, and what everybody else gets to read of it.

Every file but `run.py` and `requirements.txt` leaves home as a container under its own path. Must never: send
another file in the clear, follow a link out of the folder, or show a file that is not in the signed list.
Spec: docs/spec/code-list.md, docs/spec/container.md.
"""

import hashlib
import os
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO
from uuid import UUID

from sealroom.client.private_files import replacing
from sealroom.client.source_tree import check_importable, open_source, walk_files
from sealroom.client.transport import STREAM_BYTES, Progress
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.sealing.container_streams import seal_stream, sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.bundle import MAX_SOURCE_BYTES
from sealroom.core.wire.code_list import CLEAR_PATHS, REQUIREMENTS, CodeFile, CodeList
from sealroom.core.wire.terms import ENTRY

MAX_ARCHIVE_BYTES = 1024 * 1024 * 1024
# What `sealroom lock` reads: what runs is pinned in requirements.txt.
_IGNORED_FILES = frozenset({"requirements.in"})
_WHAT = "code folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOwner:
    """Whose code it is: the computation, the provider's public key and data key."""

    computation: UUID
    public_key: bytes
    data_key: DataKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCode:
    """The readable part of a code archive, each file equal to its entry in `files`."""

    files: CodeList
    entry_point: bytes
    requirements: bytes | None


def find_code_files(folder: Path) -> tuple[str, ...]:
    """Return the relative paths of the files that would be sent, sorted.

    Hidden files, `__pycache__`, `.pyc` files and `requirements.in` are left out. Raises `MalformedError` for
    a link, for anything that is neither file nor folder, for a name outside the format, for native code, for
    a name that the enclave keeps to itself, for another form of `requirements.txt` than the one there is, and
    when `run.py` is missing.
    """
    if not folder.is_dir():
        raise MalformedError(f"code folder: {folder} is not a folder")
    walked = walk_files(folder, what=_WHAT, ignore=lambda path, _: path in _IGNORED_FILES)
    found = sorted(walked, key=lambda path: path.encode())
    if ENTRY not in found:
        raise MalformedError(f"code folder: {ENTRY} is missing: it runs first, and everybody reads it")
    for path in found:
        check_importable(path, what=_WHAT)
    if REQUIREMENTS in found:
        read_requirements(folder)
    return tuple(found)


def read_requirements(folder: Path) -> tuple[Requirement, ...]:
    """Return the packages that the program in `folder` names; raises `MalformedError`."""
    path = folder / REQUIREMENTS
    return parse_requirements(_read_source(path)) if os.path.lexists(path) else ()


def pack_code(folder: Path, target: Path, owner: CodeOwner, *, progress: Progress | None = None) -> CodeList:
    """Write the archive of `folder` to `target` and return its list."""
    paths = find_code_files(folder)
    listed: list[CodeFile] = []
    with (
        replacing(target) as sink,
        tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for done, path in enumerate(paths):
            listed.append(_add_file(archive, folder / path, path, owner, target.parent))
            if progress:
                progress(path, done + 1, len(paths))
    return CodeList.from_files(tuple(listed))


def read_code(archive: IO[bytes], files: CodeList) -> OpenCode:
    """Read an archive that a server handed out, and demand that it is exactly `files`.

    Raises `VerificationError` for a missing, added or changed file, `MalformedError` for what is no archive.
    """
    clear: dict[str, bytes] = {}
    missing = {file.path: file for file in files.files}
    try:
        with tarfile.open(fileobj=archive, mode="r:") as members:
            for member in members:
                listed = missing.pop(member.name, None)
                if listed is None or not member.isreg() or member.size != listed.size:
                    raise VerificationError("code archive: holds something that is not in the signed list")
                content = members.extractfile(member)
                if content is None:
                    raise MalformedError("code archive: a file has no content")
                kept = _check_file(content, listed)
                if kept is not None:
                    clear[listed.path] = kept
    except (tarfile.TarError, EOFError, OverflowError, ValueError, UnicodeError) as error:
        raise MalformedError("code archive: not a plain tar file") from error
    if missing:
        raise VerificationError(f"code archive: {len(missing)} files of the signed list are not in it")
    return OpenCode(files=files, entry_point=clear[ENTRY], requirements=clear.get(REQUIREMENTS))


def _add_file(
    archive: tarfile.TarFile, source: Path, path: str, owner: CodeOwner, temporary: Path
) -> CodeFile:
    if path in CLEAR_PATHS:
        return _add_clear(archive, path, _read_source(source))
    context = Context.code(computation=owner.computation, owner_pk=owner.public_key, path=path)
    with open_source(source, what=_WHAT) as plain, tempfile.TemporaryFile(dir=temporary) as sealed:
        size = os.fstat(plain.fileno()).st_size
        sealed_bytes = seal_stream(plain, sealed, key=owner.data_key, context=context)
        if sealed_bytes != size:
            raise MalformedError(f"code folder: {path} changed while it was read")
        sealed.seek(0)
        digest = hashlib.file_digest(sealed, "sha256").digest()
        sealed.seek(0)
        archive.addfile(_tar_info(path, sealed_size(size)), sealed)
    return CodeFile(path=path, size=sealed_size(size), sha256=digest)


def _add_clear(archive: tarfile.TarFile, path: str, content: bytes) -> CodeFile:
    archive.addfile(_tar_info(path, len(content)), BytesIO(content))
    return CodeFile(path=path, size=len(content), sha256=hashlib.sha256(content).digest())


def _tar_info(path: str, size: int) -> tarfile.TarInfo:
    # Nothing of this machine: no owner, no times, no modes but the plainest.
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info


def _read_source(path: Path) -> bytes:
    with open_source(path, what=_WHAT) as file:
        content = file.read(MAX_SOURCE_BYTES + 1)
    if len(content) > MAX_SOURCE_BYTES:
        raise MalformedError(f"code folder: {path.name} is larger than {MAX_SOURCE_BYTES} bytes")
    return content


def _check_file(content: IO[bytes], listed: CodeFile) -> bytes | None:
    keep = listed.path in CLEAR_PATHS
    if keep and listed.size > MAX_SOURCE_BYTES:
        raise MalformedError(f"code archive: {listed.path} is larger than {MAX_SOURCE_BYTES} bytes")
    digest, kept = hashlib.sha256(), bytearray()
    while chunk := content.read(STREAM_BYTES):
        digest.update(chunk)
        if keep:
            kept += chunk
    if digest.digest() != listed.sha256:
        raise VerificationError(f"code archive: {listed.path} is not the file of the signed list")
    return bytes(kept) if keep else None
