"""`sealroom manifest check`: how many files, how many megabytes, and what to change."""

from __future__ import annotations

from pathlib import Path

import click

from sealroom.cli.exit_codes import ExitCode
from sealroom.cli.manifest_files import (
    BASE,
    BASE_HELP,
    listed_files,
    print_weight,
    weigh,
    weight_document,
)
from sealroom.cli.measured_inputs import read_manifest
from sealroom.cli.options import INPUT_FILE, Invocation, command_options
from sealroom.core.measurement.findings import Finding, Severity, Weight, find_faults
from sealroom.core.measurement.manifest import parse_manifest


@click.command("check")
@click.argument("manifest", type=INPUT_FILE)
@click.option("--base", type=BASE, default=Path(), help=BASE_HELP)
@command_options
def command(invocation: Invocation, manifest: Path, base: Path) -> int:
    """Check MANIFEST, as written or as signed: its weight, and what makes it insecure or slow.

    Exits 0 where nothing is insecure and nothing keeps it from starting. That is advice to its author; what a
    participant accepts is decided by `sealroom evidence verify`.
    """
    document = parse_manifest(read_manifest(manifest))
    weight = weigh(listed_files(document, base), base)
    findings = find_faults(document, weight)
    invocation.console.result(_document(weight, findings), lambda: _print(invocation, weight, findings))
    serious = any(finding.severity in (Severity.BROKEN, Severity.INSECURE) for finding in findings)
    return ExitCode.REFUSED if serious else ExitCode.DONE


def _document(weight: Weight, findings: tuple[Finding, ...]) -> dict[str, object]:
    rows = [
        {
            "severity": finding.severity.value,
            "key": finding.key,
            "meaning": finding.meaning,
            "advice": finding.advice,
        }
        for finding in findings
    ]
    return {**weight_document(weight), "findings": rows}


def _print(invocation: Invocation, weight: Weight, findings: tuple[Finding, ...]) -> None:
    print_weight(invocation.console, weight)
    rows = [(f.severity.value, f.key, f.meaning, f.advice) for f in findings]
    invocation.console.table(("", "key", "means", "do"), rows, empty="nothing to change")
