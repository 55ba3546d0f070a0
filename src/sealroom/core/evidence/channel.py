"""Decide whether one connection ends in the enclave of a certificate that was verified before.

A quote in a certificate proves where a key was made. Only a fresh quote over the caller's own nonce and the
connection's exporter proves that the other end of this connection is in that enclave: who has a copy of the
key can relay, and a relay has two connections.

Spec: docs/spec/services.md, "Channel challenge".
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sealroom.core.attestation.collateral import VerifiedCollateral
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.lone_quote import conclude, record_quote
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.quote_catalogue import QUOTE_GROUPS
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import Verdict, refusal

_LEAVE = "Send nothing: something stands between you and the enclave."

CHANNEL = GroupText(
    name="channel",
    title="Does this connection end in the enclave?",
    checks=(
        CheckText(
            name="channel.binding",
            title="Binding of the connection",
            required="the quote's report data binds your nonce, this connection and the key that it showed",
            meaning="The enclave itself has this connection's keys, not somebody who passes it on.",
            remedy=_LEAVE,
        ),
        CheckText(
            name="channel.enclave",
            title="The same enclave",
            required="the MRENCLAVE of the certificate, or of the evidence, that you verified",
            meaning="It is the enclave that you verified, not another one.",
            remedy=_LEAVE,
        ),
    ),
)
CHANNEL_GROUPS = (*QUOTE_GROUPS, CHANNEL)
CHANNEL_PAGE = "docs/spec/services.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What a quote about one connection must say: these 64 bytes of report data, by this enclave.

    `mrenclave` is `None` where what was verified is no SGX enclave: then no connection is proven.
    """

    report_data: bytes
    mrenclave: bytes | None


def appraise_channel(
    quote: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    channel: Channel,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> Verdict:
    """Make every check of a quote about one connection; raises nothing for any bytes.

    1. to 4. The quote is genuine, its platform sound, the enclave closed to its host, its measurement
    accepted, all as in `appraise_quote`. 5. It binds `channel`, and is of that enclave.
    """
    record = Record(groups=CHANNEL_GROUPS, page=CHANNEL_PAGE)
    appraised = record_quote(record, quote, collateral, policy=policy, roots=roots, now=now)
    verdict = conclude(record, appraised, policy=policy, now=now)
    if appraised.verified is not None:
        report_data = appraised.verified.quote.body.report_data
        record.rule("channel.binding", lambda: _bound(report_data, channel), "bound")
        found = verdict.mrenclave
        record.rule("channel.enclave", lambda: _same(found, channel), _shown(found))
        verdict = conclude(record, appraised, policy=policy, now=now)
    return verdict


def verify_channel(
    quote: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    channel: Channel,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> Verdict:
    """Return the verdict of a quote that passed every check of `appraise_channel`, or raise its refusal."""
    verdict = appraise_channel(quote, collateral, channel=channel, policy=policy, roots=roots, now=now)
    if not verdict.accepted:
        raise refusal(verdict)
    return verdict


def insecure_verify_simulated_channel(
    quote: bytes,
    collateral: bytes | VerifiedCollateral | None,
    *,
    channel: Channel,
    policy: Policy,
    roots: Sequence[bytes],
    now: datetime,
) -> Verdict:
    """Do the same for a simulated enclave, which protects nothing; refuses one that is not simulated."""
    verdict = appraise_channel(quote, collateral, channel=channel, policy=policy, roots=roots, now=now)
    if not verdict.passed_but_simulated:
        raise refusal(verdict)
    return verdict


def _bound(report_data: bytes, channel: Channel) -> None:
    if not hmac.compare_digest(report_data, channel.report_data):
        raise VerificationError("report data: of another connection, nonce or key")


def _same(found: bytes | None, channel: Channel) -> None:
    wanted = channel.mrenclave
    if found is None or wanted is None or not hmac.compare_digest(found, wanted):
        raise VerificationError(f"mrenclave: {_shown(found)} on this connection, verified {_shown(wanted)}")


def _shown(mrenclave: bytes | None) -> str:
    return "none" if mrenclave is None else mrenclave.hex()
