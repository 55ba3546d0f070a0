"""The answer to a verification, check by check, for a person and for a program.

A verdict is an ordered tree. Each check says what was observed, what is required, what it means in one
sentence, what to do about it and where the rule stands; or why it was not reached. Nothing here decides
anything: the outcome of a whole is that of its worst part.

Spec: docs/spec/verification.md, "The verdict".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sealroom.core.errors import CollateralError, VerificationError
from sealroom.core.wire.strict_json import JsonValue


class Outcome(Enum):
    """How a check ended. `SIMULATED` stands where only Intel's root is missing, and never means accepted."""

    PASSED = "passed"
    SIMULATED = "simulated"
    NOT_REACHED = "not-reached"
    FAILED = "failed"


class Blame(Enum):
    """Whose fault a failed check is."""

    MALFORMED = "malformed"
    EVIDENCE = "evidence"
    COLLATERAL = "collateral"
    POLICY = "policy"


class Decision(Enum):
    """What a verdict comes to."""

    ACCEPTED = "ACCEPTED"
    SIMULATED = "SIMULATED"
    REFUSED = "REFUSED"


# The worst part decides: `max` over this order.
_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. `because` is set exactly where it was not reached, `blame` exactly where it failed."""

    name: str
    title: str
    outcome: Outcome
    observed: str
    required: str
    meaning: str
    remedy: str
    source: str
    because: str | None = None
    blame: Blame | None = None
    parts: tuple["Check", ...] = ()

    def to_value(self) -> JsonValue:
        """Return the check as JSON, parts inside."""
        return {
            "name": self.name,
            "title": self.title,
            "outcome": self.outcome.value,
            "observed": self.observed,
            "required": self.required,
            "meaning": self.meaning,
            "remedy": self.remedy,
            "source": self.source,
            "because": self.because,
            "blame": None if self.blame is None else self.blame.value,
            "checks": [part.to_value() for part in self.parts],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckGroup:
    """Checks that answer one question together."""

    name: str
    title: str
    parts: tuple[Check, ...]

    @property
    def outcome(self) -> Outcome:
        """The outcome of the worst part."""
        return worst(part.outcome for part in self.parts)

    def to_value(self) -> JsonValue:
        """Return the group as JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "outcome": self.outcome.value,
            "checks": [part.to_value() for part in self.parts],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks of one verification, under one policy, at one moment.

    `status` and `advisories` are there as soon as verified documents gave them, also in a refusal.
    `is_simulated` is decided by the quote's root key alone.
    """

    policy_name: str
    at: datetime
    is_simulated: bool
    status: str | None
    advisories: tuple[str, ...]
    mrenclave: bytes | None
    groups: tuple[CheckGroup, ...]

    @property
    def decision(self) -> Decision:
        """`SIMULATED` under any root but Intel's, else whether every single check passed."""
        if self.is_simulated:
            return Decision.SIMULATED
        return Decision.ACCEPTED if self.outcome is Outcome.PASSED else Decision.REFUSED

    @property
    def outcome(self) -> Outcome:
        """The outcome of the worst check."""
        return worst(group.outcome for group in self.groups)

    @property
    def accepted(self) -> bool:
        """Whether the enclave is genuine and what was asked for."""
        return self.decision is Decision.ACCEPTED

    @property
    def passed_but_simulated(self) -> bool:
        """Whether nothing is wrong except that the enclave is simulated, and so protects nothing."""
        return self.is_simulated and self.outcome is Outcome.SIMULATED

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check, without the tree."""
        return tuple(flat for group in self.groups for part in group.parts for flat in _flattened(part))

    @property
    def failures(self) -> tuple[Check, ...]:
        """The failed checks in order; the first is the one to tell a person."""
        return tuple(check for check in self.checks if check.outcome is Outcome.FAILED and not check.parts)

    def to_value(self) -> JsonValue:
        """Return the verdict as JSON."""
        return {
            "accepted": self.accepted,
            "verdict": self.decision.value,
            "passed_but_simulated": self.passed_but_simulated,
            "policy": self.policy_name,
            "at": self.at.isoformat(),
            "status": self.status,
            "advisories": list(self.advisories),
            "mrenclave": None if self.mrenclave is None else self.mrenclave.hex(),
            "checks": [group.to_value() for group in self.groups],
        }


class RefusedEvidenceError(VerificationError):
    """Evidence that is not believed, or not what was asked for. `verdict` says all of it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(_summary(verdict))
        self.verdict = verdict


class UnusableCollateralError(CollateralError):
    """Evidence that cannot be judged: what Intel publishes about the platform is missing or stale."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(_summary(verdict))
        self.verdict = verdict


def refusal(verdict: Verdict) -> RefusedEvidenceError | UnusableCollateralError:
    """Return the error for a verdict that does not accept; collateral is to blame only if nothing else is."""
    failures = verdict.failures
    if failures and all(check.blame is Blame.COLLATERAL for check in failures):
        return UnusableCollateralError(verdict)
    return RefusedEvidenceError(verdict)


def worst(outcomes: Iterator[Outcome]) -> Outcome:
    """Return the worst of `outcomes`; of none, `NOT_REACHED`, for nothing was shown."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=Outcome.NOT_REACHED)


def _flattened(check: Check) -> Iterator[Check]:
    yield check
    for part in check.parts:
        yield from _flattened(part)


def _summary(verdict: Verdict) -> str:
    failures = verdict.failures
    if failures:
        return f"{failures[0].name}: {failures[0].observed}"
    unreached = next((check for check in verdict.checks if check.outcome is Outcome.NOT_REACHED), None)
    if unreached is not None:
        return f"{unreached.name}: not reached, {unreached.because}"
    if verdict.is_simulated:
        return "quote.root: the enclave is simulated, and nobody asked for that"
    return "nothing was checked"
