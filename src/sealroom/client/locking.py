"""Pinning a program's packages: resolved, downloaded, checked, and written down by hash.

What is written is the SHA-256 of the wheel as it lies in this home's store, after it passed every rule of
docs/spec/packages.md: what `lock` accepts, server and participants will.
"""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from platform import machine

from sealroom.adapters.package_index import PackageIndexError, ResolvedPackage, download_wheel, resolve
from sealroom.client.service.stack import IN_EVERY_ENCLAVE, STACK
from sealroom.client.transport import Progress
from sealroom.client.wheel_store import WheelStore
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.packages import package_files
from sealroom.core.measurement.platform_tags import SGX_PLATFORM, Platform
from sealroom.core.measurement.requirements import Requirement, parse_requirements, write_requirements
from sealroom.core.measurement.service_package import CONFIG
from sealroom.core.wire.code_list import REQUIREMENTS

SOURCES = ("requirements.in", "pyproject.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What was written: the packages, the number of files they bring, and the bytes of their wheels."""

    requirements: tuple[Requirement, ...]
    files: int
    bytes: int


def lock(folder: Path, store: WheelStore, platform: Platform, *, progress: Progress | None = None) -> Locked:
    """Write `requirements.txt` in `folder`, and keep the wheels that it names.

    A folder with a `config.toml` is a service, which also gets what its enclave serves it with. Raises
    `PackageIndexError` where a package has no fitting wheel, `VerificationError` or `MalformedError` where
    one breaks a rule; `requirements.txt` then stays as it was.
    """
    resolved = _resolve_service(folder, platform) if is_service(folder) else _resolve(folder, platform)
    pinned = tuple(
        _pin(package, store, platform, progress, (number, len(resolved)))
        for number, package in enumerate(resolved)
    )
    raw = write_requirements(pinned)
    wheels = store.known(pinned)
    files = package_files(pinned, wheels, platform)
    target = folder / REQUIREMENTS
    partial = target.with_name(f"{REQUIREMENTS}.new")
    partial.write_bytes(raw)
    partial.replace(target)
    size = sum(store.path(each.sha256).stat().st_size for each in pinned)
    return Locked(requirements=parse_requirements(raw), files=len(files), bytes=size)


def is_service(folder: Path) -> bool:
    """Whether the program in `folder` is a service."""
    return (folder / CONFIG).is_file()


def find_source(folder: Path) -> Path:
    """Return the file that says what the program needs; raises `MalformedError` where there is none."""
    for name in SOURCES:
        if (folder / name).is_file():
            return folder / name
    raise MalformedError(f"lock: {folder} has neither {SOURCES[0]} nor {SOURCES[1]}")


def _resolve(folder: Path, platform: Platform) -> tuple[ResolvedPackage, ...]:
    return resolve([find_source(folder)], platform)


def _resolve_service(folder: Path, platform: Platform) -> tuple[ResolvedPackage, ...]:
    own = [folder / name for name in SOURCES if (folder / name).is_file()][:1]
    with tempfile.TemporaryDirectory() as name:
        stack = Path(name) / "stack.in"
        stack.write_text("".join(f"{line}\n" for line in STACK))
        return resolve([*own, stack], platform, leave_out=IN_EVERY_ENCLAVE)


def fetch_from_index(
    requirements: Sequence[Requirement], store: WheelStore, *, progress: Progress | None = None
) -> None:
    """Download the wheels that the store does not have, each by the hash that its line names."""
    missing = store.missing(requirements)
    for number, requirement in enumerate(missing):
        if progress:
            progress(requirement.title, number, len(missing))
        with tempfile.TemporaryDirectory() as folder:
            store.add_file(requirement, _download_pinned(requirement, Path(folder)))
        if progress:
            progress(requirement.title, number + 1, len(missing))


def _download_pinned(requirement: Requirement, folder: Path) -> Path:
    """Download the one wheel with that hash, whichever of the enclaves' platforms it is for."""
    here = Platform(minor=sys.version_info.minor, machine=machine())
    others = [SGX_PLATFORM] if here == SGX_PLATFORM else [SGX_PLATFORM, here]
    for platform in others[:-1]:
        with suppress(PackageIndexError):
            return download_wheel(
                requirement.name, requirement.version, [requirement.sha256], platform, folder
            )
    return download_wheel(requirement.name, requirement.version, [requirement.sha256], others[-1], folder)


def _pin(
    package: ResolvedPackage,
    store: WheelStore,
    platform: Platform,
    progress: Progress | None,
    place: tuple[int, int],
) -> Requirement:
    done, total = place
    if progress:
        progress(f"{package.name} {package.version}", done, total)
    with tempfile.TemporaryDirectory() as folder:
        wheel = download_wheel(package.name, package.version, sorted(package.hashes), platform, Path(folder))
        with wheel.open("rb") as file:
            sha256 = file_digest(file, "sha256").digest()
        requirement = Requirement(name=package.name, version=package.version, sha256=sha256)
        store.add_file(requirement, wheel)
    if progress:
        progress(f"{package.name} {package.version}", done + 1, total)
    return requirement
