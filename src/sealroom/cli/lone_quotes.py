"""A quote without a bundle on the command line: `evidence verify --quote` and `evidence show --quote`.

Spec: docs/spec/quote-appraisal.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from sealroom.adapters.policies import load_policy
from sealroom.cli.console import read_file
from sealroom.cli.options import INPUT_FILE, Invocation
from sealroom.cli.verdicts import print_verdict, verdict_exit_code
from sealroom.core.attestation.certificates import parse_certificate
from sealroom.core.attestation.pem import parse_pem
from sealroom.core.attestation.quote import MAX_QUOTE_BYTES, CertificationKind, parse_quote
from sealroom.core.attestation.reports import SgxReport, TdReport
from sealroom.core.attestation.roots import INTEL_SGX_ROOT_KEY
from sealroom.core.errors import MalformedError
from sealroom.core.evidence.lone_quote import appraise_quote
from sealroom.core.evidence.policy import Policy
from sealroom.core.evidence.verdict import Outcome, Verdict
from sealroom.core.wire.bundle import MAX_COLLATERAL_BYTES

P = ParamSpec("P")
R = TypeVar("R")

_MAX_CERTIFICATE_FILE = 64 * 1024
_OPTIONS = (
    click.option("--quote", type=INPUT_FILE, help="A quote alone, as bytes, instead of TARGET."),
    click.option(
        "--collateral",
        type=INPUT_FILE,
        help="With --quote: Intel's nine documents for the platform (see `evidence fetch`).",
    ),
    click.option(
        "--pck-chain",
        type=INPUT_FILE,
        help="With --quote: the platform's certificates in PEM, for a quote that carries none.",
    ),
    click.option(
        "--insecure-root",
        type=INPUT_FILE,
        help="With --quote: a root certificate other than Intel's. Its verdict is SIMULATED in any case.",
    ),
)
_FILES = ("quote", "collateral", "pck_chain", "insecure_root")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneQuote:
    """A quote and what goes with it, as files."""

    quote: Path
    collateral: Path | None
    pck_chain: Path | None
    insecure_root: Path | None

    def read(self) -> bytes:
        """Read the quote; once for a command, so that what is judged is what is shown."""
        return _read(self.quote, MAX_QUOTE_BYTES + 1)

    def appraise(self, raw_quote: bytes, policy: Policy, now: datetime) -> Verdict:
        """Run every check of `raw_quote`."""
        roots = [INTEL_SGX_ROOT_KEY]
        if self.insecure_root is not None:
            roots.append(_root_key(read_file(self.insecure_root, max_bytes=_MAX_CERTIFICATE_FILE)))
        self._check_chain_is_needed(raw_quote)
        return appraise_quote(
            raw_quote,
            None if self.collateral is None else _read(self.collateral, MAX_COLLATERAL_BYTES + 1),
            policy=policy,
            roots=roots,
            now=now,
            pck_chain=None if self.pck_chain is None else _read(self.pck_chain, _MAX_CERTIFICATE_FILE),
        )

    def _check_chain_is_needed(self, raw_quote: bytes) -> None:
        if self.pck_chain is None:
            return
        try:
            carried = parse_quote(raw_quote).certification.kind is CertificationKind.PCK_CHAIN
        except MalformedError:
            # The verdict says so.
            return
        if carried:
            raise click.UsageError("--pck-chain: this quote carries its certificates, which are used")

    def summary(self, now: datetime) -> dict[str, object]:
        """Return what the quote says, with who vouches for it in front."""
        raw_quote = self.read()
        quote = parse_quote(raw_quote)
        verdict = self.appraise(raw_quote, load_policy("insecure-any-status"), now)
        return {
            "issuer": issuer(verdict),
            **_body_summary(quote.body),
            "tcb_status": verdict.status,
            **({} if verdict.status else {"tcb_status_unknown_because": _why_unknown(verdict)}),
            "advisories": list(verdict.advisories),
            "tee": quote.header.tee.name.lower(),
            "version": quote.header.version,
            "report_data": quote.body.report_data.hex(),
            "trailing_bytes": len(quote.trailing),
        }


def verifies_lone_quotes(function: Callable[Concatenate[Invocation, P], int]) -> Callable[..., int]:
    """Let a command that verifies a target verify `--quote` instead of one."""

    def verify(
        invocation: Invocation, lone: LoneQuote, policy: str, at: datetime | None, accept_simulated: bool
    ) -> int:
        verdict = lone.appraise(lone.read(), load_policy(policy), at or datetime.now(UTC))
        return _print(invocation, verdict, accept_simulated=accept_simulated)

    @functools.wraps(function)
    def command(invocation: Invocation, *args: P.args, **kwargs: P.kwargs) -> int:
        lone = _taken(kwargs)
        if lone is None:
            return function(invocation, *args, **kwargs)
        return verify(
            invocation,
            lone,
            str(kwargs["policy"]),
            _moment(kwargs["at"]),
            bool(kwargs["insecure_accept_simulated"]),
        )

    return _with_options(command)


def shows_lone_quotes(function: Callable[Concatenate[Invocation, P], None]) -> Callable[..., None]:
    """Let a command that shows a target show `--quote` instead of one."""

    @functools.wraps(function)
    def command(invocation: Invocation, *args: P.args, **kwargs: P.kwargs) -> None:
        lone = _taken(kwargs)
        if lone is None:
            function(invocation, *args, **kwargs)
        elif kwargs.get("save") or kwargs.get("save_arguments"):
            raise click.UsageError("--save and --save-arguments are for evidence, --quote has only a quote")
        else:
            document = lone.summary(_moment(kwargs["at"]) or datetime.now(UTC))
            print_document(invocation, document)

    return _with_options(command)


def issuer(verdict: Verdict) -> str:
    """Say who vouches for a quote: what everything else in it is worth."""
    root = next(check for check in verdict.checks if check.name == "quote.root")
    if root.outcome is Outcome.PASSED:
        genuine = all(group.outcome is Outcome.PASSED for group in verdict.groups if group.name == "quote")
        return "Intel" if genuine else "nobody: Intel's certificates, and a quote that they do not cover"
    if root.outcome is Outcome.SIMULATED:
        return "simulated: not Intel, it protects nothing from whoever runs it"
    return f"nobody: {root.observed or root.because}"


def _taken(kwargs: dict[str, Any]) -> LoneQuote | None:
    """Take this module's options out of `kwargs`; `None` where a target was named instead of a quote."""
    files: dict[str, Path | None] = {name: kwargs.pop(name) for name in _FILES}
    quote = files.pop("quote")
    if (kwargs.get("target") is None) is (quote is None):
        raise click.UsageError("expected either TARGET or --quote FILE")
    if quote is not None:
        return LoneQuote(quote=quote, **files)
    if given := [f"--{name.replace('_', '-')}" for name, file in files.items() if file is not None]:
        raise click.UsageError(f"{', '.join(given)} goes with --quote FILE")
    return None


