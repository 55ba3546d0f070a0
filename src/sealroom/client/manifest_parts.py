"""The parts of a computation's manifest, from files: arguments, code as it was sent, packages.

What for: whoever operates, audits or takes part can make the manifest themselves and compare.

Must never: build from parts that do not belong together. A code list or `requirements.txt` of another
computation is refused. Spec: docs/spec/manifest.md, "Building one by hand".
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.evidence.rebuild import rebuild_manifest
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.packages import Wheels, package_files
from sealroom.core.measurement.platform_tags import platform_of_runtime
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.bundle import MAX_SOURCE_BYTES, EvidenceBundle
from sealroom.core.wire.code_list import REQUIREMENTS, CodeFile, CodeList

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestParts:
    """What everybody agreed to. Cannot exist but with the code and the packages that `arguments` name."""

    arguments: Arguments
    code_list: CodeList
    requirements: bytes | None

    def __post_init__(self) -> None:
        if self.code_list.digest != self.arguments.code_digest:
            raise VerificationError(
                f"code: its list has the digest {self.code_list.digest.hex()}, "
                f"the arguments name {self.arguments.code_digest.hex()}"
            )
        listed = self.code_list.find(REQUIREMENTS)
        raw = self.requirements
        digest = bytes(32) if raw is None else hashlib.sha256(raw).digest()
        if (bytes(32) if listed is None else listed.sha256) != digest:
            raise VerificationError(f"{REQUIREMENTS}: not the one in the code's list")
        if self.arguments.packages_digest != digest:
            raise VerificationError(
                f"{REQUIREMENTS}: sha256 {digest.hex()}, "
                f"the arguments name {self.arguments.packages_digest.hex()}"
            )

    @property
    def packages(self) -> tuple[Requirement, ...]:
        """The packages that the code names."""
        return parse_requirements(self.requirements or b"")

    def build(
        self, *, release: Release, pal: KnownPal, runtime: tuple[MeasuredFile, ...], wheels: Wheels
    ) -> bytes:
        """Return the manifest, byte for byte the one of a launch with these parts.

        Raises `UnknownWheelsError` for packages whose wheels are not in `wheels`.
        """
        packages: tuple[MeasuredFile, ...] = ()
        if self.packages:
            packages = package_files(
                self.packages, wheels, platform_of_runtime(file.path for file in runtime)
            )
        return rebuild_manifest(
            arguments=self.arguments,
            code_list=self.code_list,
            packages=packages,
            release=release,
            pal=pal,
            runtime=runtime,
        )


def parts_of_evidence(bundle: EvidenceBundle, arguments: Arguments) -> ManifestParts:
    """Return the parts that a bundle names; that it says so proves nothing of an enclave."""
    return ManifestParts(arguments=arguments, code_list=bundle.code_list, requirements=bundle.requirements)


def parts_of_files(arguments: Arguments, code: Path) -> ManifestParts:
    """Read the code as it was sent: the archive, or a folder with its files.

    Raises `MalformedError` for what is no code, `VerificationError` where it is another computation's.
    """
    read = list(_in_folder(code) if code.is_dir() else _in_archive(code))
    return ManifestParts(
        arguments=arguments,
        code_list=CodeList.from_files(tuple(file for file, _ in read)),
        requirements=next((kept for file, kept in read if file.path == REQUIREMENTS), None),
    )


def _in_folder(folder: Path) -> Iterator[tuple[CodeFile, bytes]]:
    for current, folders, names in os.walk(folder):
        if links := [name for name in folders if (Path(current) / name).is_symlink()]:
            raise MalformedError(f"code: {Path(current) / links[0]} is a link")
        for name in names:
            path = Path(current) / name
            if path.is_symlink() or not path.is_file():
                raise MalformedError(f"code: {path} is neither a file nor a folder")
            with path.open("rb") as source:
                yield _read(path.relative_to(folder).as_posix(), source)


def _in_archive(archive: Path) -> Iterator[tuple[CodeFile, bytes]]:
    try:
        with tarfile.open(archive, mode="r:") as members:
            for member in members:
                content = members.extractfile(member) if member.isreg() else None
                if content is None:
                    raise MalformedError(f"code: {archive}: holds something that is no file")
                yield _read(member.name, content)
    except (tarfile.TarError, EOFError, OverflowError, ValueError, UnicodeError) as exc:
        raise MalformedError(f"code: {archive}: not a plain tar file") from exc


def _read(path: str, source: IO[bytes]) -> tuple[CodeFile, bytes]:
    """Return a file's row, and what it contains if it is one that is read."""
    digest, size, kept = hashlib.sha256(), 0, b""
    while block := source.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if path == REQUIREMENTS and size <= MAX_SOURCE_BYTES:
            kept += block
    return CodeFile(path=path, size=size, sha256=digest.digest()), kept
