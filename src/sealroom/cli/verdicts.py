"""A verdict on the terminal: a banner that cannot be missed, every check, what to do about failures."""

from __future__ import annotations

import click

from sealroom.cli.amounts import plural
from sealroom.cli.console import Console
from sealroom.cli.exit_codes import ExitCode
from sealroom.core.evidence.verdict import Blame, Check, Decision, Outcome, Verdict

BANNERS = {
    Decision.ACCEPTED: (" ACCEPTED ", "green"),
    Decision.SIMULATED: (
        " SIMULATED: this enclave protects nothing from the operator of its machine ",
        "magenta",
    ),
    Decision.REFUSED: (" REFUSED ", "red"),
}
MARKS = {
    Outcome.PASSED: ("✓ ", "green"),
    Outcome.SIMULATED: ("~ ", "magenta"),
    Outcome.NOT_REACHED: ("· ", None),
    Outcome.FAILED: ("✗ ", "red"),
}
TITLE_WIDTH = 34


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print the whole verdict for a person."""
    text, colour = BANNERS[verdict.decision]
    if verdict.is_simulated and verdict.failures:
        failed = plural(len(verdict.failures), "check")
        text, colour = f" SIMULATED, AND REFUSED: {failed} failed ", "red"
    click.echo()
    click.secho(text.center(76), bold=True, fg="white", bg=colour)
    if verdict.mrenclave is not None:
        click.echo(f"MRENCLAVE {verdict.mrenclave.hex()}")
    # Signed by whoever owns the root key, which need not be Intel.
    advisories = (
        f", advisories {console.foreign(', '.join(verdict.advisories))}" if verdict.advisories else ""
    )
    click.echo(f"policy {verdict.policy_name}, TCB status {verdict.status or 'not known'}{advisories}")
    for group in verdict.groups:
        click.secho(f"\n{group.title}", bold=True)
        for check in group.parts:
            _print_check(check, console, depth=1)
    for check in verdict.failures:
        click.echo()
        click.secho(f"✗ {check.title}", fg="red", bold=True)
        for text in (
            f"observed: {check.observed}",
            f"required: {check.required}",
            f"{check.meaning} ({check.source})",
            f"what to do: {check.remedy}",
        ):
            click.echo("  ", nl=False)
            console.fold(text, hang=2)
    click.echo()


def verdict_document(verdict: Verdict, *, of: str) -> dict[str, object]:
    """Return a verdict as JSON; `of` says what was judged, `evidence` or `receipt`."""
    value = verdict.to_value()
    if not isinstance(value, dict):
        raise TypeError("a verdict is one JSON object")
    return {"of": of, **value}


def verdict_exit_code(verdict: Verdict, *, accept_simulated: bool) -> ExitCode:
    """Return a verdict's exit code; malformed evidence and unusable collateral have codes of their own."""
    if verdict.accepted or (accept_simulated and verdict.passed_but_simulated):
        return ExitCode.DONE
    blames = {check.blame for check in verdict.failures}
    if Blame.MALFORMED in blames:
        return ExitCode.MALFORMED
    return ExitCode.COLLATERAL if blames == {Blame.COLLATERAL} else ExitCode.REFUSED


def _print_check(check: Check, console: Console, *, depth: int) -> None:
    mark, colour = MARKS[check.outcome]
    click.secho("  " * depth + mark, fg=colour, nl=False)
    said = f"not reached, {check.because}" if check.outcome is Outcome.NOT_REACHED else check.observed
    click.echo(f"{check.title:<{TITLE_WIDTH}} ", nl=False)
    console.fold(said, hang=2 * depth + 2 + TITLE_WIDTH + 1)
    for part in check.parts:
        _print_check(part, console, depth=depth + 1)
