"""Fourth question of a verification: does the enclave run exactly what was agreed.

The manifest received is what the processor measured, or it is not; and it is the one that this release builds
for these arguments and this code, or it is not. Both are needed: the first ties it to the quote, the second
to what people agreed.

Spec: docs/spec/verification.md, 4.
"""

import hmac
from dataclasses import dataclass

from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.evidence.packages import appraise_packages
from sealroom.core.evidence.policy import Policy, SignerRule
from sealroom.core.evidence.rebuild import (
    measured_digest,
    name_differences,
    rebuild_manifest,
    received_runtime,
)
from sealroom.core.evidence.record import Record
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import enclave_settings, parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.runtime_bill import check_runtime
from sealroom.core.measurement.template import ARGUMENTS_PATH, MAX_THREADS, MeasuredFile
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.terms import Tee


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is being compared, and with what."""

    record: Record
    bundle: EvidenceBundle
    report: SgxReport
    policy: Policy
    release: Release
    wheels: Wheels


def appraise_measurement(
    record: Record,
    bundle: EvidenceBundle,
    *,
    report: SgxReport,
    policy: Policy,
    release: Release,
    wheels: Wheels,
) -> Arguments | None:
    """Record the checks 4.1 to 4.8, and 6.3, which 4.7 needs.

    Returns the arguments once they are known to be the measured ones.

    1. The PAL is known. 2. Manifest and PAL give the quote's MRENCLAVE. 3. The policy's list has it. 4. The
    arguments are those that the manifest measures. 5. The code list is the arguments'. 6. Both sides run one
    release. 7. The manifest is the one that this release builds around the runtime received, byte for byte.
    8. That runtime is the bill of materials.
    """
    subject = _Subject(
        record=record, bundle=bundle, report=report, policy=policy, release=release, wheels=wheels
    )
    pal = record.check("measurement.pal", lambda: _known_pal(subject), lambda found: found.name)
    mrenclave = record.check("measurement.mrenclave", lambda: _recomputed(subject), lambda found: found.hex())
    if mrenclave is None:
        return None
    record.rule("measurement.policy", lambda: _listed(subject), "accepted")
    arguments = record.check("measurement.arguments", lambda: _arguments(subject), "measured")
    if arguments is None:
        return None
    code = record.check(
        "measurement.code-list",
        lambda: _code_list(subject, arguments),
        lambda found: f"{found} files",
    )
    record.rule("measurement.release", lambda: _release(subject), release.version)
    if code is None:
        return arguments
    packages = appraise_packages(record, bundle, arguments=arguments, wheels=wheels)
    if pal is not None and packages is not None:
        _appraise_manifest(subject, arguments, pal, packages)
    return arguments


def _known_pal(subject: _Subject) -> KnownPal:
    digest = sha256(subject.bundle.pal)
    pal = subject.release.known_pal(digest)
    if pal is None:
        raise VerificationError(f"pal: sha256 {digest.hex()}, which release {subject.release.version} lacks")
    return pal


def _recomputed(subject: _Subject) -> bytes:
    threads = enclave_settings(parse_manifest(subject.bundle.manifest)).max_threads
    if threads > MAX_THREADS:
        # Whoever sent this could make us hash gigabytes of stacks before the manifest is compared.
        raise VerificationError(f"manifest: {threads} threads, this release uses {MAX_THREADS}")
    mrenclave = measure(subject.bundle.manifest, subject.bundle.pal).mrenclave
    if not hmac.compare_digest(mrenclave, subject.report.mrenclave):
        raise VerificationError(
            f"mrenclave: {subject.report.mrenclave.hex()} in the quote, {mrenclave.hex()} recomputed"
        )
    return mrenclave


def _listed(subject: _Subject) -> None:
    rule = subject.policy.measurement
    if isinstance(rule, SignerRule):
        raise PolicyError("measurement: a signer's rule is for services, a computation is its MRENCLAVE")
    if isinstance(rule, frozenset) and subject.report.mrenclave not in rule:
        raise PolicyError(f"mrenclave: {subject.report.mrenclave.hex()} is not in the policy's list")


def _arguments(subject: _Subject) -> Arguments:
    measured = measured_digest(subject.bundle.manifest, ARGUMENTS_PATH)
    found = sha256(subject.bundle.arguments)
    if not hmac.compare_digest(measured, found):
        raise VerificationError(f"arguments: sha256 {found.hex()}, the manifest measures {measured.hex()}")
    return parse_arguments(subject.bundle.arguments)


def _code_list(subject: _Subject, arguments: Arguments) -> int:
    digest = subject.bundle.code_list.digest
    if not hmac.compare_digest(digest, arguments.code_digest):
        raise VerificationError(
            f"code list: digest {digest.hex()}, the arguments name {arguments.code_digest.hex()}"
        )
    return len(subject.bundle.code_list.files)


def _release(subject: _Subject) -> None:
    theirs, ours = subject.bundle.release, subject.release.version
    if theirs != ours:
        raise VerificationError(f"release: the evidence is by {theirs}, this is {ours}")


def _appraise_manifest(
    subject: _Subject, arguments: Arguments, pal: KnownPal, packages: tuple[MeasuredFile, ...]
) -> None:
    """Record 4.7 and 4.8, which together are equality with what this release builds from its own bill."""
    record, release = subject.record, subject.release
    record.rule("measurement.manifest", lambda: _same_manifest(subject, arguments, pal, packages), "equal")
    if pal.tee is Tee.SGX:
        if (bill := release.sgx_runtime) is None:
            lacking = f"release {release.version} has no bill of materials of the runtime for SGX"
            record.not_reached("measurement.runtime", lacking)
            return
        record.rule(
            "measurement.runtime",
            lambda: check_runtime(received_runtime(subject.bundle.manifest, with_gramine=True), bill),
            f"the {len(bill.measured)} files of the bill of materials {sha256(bill.to_bytes()).hex()}",
        )
    elif record.passed("measurement.manifest"):
        record.simulated("measurement.runtime", "not compared: simulated")


def _same_manifest(
    subject: _Subject, arguments: Arguments, pal: KnownPal, packages: tuple[MeasuredFile, ...]
) -> None:
    if pal.tee is not arguments.terms.tee:
        raise VerificationError(
            f"pal: of a {pal.tee.value} enclave, the arguments say {arguments.terms.tee.value}"
        )
    received = subject.bundle.manifest
    rebuilt = rebuild_manifest(
        arguments=arguments,
        code_list=subject.bundle.code_list,
        packages=packages,
        release=subject.release,
        pal=pal,
        # The simulated TEE has none of Gramine's libraries.
        runtime=received_runtime(received, with_gramine=pal.tee is Tee.SGX),
    )
    if differences := name_differences(expected=rebuilt, received=received):
        raise VerificationError(f"manifest: {'; '.join(differences)}")