def _why_unknown(verdict: Verdict) -> str:
    """Say which check kept the platform from being judged."""
    names = {check.name for group in verdict.groups if group.name == "platform" for check in group.parts}
    failed = (check for check in verdict.failures if check.name in names or not names)
    return next((f"{check.title}: {check.observed}" for check in failed), "the quote is not genuine")


def _with_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _print(invocation: Invocation, verdict: Verdict, *, accept_simulated: bool) -> int:
    value = verdict.to_value()
    if not isinstance(value, dict):
        raise TypeError("a verdict is one JSON object")

    def render() -> None:
        print_verdict(verdict, invocation.console)
        if verdict.passed_but_simulated and not accept_simulated:
            invocation.console.next_step("--insecure-accept-simulated, if a simulation is what you want")

    invocation.console.result({"of": "quote", "issuer": issuer(verdict), **value}, render)
    return verdict_exit_code(verdict, accept_simulated=accept_simulated)


def print_document(invocation: Invocation, document: dict[str, object]) -> None:
    """Print what something says of itself: a table for people."""
    invocation.console.result(
        document,
        lambda: invocation.console.table(("says", "value"), [(k, _in_words(v)) for k, v in document.items()]),
    )


def _in_words(value: object) -> str:
    """Return what a table says for a value of the JSON document."""
    match value:
        case None:
            return "not known"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(str(item) for item in value) or "none"
        case _:
            return str(value)


def _body_summary(body: SgxReport | TdReport) -> dict[str, object]:
    if isinstance(body, SgxReport):
        return {
            "mrenclave": body.mrenclave.hex(),
            "mrsigner": body.mrsigner.hex(),
            "product": body.isv_prod_id,
            "svn": body.isv_svn,
            "debug": body.debug,
        }
    return {
        "mrtd": body.mrtd.hex(),
        **{f"rtmr{number}": register.hex() for number, register in enumerate(body.rtmr)},
        "debug": body.debug,
    }


def _root_key(raw: bytes) -> bytes:
    """Return the key of one certificate, in PEM or DER."""
    if not raw.startswith(b"-----"):
        return parse_certificate(raw).public_key
    blocks = parse_pem(raw)
    if len(blocks) != 1:
        raise MalformedError(f"root: {len(blocks)} certificates, expected 1")
    return parse_certificate(blocks[0]).public_key


def _read(path: Path, bound: int) -> bytes:
    """Read at most `bound` bytes: one more than a parser takes, so that it is the parser that refuses."""
    with path.open("rb") as stream:
        return stream.read(bound)
