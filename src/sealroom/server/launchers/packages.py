"""Wheels unpacked into a launch folder, by the rules by which each client lists them.

Must never: put a file into the folder that is not in the list it returns. Spec: docs/spec/packages.md.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sealroom.core.measurement.packages import package_files
from sealroom.core.measurement.platform_tags import Platform
from sealroom.core.measurement.template import PACKAGES_FOLDER, MeasuredFile
from sealroom.core.measurement.wheel import UnpackedWheel, unpack_wheel
from sealroom.server.launchers.base import WheelSource

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack_packages(
    folder: Path, wheels: Sequence[WheelSource], platform: Platform
) -> tuple[MeasuredFile, ...]:
    """Fill `packages/` of a new launch folder, and return its files as they are measured.

    Raises `MalformedError` or `VerificationError` for wheels that break a rule, `FileExistsError` for two
    files at one place. What is in the folder then is of no use.
    """
    root = folder / PACKAGES_FOLDER
    listed: dict[bytes, UnpackedWheel] = {}

    def write(path: str, contents: Iterator[bytes]) -> None:
        target = root / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(target, _NEW, 0o600), "wb") as file:
            for piece in contents:
                file.write(piece)

    for wheel in wheels:
        with wheel.open() as source:
            listed[wheel.requirement.sha256] = unpack_wheel(source, write)
    return package_files([wheel.requirement for wheel in wheels], listed, platform)
