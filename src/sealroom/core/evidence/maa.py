"""What a participant asks of an enclave that Microsoft Azure Attestation vouches for.

A second kind of evidence: it takes the service's word for what `core.evidence.verify` checks itself, and so
never makes a `VerifiedEnclave`. Nothing is accepted by default.

Spec: docs/spec/maa.md, "Policy".
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sealroom.core.attestation.maa import EnclaveClaims, MaaClaims, verify_maa_token
from sealroom.core.attestation.maa_keys import MaaKeySet
from sealroom.core.errors import MalformedError, PolicyError, VerificationError
from sealroom.core.evidence.policy import SignerRule, Word

MAX_LEEWAY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaaPolicy:
    """What is asked of a token; every member is required, only `Word.ANY` leaves one open."""

    issuer: str
    measurement: frozenset[bytes] | SignerRule
    report_data: bytes | Word
    policy_hashes: frozenset[bytes] | Word
    leeway: timedelta

    def __post_init__(self) -> None:
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            # A set that is no frozenset, or a text for bytes, would read as a rule that was left open.
            if not isinstance(value, kinds):
                raise MalformedError(f"maa policy {name}: {type(value).__name__} is no type of this member")
        if not self.issuer.startswith("https://") or self.issuer.endswith("/"):
            raise MalformedError("maa policy issuer: expected https://..., without a slash at the end")
        for name in ("measurement", "policy_hashes"):
            value = getattr(self, name)
            if isinstance(value, frozenset) and (not value or any(len(digest) != 32 for digest in value)):
                raise MalformedError(f"maa policy {name}: expected digests of 32 bytes, at least one")
        if isinstance(self.report_data, bytes) and len(self.report_data) != 64:
            raise MalformedError(f"maa policy report_data: {len(self.report_data)} bytes, expected 64")
        if any(value in (Word.NONE, Word.RECOMPUTED) for value in (self.report_data, self.policy_hashes)):
            raise MalformedError("maa policy: the only word that has a meaning here is 'any'")
        if not timedelta(0) <= self.leeway <= MAX_LEEWAY:
            raise MalformedError("maa policy leeway: expected 0 to 5 minutes")


_KINDS: dict[str, tuple[type, ...]] = {
    "issuer": (str,),
    "measurement": (frozenset, SignerRule),
    "report_data": (bytes, Word),
    "policy_hashes": (frozenset, Word),
    "leeway": (timedelta,),
}


def verify_maa_evidence(raw: bytes, *, policy: MaaPolicy, keys: MaaKeySet, now: datetime) -> MaaClaims:
    """Return a token's claims if they are the service's and what `policy` asks for.

    1. The token is the issuer's and valid (`verify_maa_token`). 2. Not debuggable. 3. The measurement. 4. The
    report data. 5. The policy behind the token. Raises `VerificationError`, `PolicyError` among them, or
    `MalformedError`.
    """
    claims = verify_maa_token(raw, keys=keys, issuer=policy.issuer, leeway=policy.leeway, now=now)
    if claims.enclave.debug:
        raise VerificationError("is-debuggable: the host can read this enclave")
    _check_measurement(claims.enclave, policy)
    _check_report_data(claims, policy)
    if isinstance(policy.policy_hashes, frozenset) and claims.policy_hash not in policy.policy_hashes:
        raise PolicyError(f"x-ms-policy-hash: {claims.policy_hash.hex()} is none that the policy accepts")
    return claims


def _check_measurement(enclave: EnclaveClaims, policy: MaaPolicy) -> None:
    rule = policy.measurement
    if isinstance(rule, frozenset):
        if enclave.mrenclave not in rule:
            raise PolicyError(f"mrenclave: {enclave.mrenclave.hex()} is none that the policy accepts")
        return
    if enclave.mrsigner != rule.mrsigner:
        raise PolicyError(f"mrsigner: {enclave.mrsigner.hex()}, expected {rule.mrsigner.hex()}")
    if enclave.product != rule.product:
        raise PolicyError(f"product: {enclave.product}, expected {rule.product}")
    if enclave.svn < rule.min_svn:
        raise PolicyError(f"svn: {enclave.svn}, expected at least {rule.min_svn}")


def _check_report_data(claims: MaaClaims, policy: MaaPolicy) -> None:
    if not isinstance(policy.report_data, bytes):
        return
    if claims.report_data is None:
        raise VerificationError("x-ms-sgx-report-data: missing, so nothing is bound")
    if not hmac.compare_digest(claims.report_data, policy.report_data):
        raise PolicyError("x-ms-sgx-report-data: not what the policy asks for")
