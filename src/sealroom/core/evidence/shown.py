"""What evidence shows of what was measured, and the steps that computations and services share over it.

The manifest received is what the processor measured, or it is not; and it is the one that this release
builds, or it is not. Nothing of the evidence is believed beyond that.

Spec: docs/spec/verification.md, 4.
"""

import hmac
from typing import Protocol

from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.rebuild import measured_digest, name_differences, received_runtime
from sealroom.core.evidence.record import Record
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import enclave_settings, parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.runtime_bill import check_runtime
from sealroom.core.measurement.template import ARGUMENTS_PATH, MeasuredFile
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import FileList
from sealroom.core.wire.terms import Tee


class Shown(Protocol):
    """The members that all evidence has: of a computation, and of a service."""

    @property
    def release(self) -> str:
        """The version of the software that launched."""

    @property
    def manifest(self) -> bytes:
        """The enclave's manifest."""

    @property
    def arguments(self) -> bytes:
        """The measured arguments."""

    @property
    def requirements(self) -> bytes | None:
        """`requirements.txt`, where there is one."""

    @property
    def pal(self) -> bytes:
        """The loader's bytes."""

    @property
    def code_list(self) -> FileList:
        """The files of the program."""


def known_pal(shown: Shown, release: Release) -> KnownPal:
    """Return the known PAL that the evidence has; raises `VerificationError` for another."""
    digest = sha256(shown.pal)
    pal = release.known_pal(digest)
    if pal is None:
        raise VerificationError(f"pal: sha256 {digest.hex()}, which release {release.version} lacks")
    return pal


def recomputed(shown: Shown, report: SgxReport, *, max_threads: int) -> bytes:
    """Return the MRENCLAVE of manifest and PAL, which must be the quote's."""
    threads = enclave_settings(parse_manifest(shown.manifest)).max_threads
    if threads > max_threads:
        # Whoever sent this could make us hash gigabytes of stacks before the manifest is compared.
        raise VerificationError(f"manifest: {threads} threads, this release uses {max_threads}")
    mrenclave = measure(shown.manifest, shown.pal).mrenclave
    if not hmac.compare_digest(mrenclave, report.mrenclave):
        raise VerificationError(
            f"mrenclave: {report.mrenclave.hex()} in the quote, {mrenclave.hex()} recomputed"
        )
    return mrenclave


def measured_arguments(shown: Shown) -> bytes:
    """Return the arguments file, which must be the one that the manifest measures; not yet understood."""
    measured = measured_digest(shown.manifest, ARGUMENTS_PATH)
    found = sha256(shown.arguments)
    if not hmac.compare_digest(measured, found):
        raise VerificationError(f"arguments: sha256 {found.hex()}, the manifest measures {measured.hex()}")
    return shown.arguments


def same_code_list(digest: bytes, named: bytes) -> None:
    """Refuse a code list whose digest is not the one that the arguments name."""
    if not hmac.compare_digest(digest, named):
        raise VerificationError(f"code list: digest {digest.hex()}, the arguments name {named.hex()}")


def same_release(shown: Shown, release: Release) -> None:
    """Refuse evidence of another release, whose files nobody here could compare."""
    if shown.release != release.version:
        raise VerificationError(f"release: the evidence is by {shown.release}, this is {release.version}")


def shown_runtime(shown: Shown, pal: KnownPal) -> tuple[MeasuredFile, ...]:
    """Return the runtime's entries of the manifest received. The simulated TEE has none of Gramine's."""
    return received_runtime(shown.manifest, with_gramine=pal.tee is Tee.SGX)


def same_manifest(shown: Shown, rebuilt: bytes) -> None:
    """Refuse a manifest that differs in a byte, and say in words how."""
    if differences := name_differences(expected=rebuilt, received=shown.manifest):
        raise VerificationError(f"manifest: {'; '.join(differences)}")


def same_tee(pal: KnownPal, tee: Tee) -> None:
    """Refuse a PAL of another kind of enclave than the arguments say."""
    if pal.tee is not tee:
        raise VerificationError(f"pal: of a {pal.tee.value} enclave, the arguments say {tee.value}")


def appraise_runtime(record: Record, shown: Shown, pal: KnownPal, release: Release) -> None:
    """Record the check of the runtime: the bill of materials, or that nobody compared a simulated one."""
    if pal.tee is not Tee.SGX:
        if record.passed("measurement.manifest"):
            record.simulated("measurement.runtime", "not compared: simulated")
        return
    if (bill := release.sgx_runtime) is None:
        lacking = f"release {release.version} has no bill of materials of the runtime for SGX"
        record.not_reached("measurement.runtime", lacking)
        return
    record.rule(
        "measurement.runtime",
        lambda: check_runtime(shown_runtime(shown, pal), bill),
        f"the {len(bill.measured)} files of the bill of materials {sha256(bill.to_bytes()).hex()}",
    )
