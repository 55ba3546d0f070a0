"""A service's evidence verified on this machine: with this home's wheels, release and clock.

Must never take the package, the id, the policy or the signer from the operator's evidence.
Spec: docs/spec/services.md, "Verifying".
"""

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sealroom.client.home import Home
from sealroom.client.locking import fetch_from_index
from sealroom.client.transport import Progress
from sealroom.client.verification import ROOTS, own_release
from sealroom.client.wheel_store import WheelStore
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.service import (
    ServiceAppraisal,
    accepted_service,
    appraise_service_evidence,
    insecure_simulated_service,
)
from sealroom.core.evidence.service_expectations import ServiceExpectations
from sealroom.core.measurement.requirements import parse_requirements
from sealroom.core.measurement.service_package import ServicePackage
from sealroom.core.wire.service_evidence import ServiceEvidence
from sealroom.core.wire.verified_service import SimulatedService, VerifiedService


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceQuestion:
    """What is asked of one evidence file. `collateral` is one's own file, `None` to judge the evidence's.

    `service` is the id where it is known, `host` what will be called.
    """

    evidence: bytes
    package: ServicePackage
    policy: Policy
    service: UUID | None = None
    host: str | None = None
    collateral: bytes | None = None
    insecure_accept_plain: bool = False

    @property
    def documents(self) -> bytes | None:
        """The documents about the platform that are judged: one's own, or the evidence's."""
        if self.collateral is not None:
            return self.collateral
        shown = ServiceEvidence.from_bytes(self.evidence).collateral
        return None if shown is None else json.dumps(shown.to_value()).encode("ascii")


def fetch_service_wheels(question: ServiceQuestion, home: Home, *, progress: Progress | None = None) -> None:
    """Download the wheels that the package names and that this home does not have."""
    requirements = parse_requirements(question.package.requirements or b"")
    fetch_from_index(requirements, WheelStore(home), progress=progress)


def assess_service(question: ServiceQuestion, home: Home, *, now: datetime) -> ServiceAppraisal:
    """Make every check; what comes back decides nothing. Raises `MalformedError` for what is no evidence."""
    requirements = parse_requirements(question.package.requirements or b"")
    return appraise_service_evidence(
        question.evidence,
        collateral=question.collateral,
        policy=question.policy,
        expected=ServiceExpectations.of_package(
            question.package,
            service=question.service,
            host=question.host,
            insecure_accept_plain=question.insecure_accept_plain,
        ),
        release=own_release(home),
        wheels=WheelStore(home).known(requirements),
        roots=ROOTS,
        now=now,
    )


def decide_service(
    appraisal: ServiceAppraisal, *, insecure_accept_simulated: bool
) -> VerifiedService | SimulatedService:
    """Return what was verified, or raise the refusal; a simulated service only where that is asked for."""
    if insecure_accept_simulated and appraisal.verdict.passed_but_simulated:
        return insecure_simulated_service(appraisal)
    return accepted_service(appraisal)
