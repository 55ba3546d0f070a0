"""Does a service's enclave run exactly what was packed.

As with a computation: the manifest received is what the processor measured, and the one that this release
builds. A signer's rule of the policy is demanded beside that, of the quote, never of the evidence.

Spec: docs/spec/services.md, "Verifying", 5.
"""

from sealroom.core.attestation.reports import SgxReport
from sealroom.core.errors import PolicyError
from sealroom.core.evidence.lone_quote import check_signer
from sealroom.core.evidence.packages import appraise_packages
from sealroom.core.evidence.policy import Policy, SignerRule
from sealroom.core.evidence.rebuild import rebuild_service_manifest
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
from sealroom.core.measurement.template import MAX_SERVICE_THREADS, MeasuredFile
from sealroom.core.wire.service_arguments import ServiceArguments, parse_service_arguments
from sealroom.core.wire.service_evidence import ServiceEvidence


def appraise_service_measurement(
    record: Record,
    shown: ServiceEvidence,
    *,
    report: SgxReport,
    policy: Policy,
    release: Release,
    wheels: Wheels,
) -> ServiceArguments | None:
    """Record the checks 5.1 to 5.9; return the arguments once they are known to be the measured ones.

    1. The PAL is known. 2. Manifest and PAL give the quote's MRENCLAVE. 3. The policy's list has it, or its
    signer signed it. 4. The arguments are those that the manifest measures. 5. The code list is the
    arguments'. 6. Both sides run one release. 7. The packages are those of the wheels that are known here.
    8. The manifest is the one that this release builds around the runtime received, byte for byte. 9. That
    runtime is the bill of materials.
    """
    pal = record.check("measurement.pal", lambda: known_pal(shown, release), lambda found: found.name)
    mrenclave = record.check(
        "measurement.mrenclave",
        lambda: recomputed(shown, report, max_threads=MAX_SERVICE_THREADS),
        lambda found: found.hex(),
    )
    if mrenclave is None:
        return None
    record.rule("measurement.policy", lambda: _accepted(report, policy), "accepted")
    arguments = record.check(
        "measurement.arguments", lambda: parse_service_arguments(measured_arguments(shown)), "measured"
    )
    if arguments is None:
        return None
    record.rule(
        "measurement.code-list",
        lambda: same_code_list(shown.code_list.digest, arguments.code_digest),
        f"{len(shown.code_list.files)} files",
    )
    record.rule("measurement.release", lambda: same_release(shown, release), release.version)
    if not record.passed("measurement.code-list"):
        return arguments
    packages = appraise_packages(
        record, shown, packages_digest=arguments.packages_digest, tee=arguments.tee, wheels=wheels
    )
    if pal is not None and packages is not None:
        record.rule(
            "measurement.manifest",
            lambda: _same_manifest(shown, arguments, pal, packages, release),
            "equal",
        )
        appraise_runtime(record, shown, pal, release)
    return arguments


def _accepted(report: SgxReport, policy: Policy) -> None:
    rule = policy.measurement
    if isinstance(rule, SignerRule):
        check_signer(report, rule)
    if isinstance(rule, frozenset) and report.mrenclave not in rule:
        raise PolicyError(f"mrenclave: {report.mrenclave.hex()} is not in the policy's list")


def _same_manifest(
    shown: ServiceEvidence,
    arguments: ServiceArguments,
    pal: KnownPal,
    packages: tuple[MeasuredFile, ...],
    release: Release,
) -> None:
    same_tee(pal, arguments.tee)
    rebuilt = rebuild_service_manifest(
        arguments=arguments,
        code_list=shown.code_list,
        packages=packages,
        release=release,
        pal=pal,
        runtime=shown_runtime(shown, pal),
    )
    same_manifest(shown, rebuilt)
