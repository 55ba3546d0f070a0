"""Fourth question of a verification: does the enclave run exactly what was agreed.

The manifest received is what the processor measured, or it is not; and it is the one that this release builds
for these arguments and this code, or it is not. Both are needed: the first ties it to the quote, the second
to what people agreed.

Spec: docs/spec/verification.md, 4.
"""

from dataclasses import dataclass

from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import PolicyError
from sealroom.core.evidence.packages import appraise_packages
from sealroom.core.evidence.policy import Policy, SignerRule
from sealroom.core.evidence.rebuild import rebuild_manifest
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.shown import (
    appraise_runtime,
    known_pal,
    measured_arguments,
    recomputed,
    same_code_list,
    same_manifest,
    same_release,
    same_tee,
    shown_runtime,
)
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.measurement.template import MAX_THREADS, MeasuredFile
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.bundle import EvidenceBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is being compared, and with what."""

    bundle: EvidenceBundle
    report: SgxReport
    policy: Policy
    release: Release


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
    subject = _Subject(bundle=bundle, report=report, policy=policy, release=release)
    pal = record.check("measurement.pal", lambda: known_pal(bundle, release), lambda found: found.name)
    mrenclave = record.check(
        "measurement.mrenclave",
        lambda: recomputed(bundle, report, max_threads=MAX_THREADS),
        lambda found: found.hex(),
    )
    if mrenclave is None:
        return None
    record.rule("measurement.policy", lambda: _listed(subject), "accepted")
    arguments = record.check(
        "measurement.arguments", lambda: parse_arguments(measured_arguments(bundle)), "measured"
    )
    if arguments is None:
        return None
    code = record.check(
        "measurement.code-list",
        lambda: _code_list(subject, arguments),
        lambda found: f"{found} files",
    )
    record.rule("measurement.release", lambda: same_release(bundle, release), release.version)
    if code is None:
        return arguments
    packages = appraise_packages(
        record,
        bundle,
        packages_digest=arguments.packages_digest,
        tee=arguments.terms.tee,
        wheels=wheels,
    )
    if pal is not None and packages is not None:
        # Together these are equality with what this release builds from its own bill.
        record.rule(
            "measurement.manifest", lambda: _same_manifest(subject, arguments, pal, packages), "equal"
        )
        appraise_runtime(record, bundle, pal, release)
    return arguments


def _listed(subject: _Subject) -> None:
    rule = subject.policy.measurement
    if isinstance(rule, SignerRule):
        raise PolicyError("measurement: a signer's rule is for services, a computation is its MRENCLAVE")
    if isinstance(rule, frozenset) and subject.report.mrenclave not in rule:
        raise PolicyError(f"mrenclave: {subject.report.mrenclave.hex()} is not in the policy's list")


def _code_list(subject: _Subject, arguments: Arguments) -> int:
    code_list = subject.bundle.code_list
    same_code_list(code_list.digest, arguments.code_digest)
    return len(code_list.files)


def _same_manifest(
    subject: _Subject, arguments: Arguments, pal: KnownPal, packages: tuple[MeasuredFile, ...]
) -> None:
    same_tee(pal, arguments.terms.tee)
    bundle = subject.bundle
    rebuilt = rebuild_manifest(
        arguments=arguments,
        code_list=bundle.code_list,
        packages=packages,
        release=subject.release,
        pal=pal,
        runtime=shown_runtime(bundle, pal),
    )
    same_manifest(bundle, rebuilt)
