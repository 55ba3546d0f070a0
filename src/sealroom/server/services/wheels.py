"""Wheels of packages: announced by the `requirements.txt` that names them, uploaded in pieces, checked whole.

A wheel is known by its SHA-256 alone. Code is taken only once every wheel that it names is here, whole, and
all of them together keep the rules by which each client will list them: what would starve a launch later is
refused now, with the reason. Spec: docs/spec/packages.md.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from platform import machine

from sqlalchemy.orm import Session

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.packages import package_files
from sealroom.core.measurement.platform_tags import SGX_PLATFORM, Platform
from sealroom.core.measurement.requirements import Requirement, parse_requirements
from sealroom.core.measurement.wheel import UnpackedWheel, list_wheel
from sealroom.core.measurement.zip_archive import MAX_WHEEL_BYTES
from sealroom.core.wire.code_list import REQUIREMENTS
from sealroom.core.wire.terms import Tee
from sealroom.server.blobs import BlobStore, new_name
from sealroom.server.config import ServerLimits
from sealroom.server.errors import ErrorCode, ServiceError
from sealroom.server.lifecycle import find_participant, who_is
from sealroom.server.schema import Account, CodeVersion, ComputationRow, WheelRow
from sealroom.server.states import Actor, Cause, State, check_allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWheel:
    """A line of `requirements.txt`, and the blob of its wheel."""

    requirement: Requirement
    blob: str


def read_requirements(raw: bytes) -> tuple[Requirement, ...]:
    """Return the packages that code names; refuses, typed, any other form than the one there is."""
    try:
        return parse_requirements(raw)
    except MalformedError as exc:
        raise ServiceError(ErrorCode.REQUIREMENTS, str(exc)) from exc


def check_may_send(computation: ComputationRow, account: Account) -> None:
    """Refuse a wheel of anybody but a registered Code Provider, or when code could not be sent either."""
    participant = find_participant(computation, account, Actor.CODE_PROVIDER)
    if participant.public_key is None:
        raise ServiceError(ErrorCode.NOT_REGISTERED, "register your public key as the code provider first")
    check_allowed(Cause.CODE_SENT, State(computation.state), who_is(computation, account).actors)


def announce(
    session: Session,
    computation: ComputationRow,
    requirements: Sequence[Requirement],
    sizes: Sequence[int],
    limits: ServerLimits,
    *,
    now: datetime,
) -> None:
    """Make room for the wheels that `requirements` name; what is here already stays as it is."""
    if len(sizes) != len(requirements):
        raise ServiceError(
            ErrorCode.MALFORMED, "expected one size for each line", got=len(sizes), expected=len(requirements)
        )
    known = {row.sha256: row for row in computation.wheels}
    for requirement, size in zip(requirements, sizes, strict=True):
        row = known.get(requirement.sha256)
        if row is None:
            computation.wheels.append(
                WheelRow(id=new_name(), sha256=requirement.sha256, size=size, announced_at=now)
            )
        elif row.completed_at is None:
            # The size is only a claim until the digest was compared.
            row.size = size
    _check_limits(computation, limits)
    session.flush()


def find_wheel(computation: ComputationRow, sha256: bytes) -> WheelRow:
    """Return the wheel with that SHA-256, whole or not; refuses one that no `requirements.txt` named."""
    for row in computation.wheels:
        if row.sha256 == sha256:
            return row
    raise ServiceError(
        ErrorCode.UNKNOWN_WHEEL, f"no {REQUIREMENTS} of this computation names such a wheel", got=sha256.hex()
    )


def received_bytes(row: WheelRow, blobs: BlobStore) -> int:
    """Say how many bytes of a wheel are here: where to continue."""
    return row.size if row.completed_at else blobs.partial_size(row.id)


def complete_wheel(row: WheelRow, blobs: BlobStore, digest: bytes, *, now: datetime) -> None:
    """Keep a whole wheel if it is the one that was named; another one is dropped.

    The caller hashes, because a large file takes longer than a transaction should.
    """
    if row.completed_at is not None:
        return
    if digest != row.sha256:
        blobs.delete(row.id)
        raise ServiceError(
            ErrorCode.UPLOAD_DIGEST,
            f"the wheel that arrived is not the one that {REQUIREMENTS} names; it was dropped",
            got=digest.hex(),
            expected=row.sha256.hex(),
        )
    blobs.publish(row.id)
    row.completed_at = now


def stored_wheels(
    computation: ComputationRow, requirements: Sequence[Requirement]
) -> tuple[StoredWheel, ...]:
    """Return the blob of each named wheel; refuses, naming them, where some are not here whole."""
    whole = {row.sha256: row.id for row in computation.wheels if row.completed_at is not None}
    missing = [requirement for requirement in requirements if requirement.sha256 not in whole]
    if missing:
        raise ServiceError(
            ErrorCode.WHEELS_MISSING,
            "send the wheels before the code",
            details={"missing": [requirement.title for requirement in missing]},
        )
    return tuple(
        StoredWheel(requirement=requirement, blob=whole[requirement.sha256]) for requirement in requirements
    )


def check_wheels(wheels: Sequence[StoredWheel], blobs: BlobStore, tee: Tee) -> None:
    """Refuse wheels that no client would list, or that an enclave of this kind could not run."""
    listed: dict[bytes, UnpackedWheel] = {}
    try:
        for wheel in wheels:
            with blobs.open(wheel.blob) as file:
                listed[wheel.requirement.sha256] = list_wheel(file)
        package_files([wheel.requirement for wheel in wheels], listed, enclave_platform(tee))
    except (MalformedError, VerificationError) as exc:
        raise ServiceError(ErrorCode.WHEELS_REFUSED, str(exc)) from exc


def wheels_of(code: CodeVersion, computation: ComputationRow, blobs: BlobStore) -> tuple[StoredWheel, ...]:
    """Return the wheels of a version of the code, which was taken with all of them."""
    blob = next((row.blob for row in code.files if row.path == REQUIREMENTS), None)
    return () if blob is None else stored_wheels(computation, read_requirements(blobs.read(blob)))


def enclave_platform(tee: Tee) -> Platform:
    """Return the Python that enclaves run here. The simulated TEE takes the interpreter it is started by."""
    return SGX_PLATFORM if tee is Tee.SGX else Platform(minor=sys.version_info.minor, machine=machine())


def _check_limits(computation: ComputationRow, limits: ServerLimits) -> None:
    if len(computation.wheels) > limits.max_wheels:
        raise ServiceError(ErrorCode.TOO_LARGE, "too many wheels", expected=limits.max_wheels)
    if max((row.size for row in computation.wheels), default=0) > MAX_WHEEL_BYTES:
        raise ServiceError(ErrorCode.TOO_LARGE, "a wheel too large", expected=MAX_WHEEL_BYTES)
    if sum(row.size for row in computation.wheels) > limits.max_wheel_bytes:
        raise ServiceError(ErrorCode.TOO_LARGE, "wheels too large together", expected=limits.max_wheel_bytes)
