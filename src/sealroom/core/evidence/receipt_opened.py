"""The checks of what a receipt names: that the containers are there, and that their reader can open them.

The signatures are over digests. These checks are for whoever holds a key, and are made after every other one
passed. How a container is had and opened is the caller's; here stands what has to come of it.

Spec: docs/spec/receipt.md, "What it hands out".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.record import Record
from sealroom.core.evidence.verdict import Blame, Check, CheckGroup, Outcome

OPENED_PAGE = "docs/spec/receipt.md, opened"

_LYING = "Ask the server again; if it stays, tell the others that somebody withheld or changed a container."
RESULTS = CheckText(
    name="opened.results",
    title="Your results",
    required="each is there with the digest of the closing, and opens with your key",
    meaning="You hold exactly what the program wrote for you in this run.",
    remedy=_LYING,
)
LOG = CheckText(
    name="opened.log",
    title="The log",
    required="it is there with the digest of the closing, and opens with a key that you have",
    meaning="You can read exactly what the program printed in this run.",
    remedy=_LYING,
)
TITLE = "Is what came out there, and can you open it?"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedResult:
    """One result: `open` returns the size of the plaintext, or raises `VerificationError`."""

    name: str
    open: Callable[[], int]


def appraise_opened(
    *,
    results: Sequence[NamedResult] | None,
    bytes_out: int,
    log: Callable[[], int] | None,
    because: str | None = None,
) -> CheckGroup:
    """Open everything, and return the checks of it.

    `results` are `None` for somebody who is no consumer, `log` where the caller has no key to one: these
    checks are left out. With `because` nothing is opened, and both stand there as not reached.
    """
    texts = tuple(
        text
        for text, mine in ((RESULTS, results is not None), (LOG, log is not None))
        if mine or because is not None
    )
    group = GroupText(name="opened", title=TITLE, checks=texts)
    record = Record(groups=(group,), page=OPENED_PAGE)
    if because is not None:
        for text in texts:
            record.not_reached(text.name, because)
        return record.groups()[0]
    if results is not None:
        _appraise_results(record, results, bytes_out)
    if log is not None:
        record.check(LOG.name, log, lambda size: f"{size} bytes of text")
    return record.groups()[0]


def _appraise_results(record: Record, results: Sequence[NamedResult], bytes_out: int) -> None:
    opened = [_open(record, index, result) for index, result in enumerate(results)]
    total = sum(size for _, size in opened if size is not None)
    if not results:
        record.rule(RESULTS.name, lambda: None, "none was written for you")
    elif total > bytes_out:
        record.rule(RESULTS.name, lambda: _refuse_more(total, bytes_out), "")
    else:
        count = sum(size is not None for _, size in opened)
        observed = f"{count} of {len(results)} opened, {total} bytes"
        record.parts(RESULTS.name, tuple(check for check, _ in opened), observed)


def _refuse_more(total: int, bytes_out: int) -> None:
    raise VerificationError(f"results: {total} bytes when opened, the closing says {bytes_out} in all")


def _open(record: Record, index: int, result: NamedResult) -> tuple[Check, int | None]:
    size, blame = None, None
    try:
        size = result.open()
        observed = f"{size} bytes when opened"
    except (VerificationError, MalformedError) as exc:
        observed, blame = str(exc), Blame.EVIDENCE
    check = record.part(
        RESULTS.name,
        name=str(index),
        title=result.name,
        outcome=Outcome.PASSED if blame is None else Outcome.FAILED,
        observed=observed,
        required=RESULTS.required,
        blame=blame,
    )
    return check, size
