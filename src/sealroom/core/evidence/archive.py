"""Decide what a receipt is worth from two files alone, receipt and evidence bundle, in one verdict.

For whoever keeps them: a participant years later, an auditor who was never invited. First the evidence, by
every check of a delivery; then the receipt, with the keys that it proved. Must never make anything that a key
could be delivered to, nor look at a receipt whose enclave was not believed.

Spec: docs/spec/receipt.md, "From files alone".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sealroom.core.evidence.expectations import Expectations
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.receipt import (
    AppraisedReceipt,
    ReceiptAnchor,
    appraise_signed,
    unreached_groups,
)
from sealroom.core.evidence.verdict import CheckGroup, Outcome, Verdict, worst
from sealroom.core.evidence.verify import Appraisal, appraise_whole
from sealroom.core.measurement.packages import Wheels
from sealroom.core.measurement.release import Release
from sealroom.core.wire.receipt import Closing, Opening, Refusal

# What only an invitation could be compared with. Nobody else can make these, and a receipt says so instead.
_NEED_AN_INVITATION = (
    "contract.computation",
    "contract.terms",
    "contract.own-roles",
    "contract.participants",
    "code.expected",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRun:
    """The verdict over both files, and what was signed, each once its signature and form held.

    `anchor` is `None` where the evidence was not believed; then nothing of the receipt was looked at. What is
    here was said by that enclave, and is worth what `verdict` says.
    """

    verdict: Verdict
    anchor: ReceiptAnchor | None = None
    opening: Opening | None = None
    closing: Closing | None = None
    refusal: Refusal | None = None


def appraise_archive(
    receipt: bytes,
    bundle: bytes,
    *,
    policy: Policy,
    expected: Expectations | None,
    release: Release,
    wheels: Wheels,
    roots: Sequence[bytes],
    now: datetime,
) -> ArchivedRun:
    """Judge evidence and receipt as of `now`, which may be long past: the bundle has its documents with it.

    1. Every check of `appraise` over the bundle. Without `expected`, those that compare with an invitation
    are left out, and the receipt's own check says that nobody compared people and terms; unless `policy` asks
    for pinned keys, which nobody can see without one. 2. If all of them passed, or only Intel's root was
    missing, every check of `appraise_receipt` with the keys that the evidence proved.

    A moment in the past says what was known then. It does not say that the run was then: whoever took part
    knows that, and the receipt's times are the host's. Raises `MalformedError` for what is no receipt or no
    bundle, and nothing else.
    """
    unreached = unreached_groups(receipt)
    whole = appraise_whole(
        bundle, policy=policy, expected=expected, release=release, wheels=wheels, roots=roots, now=now
    )
    groups = whole.verdict.groups
    if expected is None and not isinstance(policy.require_pinned, frozenset):
        groups = tuple(_without_invitation(group) for group in groups)
    anchor = None
    if worst(group.outcome for group in groups) in (Outcome.PASSED, Outcome.SIMULATED):
        anchor = _anchor(whole, people_compared=expected is not None)
    signed = AppraisedReceipt(groups=unreached) if anchor is None else appraise_signed(receipt, anchor)
    return ArchivedRun(
        verdict=replace(whole.verdict, groups=(*groups, *signed.groups)),
        anchor=anchor,
        opening=signed.opening,
        closing=signed.closing,
        refusal=signed.refusal,
    )


def _without_invitation(group: CheckGroup) -> CheckGroup:
    parts = tuple(check for check in group.parts if check.name not in _NEED_AN_INVITATION)
    return replace(group, parts=parts)


def _anchor(whole: Appraisal, *, people_compared: bool) -> ReceiptAnchor:
    tcb, mrenclave = whole.tcb, whole.mrenclave
    arguments, box_pk = whole.arguments, whole.box_pk
    if tcb is None or mrenclave is None or arguments is None or box_pk is None:
        raise RuntimeError("verdict: nothing failed, and a part is missing")
    return ReceiptAnchor(
        arguments=arguments,
        mrenclave=mrenclave,
        identity_pk=whole.identity_pk,
        box_pk=box_pk,
        verified_at=whole.verdict.at,
        policy_name=whole.verdict.policy_name,
        tcb_status=tcb.status.value,
        advisories=tcb.advisories,
        is_simulated=whole.verdict.is_simulated,
        people_compared=people_compared,
    )
