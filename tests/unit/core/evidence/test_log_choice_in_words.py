"""What a verdict says about the log, and what a policy may ask of it."""

import evidence_world as w
from evidence_changes import by, with_terms

from sealroom.core.evidence.verdict import Verdict
from sealroom.core.wire.terms import LogRelease


def observed(verdict: Verdict) -> str:
    (check,) = (c for c in verdict.checks if c.name == "contract.logs")
    return check.observed


def test_the_verdict_says_who_reads_what_is_printed() -> None:
    most = w.TERMS.limits.max_log_bytes
    said = observed(w.appraised(w.world()))
    assert said == f"all participants can read all that the program prints, up to {most} bytes"
    assert "nothing that the program prints" in observed(with_terms(logs=LogRelease.NONE))


def test_a_policy_may_demand_that_no_log_leaves() -> None:
    verdict = by(logs=frozenset({LogRelease.NONE}))
    assert [check.name for check in verdict.failures] == ["contract.logs"]
