"""The values that say an enclave was verified.

`VerifiedEnclave` is built in one place of `core.evidence` alone, and a test holds the project to it; it is
defined here so that sealing can ask for it by type without knowing how quotes are verified.

The two share no base: must never be possible to pass a simulated enclave where a verified one is asked for.
"""

from dataclasses import dataclass
from datetime import datetime

from sealroom.core.wire.arguments import Arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEnclave:
    """An enclave whose evidence was verified to Intel's key, by one policy, at one moment.

    `verified_at` is the moment that the verification was made for; whoever delivers to the enclave checks
    how long ago that is.
    """

    arguments: Arguments
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes
    verified_at: datetime
    policy_name: str
    tcb_status: str
    advisories: tuple[str, ...]
    bundle_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEnclave:
    """A simulated enclave whose evidence passed the same steps, and which protects nothing from its host."""

    arguments: Arguments
    mrenclave: bytes
    identity_pk: bytes
    box_pk: bytes
    verified_at: datetime
    policy_name: str
    tcb_status: str
    advisories: tuple[str, ...]
    bundle_sha256: bytes
