"""What the participants of a rehearsal send: the program and the data, sealed and signed as from their homes.

Must never let anything but containers and what everybody may read reach the launch.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sealroom.client.code_archive import CodeOwner, pack_code, read_code
from sealroom.client.file_sealing import Sealed, Tell, seal_between
from sealroom.client.transport import Progress, progress_of
from sealroom.client.wheel_store import WheelStore
from sealroom.core.measurement.requirements import parse_requirements
from sealroom.core.sealing.code_signature import sign_code
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.container_streams import sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.wire import spool as names
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.rehearsal.cast import Actor, Cast
from sealroom.rehearsal.data_folder import ProviderFolder
from sealroom.server.archive import ArchiveLimits, Entry, read_archive
from sealroom.server.config import ServerLimits
from sealroom.server.launchers.base import CodeSource, WheelSource
from sealroom.server.launchers.published import PublicCode
from sealroom.server.launchers.spool_files import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCode:
    """The program as a server has it: what is public of it, and every file ready to be copied."""

    public: PublicCode
    sources: tuple[CodeSource, ...]
    packages: tuple[WheelSource, ...]


def send_code(
    program: Path, cast: Cast, wheels: WheelStore | None, work: Path, *, progress: Progress | None
) -> SentCode:
    """Pack, seal and sign the program as a client does, and take the archive apart as a server does.

    Raises what `sealroom code send` does. `wheels` has all that `requirements.txt` names. `work` is a private
    folder that outlives the launch's making.
    """
    provider = cast.code_provider
    owner = CodeOwner(
        computation=cast.computation, public_key=provider.public_key, data_key=provider.data_key
    )
    listed = pack_code(program, work / "code.tar", owner, progress=progress)
    stored = work / "code"
    with (work / "code.tar").open("rb") as archive:
        readable = read_code(archive, listed)
        archive.seek(0)
        limits = ServerLimits()
        read_archive(
            archive,
            ArchiveLimits(max_files=limits.max_code_files, max_bytes=limits.max_code_bytes),
            lambda entry, content: _store(stored, entry, content),
        )
    sources = tuple(
        CodeSource(path=file.path, sha256=file.sha256, copy_to=_Copy(stored / file.path))
        for file in listed.files
    )
    public = PublicCode(
        entry_point=readable.entry_point,
        requirements=readable.requirements,
        listed=listed,
        signature=sign_code(listed, computation=cast.computation, signing_key=provider.signing_key),
    )
    return SentCode(public=public, sources=sources, packages=_packages(readable.requirements, wheels))


def _packages(requirements: bytes | None, wheels: WheelStore | None) -> tuple[WheelSource, ...]:
    named = parse_requirements(requirements or b"")
    if wheels is None:
        if named:
            raise ValueError("rehearsal: the program names packages, and there is no store of wheels")
        return ()
    return tuple(WheelSource(requirement=each, open=partial(wheels.open, each.sha256)) for each in named)


def send_inputs(
    provider: ProviderFolder, actor: Actor, cast: Cast, spool: Spool, *, progress: Progress | None
) -> bytes:
    """Seal the files of a Data Provider into the spool, in their order, and return the commitment."""
    index, sent = actor.participant.index, list[InputFile]()
    for number, path in enumerate(provider.files):
        context = Context.input(computation=cast.computation, owner_pk=actor.public_key, name=path.name)
        label = f"sealing {provider.name}/{path.name}"
        with path.open("rb") as plain:
            sealing = _Sealing(plain, actor, context, progress_of(progress, label))
            spool.write_from(names.input_name(index, number), sealing)
        sent.append(sealing.file(path.name))
    listed = InputList(files=tuple(sent))
    spool.write(names.input_list_name(index), listed.to_json())
    return input_commitment(listed, computation=cast.computation, sender_pk=actor.public_key)


class _Sealing:
    """Fills a file of the spool with one sealed input, and knows then what the list says of it."""

    def __init__(self, source: BinaryIO, actor: Actor, context: Context, tell: Tell | None) -> None:
        self._source = source
        self._actor = actor
        self._context = context
        self._tell = tell
        self._sealed: Sealed | None = None

    def __call__(self, file: BinaryIO) -> None:
        self._sealed = seal_between(
            self._source, file, key=self._actor.data_key, context=self._context, tell=self._tell, hashed=True
        )

    def file(self, name: str) -> InputFile:
        """Return the input's entry in its provider's list."""
        if self._sealed is None:
            raise RuntimeError("input: not sealed yet")
        size = sealed_size(self._sealed.plain_size)
        return InputFile(name=name, size=size, sha256=self._sealed.sealed_sha256)


@dataclass(frozen=True, slots=True)
class _Copy:
    """Copies one stored file to where a launcher wants it."""

    source: Path

    def __call__(self, target: Path) -> None:
        shutil.copyfile(self.source, target)


def _store(folder: Path, entry: Entry, content: Iterator[bytes]) -> None:
    # The path was checked by the reader of the archive.
    place = folder / entry.path
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with place.open("xb") as file:
        for chunk in content:
            file.write(chunk)
