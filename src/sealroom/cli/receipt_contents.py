"""What an enclave signed, in words: of a run what went in and came out, or why it refused.

Only of receipts whose signatures were verified before. Names in it are other people's, and shown as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from sealroom.cli.amounts import bytes_text, plural
from sealroom.cli.console import Console
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.delivery import RefusalReason
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing, Opening, Outcome, Refusal

UNFINISHED = (
    "not signed: its process died, or somebody keeps the end back, so how it ended is the server's claim and "
    "not the enclave's; no result or log is the run's"
)
_OUTCOMES = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.LIMIT: "ended by a limit: time, memory, output or number of results",
}
_REASONS = {
    RefusalReason.BOX_UNREADABLE: "a participant's sealed key could not be opened",
    RefusalReason.BOX_OF_ANOTHER_STATEMENT: "a participant's sealed key belongs to another delivery",
    RefusalReason.COMMITMENT: "a participant's commitment to data is missing, or is there without data",
    RefusalReason.WORDS_DIFFER: "not everybody had the same words of the invitation",
    RefusalReason.DATA_KEYS_EQUAL: "two participants delivered one and the same key",
    RefusalReason.INPUTS_DIFFER: "the data were not those that their provider committed to",
    RefusalReason.CODE_SIGNATURE: "the program was not signed by its provider",
    RefusalReason.CODE_UNREADABLE: "the program could not be decrypted",
    RefusalReason.CANCELLED: "it was ended before it ran",
    RefusalReason.EXPIRED: "not all keys came in time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The parts of a verified receipt: a run, ended or not, or a refusal."""

    opening: Opening | None
    closing: Closing | None
    refusal: Refusal | None

    @property
    def arguments(self) -> Arguments | None:
        """The measured arguments, as the opening has them."""
        return None if self.opening is None else parse_arguments(self.opening.arguments)


def contents_document(contents: Contents) -> dict[str, object] | None:
    """Return what was signed as JSON; `None` where nothing was verified."""
    if contents.refusal is not None:
        return {"kind": "refusal", "reason": contents.refusal.reason.value}
    opening, arguments = contents.opening, contents.arguments
    if opening is None or arguments is None:
        return None
    return {
        "kind": "run",
        "computation": str(opening.computation),
        "tee": opening.tee.value,
        "agreement": opening.agreement.hex(),
        "code": opening.code.hex(),
        "participants": [
            {"role": p.role.value, "index": p.index, "email": p.email, "public_key": p.public_key.hex()}
            for p in arguments.participants
        ],
        "inputs": [
            {"provider": f.provider, "name": f.name, "size": f.size, "sha256": f.sha256.hex()}
            for f in opening.inputs
        ],
        "ending": None if contents.closing is None else _ending(contents.closing),
    }


def _ending(closing: Closing) -> dict[str, object]:
    failure = closing.failure
    return {
        "outcome": closing.outcome.value,
        "exit_code": closing.exit_code,
        "host_started": closing.host_started.isoformat(),
        "host_ended": closing.host_ended.isoformat(),
        "bytes_out": closing.bytes_out,
        "bytes_log": closing.bytes_log,
        "failure": failure and {"type": failure.type, "file": failure.file, "line": failure.line},
        "results": [
            {"consumer": o.consumer, "name": o.name, "sha256": o.sha256.hex()} for o in closing.outputs
        ],
        "log": None if closing.log_sha256 is None else closing.log_sha256.hex(),
    }


def print_contents(contents: Contents, console: Console) -> None:
    """Print what was signed for a person; nothing where nothing was verified."""
    lines = tuple(_lines(contents))
    if not lines:
        return
    click.secho("What the enclave signed", bold=True)
    for label, text in lines:
        console.row(label, text)
    click.echo()


def _lines(contents: Contents) -> Iterator[tuple[str, str]]:
    if contents.refusal is not None:
        reason = contents.refusal.reason
        yield "refused", f"{reason.value}: {_REASONS[reason]}"
        yield "", "it wiped its keys first, and can never run under this contract"
        return
    opening, arguments = contents.opening, contents.arguments
    if opening is None or arguments is None:
        return
    yield "computation", str(opening.computation)
    yield "code by", arguments.terms.code_provider
    yield from _inputs(opening, arguments)
    if contents.closing is None:
        yield "ended", UNFINISHED
    else:
        yield from _ended(contents.closing, arguments)


def _inputs(opening: Opening, arguments: Arguments) -> Iterator[tuple[str, str]]:
    for provider in arguments.in_role(Role.DATA_PROVIDER):
        files = [file for file in opening.inputs if file.provider == provider.index]
        yield "data by", f"{provider.email}, {plural(len(files), 'file')}"
        for file in files:
            yield "", f"  {file.name}, {bytes_text(file.size)} sealed"


def _ended(closing: Closing, arguments: Arguments) -> Iterator[tuple[str, str]]:
    failure = closing.failure
    where = "" if failure is None else f": {failure.type} at {failure.file}, line {failure.line}"
    yield "ended", f"{_OUTCOMES[closing.outcome]}{where}"
    started, ended = closing.host_started, closing.host_ended
    yield "ran", f"{started:%Y-%m-%d %H:%M:%S} to {ended:%Y-%m-%d %H:%M:%S} UTC, by the host's clock"
    for consumer in arguments.in_role(Role.RESULT_CONSUMER):
        names = [output.name for output in closing.outputs if output.consumer == consumer.index]
        yield "results for", f"{consumer.email}, {plural(len(names), 'file')}"
        for name in names:
            yield "", f"  {name}"
    yield "results", f"{bytes_text(closing.bytes_out)} in all, with their names"
    log = "none left the enclave"
    if closing.log_sha256 is not None:
        log = f"sealed for {arguments.terms.logs.value}, {bytes_text(closing.bytes_log)} when padded"
        if arguments.terms.logs.value == "public":
            log = f"readable for everybody, {bytes_text(closing.bytes_log)} when padded"
    yield "log", log
