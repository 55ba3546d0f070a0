"""Making the package of a service, and opening one with its key.

The same project and key make the same file, byte for byte, on every machine. Must never: write a file of the
code in the clear, or take a salt from anywhere but key, context and plaintext.
Spec: docs/spec/service-package.md, "The file".
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from sealroom.client.private_files import naming, placing, replacing
from sealroom.client.service.project import Project
from sealroom.client.service.stack import check_stack
from sealroom.client.source_tree import open_source
from sealroom.client.transport import Progress
from sealroom.core.errors import MalformedError, SealroomError
from sealroom.core.measurement.requirements import parse_requirements
from sealroom.core.measurement.service_config import ServiceConfig
from sealroom.core.measurement.service_package import (
    CONFIG,
    MAX_PACKAGE_BYTES,
    TESTS_FOLDER,
    ServicePackage,
    end_of_package,
    member_header,
    padding,
    read_member,
    read_package,
)
from sealroom.core.sealing.container_streams import open_bytes, seal_bytes_reproducibly
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.service_key import CodeKey, service_id
from sealroom.core.wire.code_list import REQUIREMENTS, SERVICE_FOLDER
from sealroom.core.wire.service_arguments import Interface

_CLEAR = (CONFIG, REQUIREMENTS)


class NotLockedError(SealroomError):
    """The project has no `requirements.txt`, without which no enclave can serve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What was packed, and the application that it is of."""

    service: UUID
    package: ServicePackage


def pack(
    project: Project, key: CodeKey, target: Path, *, interface: Interface, progress: Progress | None = None
) -> Packed:
    """Write the package of `project` to `target`.

    `interface` is what the application was found to have, and is written into the package's configuration
    where the project's does not say it. Raises `MalformedError` for what no enclave could run, and
    `NotLockedError`; nothing is at `target` then.
    """
    requirements = locked_requirements(project)
    clear = {CONFIG: complete_config(project, interface), REQUIREMENTS: requirements}
    sealed = [f"{SERVICE_FOLDER}{path}" for path in project.source_files()]
    sealed += [f"{TESTS_FOLDER}{path}" for path in project.test_files()]
    paths = sorted((*clear, *sealed), key=lambda path: path.encode())
    service = service_id(key, project.config.name)
    with ExitStack() as opened:
        with naming(target):
            archive = opened.enter_context(tempfile.TemporaryFile(dir=target.parent))
        for done, path in enumerate(paths):
            content = clear[path] if path in clear else _sealed(project.folder / path, path, key, service)
            for part in (member_header(path, len(content)), content, padding(len(content))):
                archive.write(part)
            if progress:
                progress(path, done + 1, len(paths))
        archive.write(end_of_package())
        # Whatever a reader would refuse is refused here, where it can still be mended.
        package = read_package(archive)
        archive.seek(0)
        with replacing(target, mode=0o644) as sink:
            shutil.copyfileobj(archive, sink)
    return Packed(service=service, package=package)


def locked_requirements(project: Project) -> bytes:
    """Return `requirements.txt` as it travels; raises `NotLockedError` or `MalformedError`."""
    requirements = project.requirements()
    if requirements is None:
        raise NotLockedError(f"project: {REQUIREMENTS} is missing in {project.folder}")
    check_stack(parse_requirements(requirements))
    return requirements


def complete_config(project: Project, interface: Interface) -> bytes:
    """Return the configuration as it travels: the project's, and how the application is called."""
    if project.config.interface is not None:
        if project.config.interface is not interface:
            raise MalformedError(
                f"{CONFIG}: interface is {project.config.interface.value}, not {interface.value}"
            )
        return project.raw_config
    # A line of its own at the end: there are no tables that it could fall into.
    separator = b"" if project.raw_config.endswith(b"\n") else b"\n"
    raw = project.raw_config + separator + f'interface = "{interface.value}"\n'.encode("ascii")
    ServiceConfig.from_toml(raw)
    return raw


def unpack(package: IO[bytes], key: CodeKey, folder: Path, *, progress: Progress | None = None) -> Packed:
    """Write what is in `package`, opened, into the new folder `folder`.

    Raises `FileExistsError` where the folder is there, `VerificationError` for another key or a package that
    was altered; nothing of it is left then.
    """
    read = read_package(package)
    service = service_id(key, read.config.name)
    with _new_folder(folder):
        _write_members(package, read, key, service, folder, progress)
    return Packed(service=service, package=read)


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make `folder` and its missing parents; where the block fails, remove what was made."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    folder.mkdir(parents=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        # Of somebody else's, a folder is not empty.
        with suppress(OSError):
            for parent in missing:
                parent.rmdir()
        raise


def _write_members(
    package: IO[bytes],
    read: ServicePackage,
    key: CodeKey,
    service: UUID,
    folder: Path,
    progress: Progress | None,
) -> None:
    for done, member in enumerate(read.members):
        content = b"".join(read_member(package, member))
        if member.path not in _CLEAR:
            content = open_bytes(content, key=key, context=Context.service(service=service, path=member.path))
        place = folder / member.path
        place.parent.mkdir(parents=True, exist_ok=True)
        with placing(place) as file:
            file.write(content)
        if progress:
            progress(member.path, done + 1, len(read.members))


def _sealed(source: Path, path: str, key: CodeKey, service: UUID) -> bytes:
    with open_source(source, what="project") as file:
        plain = file.read(MAX_PACKAGE_BYTES + 1)
    if len(plain) > MAX_PACKAGE_BYTES:
        raise MalformedError(f"project: {path} is larger than {MAX_PACKAGE_BYTES} bytes")
    return seal_bytes_reproducibly(plain, key=key, context=Context.service(service=service, path=path))
