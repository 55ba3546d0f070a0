"""A quote without a bundle on the command line: `evidence verify --quote` and `evidence show --quote`.

Spec: docs/spec/quote-appraisal.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ParamSpec

import click

from sealroom.cli.console import read_file
from sealroom.cli.options import INPUT_FILE
from sealroom.core.attestation.quote import MAX_QUOTE_BYTES
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Outcome, Verdict
from sealroom.core.wire.bundle import MAX_COLLATERAL_BYTES

P = ParamSpec("P")

_MAX_CERTIFICATE_FILE = 64 * 1024
_OPTIONS = (
    click.Option(
        ["--quote"], type=INPUT_FILE, help="A quote alone, as bytes, instead of a computation or a bundle."
    ),
    click.Option(
        ["--collateral"],
        type=INPUT_FILE,
        help="With --quote: Intel's nine documents for the platform (see `evidence fetch`).",
    ),
    click.Option(
        ["--pck-chain"],
        type=INPUT_FILE,
        help="With --quote: the platform's certificates in PEM, for a quote that carries none.",
    ),
    click.Option(
        ["--insecure-root"],
        type=INPUT_FILE,
        help="With --quote: another root than Intel's, a certificate. The verdict is SIMULATED in any case.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneQuote:
    """A quote and what goes with it, as files."""

    quote: Path
    collateral: Path | None
    pck_chain: Path | None
    insecure_root: Path | None

    def appraise(self, policy: Policy, now: datetime) -> Verdict:
        """Run every check."""
        roots = (INTEL_SGX_ROOT_KEY,)
        if self.insecure_root is not None:
            roots = (*roots, _root_key(read_file(self.insecure_root, max_bytes=_MAX_CERTIFICATE_FILE)))
        return appraise_quote(
            _read(self.quote, MAX_QUOTE_BYTES + 1),
            None if self.collateral is None else _read(self.collateral, MAX_COLLATERAL_BYTES + 1),
            policy=policy,
            roots=roots,
            now=now,
            pck_chain=None if self.pck_chain is None else _read(self.pck_chain, _MAX_CERTIFICATE_FILE),
        )


def verifies_lone_quotes(function: Callable[P, int]) -> Callable[P, int]:
    """Let a command that verifies a target verify `--quote` instead of one."""
    return _extended(function, _verify)


def shows_lone_quotes(function: Callable[P, None]) -> Callable[P, int | None]:
    """Let a command that shows a target show `--quote` instead of one."""
    return _extended(function, _show)


def issuer(verdict: Verdict) -> str:
    """Say who vouches for a quote: what everything else in it is worth."""
    root = next(check for check in verdict.checks if check.name == "quote.root")
    if root.outcome is Outcome.PASSED:
        genuine = verdict.groups[0].outcome is Outcome.PASSED
        return "Intel" if genuine else "nobody: Intel's certificates, and a quote that they do not cover"
    if root.outcome is Outcome.SIMULATED:
        return "simulated: not Intel, it protects nothing from whoever runs it"
    return f"nobody: {root.observed or root.because}"


def _extended(function: Callable[P, object], own: Callable[..., int | None]) -> Callable[P, int | None]:
    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> int | None:
        files = {name: kwargs.pop(name) for name in ("quote", "collateral", "pck_chain", "insecure_root")}
        target = kwargs.get("target")
        if (target is None) is (files["quote"] is None):
            raise click.UsageError("expected either TARGET or --quote FILE")
        if files["quote"] is not None:
            kwargs.pop("target")
            return own(*args, lone=LoneQuote(**files), **kwargs)
        if given := [f"--{name.replace('_', '-')}" for name, value in files.items() if value is not None]:
            raise click.UsageError(f"{', '.join(given)} goes with --quote FILE")
        result = function(*args, **kwargs)
        return result if isinstance(result, int) else None

    for option in reversed(_OPTIONS):
        click.decorators._param_memo(command, option)
    return command
