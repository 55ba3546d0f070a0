"""Is it the service that somebody means: the measured arguments beside the package and the wishes.

Spec: docs/spec/services.md, "Verifying", 6.
"""

import hmac

from sealroom.core.attestation.roots import Provenance
from sealroom.core.errors import PolicyError, VerificationError
from sealroom.core.evidence.policy import Policy, Word
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.service_expectations import ServiceExpectations
from sealroom.core.wire.service_arguments import CertificateMode, ServiceArguments, ServiceLogs
from sealroom.core.wire.terms import LogRelease, Tee

_TEES = {Provenance.INTEL: Tee.SGX, Provenance.SIMULATED: Tee.SIMULATED}
_PLAIN = "plain: a proxy on the operator's side reads and can change everything"
_READ_BY_OPERATOR = "the operator, in the clear"


def appraise_service(
    record: Record,
    arguments: ServiceArguments,
    *,
    provenance: Provenance,
    policy: Policy,
    expected: ServiceExpectations,
) -> None:
    """Record the checks 6.1 to 6.7, over arguments that are the measured ones.

    1. The kind of enclave. 2. The application's id. 3. Its code is the package's. 4. Its configuration is the
    package's. 5. The host. 6. Who reads what it prints. 7. Whose certificate it is served behind.
    """
    record.rule("service.tee", lambda: _tee(arguments, provenance), arguments.tee.value)
    wished = "" if expected.service is not None else ", and you named none"
    record.rule("service.id", lambda: _id(arguments, expected), f"{arguments.service}{wished}")
    record.rule("service.code", lambda: _code(arguments, expected), arguments.code_digest.hex())
    record.rule(
        "service.configuration", lambda: _configuration(arguments, expected), _shown_application(arguments)
    )
    record.rule("service.host", lambda: _host(arguments, expected), ", ".join(arguments.hosts))
    reads = _READ_BY_OPERATOR if arguments.logs is ServiceLogs.OPERATOR else "nobody"
    record.rule("service.logs", lambda: _logs(arguments, policy), reads)
    shown = _PLAIN if arguments.certificate is CertificateMode.PLAIN else arguments.certificate.value
    record.rule("service.certificate", lambda: _certificate(arguments, expected), shown)


def _tee(arguments: ServiceArguments, provenance: Provenance) -> None:
    if arguments.tee is not _TEES[provenance]:
        raise VerificationError(
            f"tee: the arguments say {arguments.tee.value}, the quote is {provenance.value}"
        )


def _id(arguments: ServiceArguments, expected: ServiceExpectations) -> None:
    if expected.service is not None and arguments.service != expected.service:
        raise VerificationError(f"service: {arguments.service}, expected {expected.service}")


def _code(arguments: ServiceArguments, expected: ServiceExpectations) -> None:
    digest = expected.code.digest
    if not hmac.compare_digest(digest, arguments.code_digest):
        raise VerificationError(f"code: {arguments.code_digest.hex()}, your package has {digest.hex()}")


def _configuration(arguments: ServiceArguments, expected: ServiceExpectations) -> None:
    config = expected.config
    pairs = (
        ("name", arguments.name, config.name),
        ("application", arguments.application, config.application),
        ("interface", arguments.interface, config.interface),
        ("health", arguments.health, config.health),
        ("connect", arguments.connect, config.connect),
    )
    for name, found, wanted in pairs:
        if found != wanted:
            raise VerificationError(f"{name}: {found}, your package has {wanted}")


def _host(arguments: ServiceArguments, expected: ServiceExpectations) -> None:
    if expected.host is not None and expected.host not in arguments.hosts:
        raise VerificationError(f"host: {expected.host} is none of {', '.join(arguments.hosts)}")


def _logs(arguments: ServiceArguments, policy: Policy) -> None:
    if arguments.logs is ServiceLogs.NONE or policy.logs is Word.ANY:
        return
    if not isinstance(policy.logs, frozenset) or LogRelease.PUBLIC not in policy.logs:
        raise PolicyError(f"logs: {_READ_BY_OPERATOR}, which policy {policy.name} does not accept")


def _certificate(arguments: ServiceArguments, expected: ServiceExpectations) -> None:
    if arguments.certificate is CertificateMode.PLAIN and not expected.insecure_accept_plain:
        raise PolicyError(f"certificate: {_PLAIN}")


def _shown_application(arguments: ServiceArguments) -> str:
    return f"{arguments.name}, {arguments.application} by {arguments.interface.value}"
