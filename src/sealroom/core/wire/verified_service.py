"""The values that say a service's enclave was verified.

Built in one place of `core.evidence` alone, and a test holds the project to it; defined here so that sealing
and callers can ask for them by type. The two share no base: must never be possible to pass a simulated
service where a verified one is asked for.
"""

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.wire.service_arguments import ServiceArguments


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedService:
    """A service whose evidence was verified to Intel's key, by one policy, at one moment.

    `certificate` is the DER that it showed while it waited for its key, and `box_pk` what secrets are sealed
    to: both are gone when it is started again, and what is verified then is another.
    """

    arguments: ServiceArguments
    mrenclave: bytes
    box_pk: bytes
    certificate: bytes
    verified_at: datetime
    policy_name: str
    tcb_status: str
    advisories: tuple[str, ...]
    evidence_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedService:
    """A simulated service whose evidence passed the same steps, and which protects nothing from its host."""

    arguments: ServiceArguments
    mrenclave: bytes
    box_pk: bytes
    certificate: bytes
    verified_at: datetime
    policy_name: str
    tcb_status: str
    advisories: tuple[str, ...]
    evidence_sha256: bytes
