"""Which packages come with the code, and which files of theirs the enclave must have.

The lists of files are the verifier's own, each made from a wheel whose SHA-256 was checked first. Where one
is missing nothing is guessed: neither this check nor that of the manifest is reached.

Spec: docs/spec/verification.md, 6.3; docs/spec/packages.md.
"""

import hmac
from dataclasses import dataclass

from sealroom.core.errors import VerificationError
from sealroom.core.evidence.rebuild import received_runtime
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.shown import Shown
from sealroom.core.measurement.packages import UnknownWheelsError, Wheels, package_files
from sealroom.core.measurement.platform_tags import SGX_PLATFORM, Platform, platform_of_runtime
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.measurement.template import MeasuredFile
from sealroom.core.wire.byte_fields import DIGEST_SIZE, sha256
from sealroom.core.wire.code_list import REQUIREMENTS
from sealroom.core.wire.terms import Tee

_CHECK = "code.packages"
_MANIFEST = "measurement.manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packages:
    requirements: tuple[Requirement, ...]
    files: tuple[MeasuredFile, ...]

    @property
    def titles(self) -> str:
        return ", ".join(requirement.title for requirement in self.requirements) or "none"


def appraise_packages(
    record: Record, shown: Shown, *, packages_digest: bytes, tee: Tee, wheels: Wheels
) -> tuple[MeasuredFile, ...] | None:
    """Record the check 6.3, over a code list that is the measured one; return the packages' measured files.

    1. `requirements.txt` is the one listed and measured, or there is none. 2. It has its one form. 3. Every
    wheel is known here. 4. Each is what its line says, fits the enclave, and shares no path with another.

    Returns `None` where there is no list; the check of the manifest is then recorded as not reached.
    """
    try:
        found = record.check(
            _CHECK, lambda: _packages(shown, packages_digest, tee, wheels), lambda packages: packages.titles
        )
    except UnknownWheelsError as exc:
        record.not_reached(_CHECK, str(exc))
        record.not_reached(_MANIFEST, str(exc))
        return None
    if found is None:
        record.not_reached(_MANIFEST, f"{_CHECK} failed")
        return None
    return found.files


def _packages(shown: Shown, packages_digest: bytes, tee: Tee, wheels: Wheels) -> _Packages:
    requirements = _requirements(shown, packages_digest)
    if not requirements:
        return _Packages(requirements=(), files=())
    files = package_files(requirements, wheels, _platform(shown, tee))
    return _Packages(requirements=requirements, files=files)


def _requirements(shown: Shown, packages_digest: bytes) -> tuple[Requirement, ...]:
    raw = shown.requirements
    if raw is None:
        if shown.code_list.find(REQUIREMENTS) is not None:
            raise VerificationError(f"{REQUIREMENTS}: in the code list, and not in the evidence")
        digest = bytes(DIGEST_SIZE)
    else:
        check_listed(shown, REQUIREMENTS, raw)
        digest = sha256(raw)
    if not hmac.compare_digest(packages_digest, digest):
        raise VerificationError(
            f"packages: the arguments name {packages_digest.hex()}, expected {digest.hex()}"
        )
    return parse_requirements(raw or b"")


def check_listed(shown: Shown, path: str, content: bytes) -> None:
    """Refuse a file of the evidence that is not the one in its code list."""
    file = shown.code_list.find(path)
    if file is None:
        raise VerificationError(f"{path}: not in the code list")
    if file.size != len(content) or not hmac.compare_digest(file.sha256, sha256(content)):
        raise VerificationError(
            f"{path}: sha256 {sha256(content).hex()}, the code list has {file.sha256.hex()}"
        )


def _platform(shown: Shown, tee: Tee) -> Platform:
    if tee is Tee.SGX:
        return SGX_PLATFORM
    # The simulated TEE measures the interpreter it runs on.
    return platform_of_runtime(file.path for file in received_runtime(shown.manifest))
