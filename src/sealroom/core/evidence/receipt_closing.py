"""The checks of a receipt's closing.

Spec: docs/spec/receipt.md, "Verifying", a run, 4.
"""

from sealroom.core.errors import VerificationError
from sealroom.core.evidence.receipt_rules import check_same
from sealroom.core.evidence.record import Record
from sealroom.core.sealing.log import padded_size
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.dsse_verification import verify_envelope
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing, Opening
from sealroom.core.wire.receipt_parsing import parse_closing
from sealroom.core.wire.terms import LogRelease


def appraise_closing(
    record: Record, envelope: Envelope, *, opening: Opening, opening_payload: bytes, arguments: Arguments
) -> Closing | None:
    """Record the checks 4.1 to 4.4; return the closing once the run key signed it and it has its form.

    `opening` and its payload were verified before: the run key comes from there and from nowhere else.
    """
    payload = record.check(
        "closing.signature",
        lambda: verify_envelope(envelope, public_key=opening.run_key),
        "made by the opening's run key",
    )
    if payload is None:
        return None
    closing = record.check("closing.form", lambda: parse_closing(payload), _describe)
    if closing is None:
        return None
    record.rule(
        "closing.opening",
        lambda: check_belongs(closing, opening=opening, opening_payload=opening_payload),
        "this opening",
    )
    log = "no log" if closing.log_sha256 is None else "a log"
    record.rule(
        "closing.outputs",
        lambda: check_outputs(closing, arguments),
        f"{len(closing.outputs)} results of {closing.bytes_out} bytes with their names, {log}",
    )
    return closing


def _describe(closing: Closing) -> str:
    return (
        f"{closing.outcome.value}, from {closing.host_started.isoformat()} to "
        f"{closing.host_ended.isoformat()} by the host's clock"
    )


def check_belongs(closing: Closing, *, opening: Opening, opening_payload: bytes) -> None:
    """Refuse a closing of another opening or contract."""
    check_same("opening_sha256", closing.opening_sha256, sha256(opening_payload))
    check_same("agreement", closing.agreement, opening.agreement)


def check_outputs(closing: Closing, arguments: Arguments) -> None:
    """Refuse outputs that the contract does not provide for: their readers, their size, the log."""
    consumers = len(arguments.in_role(Role.RESULT_CONSUMER))
    strangers = [output.consumer for output in closing.outputs if output.consumer >= consumers]
    if strangers:
        raise VerificationError(f"results: one for result-consumer {strangers[0]}, who is not listed")
    limits, logs = arguments.terms.limits, arguments.terms.logs
    if closing.bytes_out > limits.max_output_bytes:
        raise VerificationError(
            f"bytes_out: got {closing.bytes_out}, expected at most {limits.max_output_bytes}"
        )
    if (closing.log_sha256 is None) is not (logs is LogRelease.NONE):
        raise VerificationError(f"log: not what logs={logs.value} says")
    # The log is padded, so that its size says little: the bound is that of a full one.
    most = 0 if logs is LogRelease.NONE else padded_size(limits.max_log_bytes)
    if closing.bytes_log > most:
        raise VerificationError(f"bytes_log: got {closing.bytes_log}, expected at most {most}")
