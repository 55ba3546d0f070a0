"""The capability report in plain words, for people who do not program."""

from __future__ import annotations

from collections.abc import Iterator

import click

from sealroom.cli.amounts import bytes_text, plural, seconds_text
from sealroom.cli.console import Console
from sealroom.core.evidence.capabilities import Capabilities, CapabilityReport, InputSource
from sealroom.core.wire.terms import LogRelease, Tee

_MOST_FILES = 12
_NOBODY = "nobody"


def print_capabilities(report: CapabilityReport, console: Console) -> None:
    """Print what the program could do with what is delivered, or why nothing can be said about that."""
    click.secho("What this program could do, as measured", bold=True)
    if report.capabilities is None:
        click.echo(f"  nothing can be said: {report.because} did not pass, so what would run is not known")
        click.echo()
        return
    for label, text in _lines(report.capabilities):
        console.row(label, text)
    click.echo()


def capabilities_document(report: CapabilityReport) -> dict[str, object]:
    """Return the report as JSON: `capabilities`, and where there are none, the check that is missing."""
    found = report.capabilities
    return {
        "capabilities": None if found is None else found.to_value(),
        "capabilities_unknown_because": report.because,
    }


def _lines(found: Capabilities) -> Iterator[tuple[str, str]]:
    yield from _code(found)
    for source in found.inputs:
        yield "can read", _input(source)
    if not found.inputs:
        yield "can read", "nobody's data: there is no Data Provider"
    yield from _leaving(found)
    limits = found.limits
    yield (
        "runs",
        f"for {seconds_text(limits.max_seconds)} at most, in {bytes_text(limits.max_memory)} of memory",
    )
    yield "network", "none: it is given no way to another machine"
    yield "programs", "none: it is given no way to start another one"
    yield "files", "none but its results, and a temporary folder inside the enclave"
    yield "but know", "a limit bounds how much leaves, not what: results and log can carry any of the data."
    yield "", "What holds a program in, and what does not: docs/limits.md."
    if found.tee is Tee.SIMULATED:
        yield (
            "",
            "The enclave is simulated: whoever runs it reads all of this, and nothing here holds them off.",
        )


def _code(found: Capabilities) -> Iterator[tuple[str, str]]:
    yield "program by", found.code_by
    for part in sorted(found.code, key=lambda part: not part.is_readable)[:_MOST_FILES]:
        if part.is_readable:
            lines = f", {plural(found.entry_lines, 'line')}" if part.path == "run.py" else ""
            who = f"{bytes_text(part.size)}{lines}; you can read it: sealroom code show {found.computation}"
        else:
            who = f"{bytes_text(part.size)}, encrypted: its provider and the enclave alone read it"
        yield "", f"{part.path}: {who}"
    if len(found.code) > _MOST_FILES:
        rest = sorted(found.code, key=lambda part: not part.is_readable)[_MOST_FILES:]
        size = bytes_text(sum(part.size for part in rest))
        yield "", f"and {plural(len(rest), 'more file')}, encrypted, {size} in all"
    yield "packages", ", ".join(package.title for package in found.packages) or "none of its own"


def _input(source: InputSource) -> str:
    if source.files is None:
        return (
            f"all data of {source.email}: what it is, that person commits to with the delivery, and the "
            "receipt names it"
        )
    files = ", ".join(f"{file.name} ({bytes_text(file.size)} sealed)" for file in source.files) or "no file"
    return f"all data of {source.email}, which is you: {files}"


def _leaving(found: Capabilities) -> Iterator[tuple[str, str]]:
    limits, consumers = found.limits, ", ".join(found.results_for)
    if consumers:
        yield (
            "results",
            f"for {consumers}, {bytes_text(limits.max_output_bytes)} in all at most; nobody else opens them",
        )
    else:
        yield "results", f"for {_NOBODY}: there is no Result Consumer"
    most, readers = bytes_text(limits.max_log_bytes), ", ".join(found.log_readers)
    yield (
        "prints",
        {
            LogRelease.NONE: f"for {_NOBODY}: no log leaves the enclave",
            LogRelease.PARTICIPANTS: f"up to {most} that all participants read: {readers}",
            LogRelease.PUBLIC: f"up to {most} that everybody can read, the operator too",
        }[found.logs],
    )
    yield (
        "for all to see",
        "how it ended, how long it took, the number, names and sizes of results, and of a failure its kind, "
        "file and line",
    )
