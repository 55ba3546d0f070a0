"""All files that packages bring into an enclave, from `requirements.txt` and the lists of its wheels.

Server and client make the same list or none. Spec: docs/spec/packages.md, "The list of a computation".
"""

from collections.abc import Mapping, Sequence

from sealroom.core.errors import SealroomError, VerificationError
from sealroom.core.measurement.platform_tags import Platform
from sealroom.core.measurement.requirements import Requirement
from sealroom.core.measurement.template import PACKAGES_FOLDER, MeasuredFile
from sealroom.core.measurement.wheel import UnpackedWheel
from sealroom.core.measurement.zip_archive import parent_folders

MAX_PACKAGE_FILES = 32_768

_MOST_NAMED = 3

Wheels = Mapping[bytes, UnpackedWheel]
"""What is known of each wheel, by the SHA-256 that was checked before the wheel was listed."""


class UnknownWheelsError(SealroomError):
    """Wheels are named by `requirements.txt` of which nobody here knows the files: nobody's fault."""


def missing_wheels(requirements: Sequence[Requirement], wheels: Wheels) -> tuple[Requirement, ...]:
    """Return the packages whose wheels are not known here."""
    return tuple(requirement for requirement in requirements if requirement.sha256 not in wheels)


def package_files(
    requirements: Sequence[Requirement], wheels: Wheels, platform: Platform
) -> tuple[MeasuredFile, ...]:
    """Return each file of the packages as it lies in the launch folder, under `packages/`.

    Every wheel must be the one that its line names and fit `platform`; no two may have a file at one place.
    Raises `UnknownWheelsError` where one is not known (`missing_wheels`), and `VerificationError` that names
    the package and the file.
    """
    if missing := missing_wheels(requirements, wheels):
        named = ", ".join(requirement.title for requirement in missing[:_MOST_NAMED])
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        raise UnknownWheelsError(f"the wheels of {named}{more} are not in your store")
    owners: dict[str, Requirement] = {}
    files: list[MeasuredFile] = []
    for requirement in requirements:
        wheel = wheels[requirement.sha256]
        check_is_required(wheel, requirement, platform)
        for file in wheel.files:
            if (other := owners.setdefault(file.path, requirement)) is not requirement:
                raise VerificationError(
                    f"packages: {other.title} and {requirement.title} both have {file.path}"
                )
            files.append(MeasuredFile(path=f"{PACKAGES_FOLDER}/{file.path}", sha256=file.sha256))
    if len(files) > MAX_PACKAGE_FILES:
        raise VerificationError(f"packages: got {len(files)} files, expected at most {MAX_PACKAGE_FILES}")
    _check_folders(owners)
    return tuple(sorted(files, key=lambda file: file.path.encode()))


def check_is_required(wheel: UnpackedWheel, requirement: Requirement, platform: Platform) -> None:
    """Refuse a wheel of another package or version than its line says, or for another platform."""
    if (wheel.name, wheel.version) != (requirement.name, requirement.version):
        raise VerificationError(
            f"packages: the wheel of {requirement.title} is one of {wheel.name} {wheel.version}"
        )
    if not any(platform.fits(tag) for tag in wheel.tags):
        raise VerificationError(
            f"packages: the wheel of {requirement.title} is for {wheel.tags[0]}, the enclave has "
            f"{platform.title}"
        )


def _check_folders(owners: Mapping[str, Requirement]) -> None:
    for path, owner in owners.items():
        for folder in parent_folders(path):
            if (other := owners.get(folder)) is not None:
                raise VerificationError(
                    f"packages: {folder} is a file of {other.title} and a folder of {owner.title}"
                )
