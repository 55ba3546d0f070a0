"""What an owner chooses for a run, the same options wherever a run is made or tried."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import click

from sealroom.client.roles import DEFAULT_LIMITS
from sealroom.core.errors import MalformedError
from sealroom.core.wire.terms import Limits, LogRelease

_BUDGETS = {
    "max_output_bytes": (0, "What the results of all consumers may have together."),
    "max_log_bytes": (0, "What of the log leaves; the rest is cut."),
    "max_seconds": (1, "How long the program may run."),
    "max_memory": (1, "Bytes of memory for the program."),
}

P = ParamSpec("P")
R = TypeVar("R")


def contract_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --logs and the budgets to a command, which reads them with `chosen_logs` and `chosen_limits`."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    for name, (least, text) in reversed(_BUDGETS.items()):
        command = click.option(
            f"--{name.replace('_', '-')}",
            type=click.IntRange(min=least),
            default=getattr(DEFAULT_LIMITS, name),
            show_default=True,
            help=text,
        )(command)
    return click.option(
        "--logs",
        type=click.Choice([release.value for release in LogRelease]),
        default=LogRelease.PARTICIPANTS.value,
        show_default=True,
        help="Who may read what the program prints.",
    )(command)


def chosen_logs(choices: Mapping[str, object]) -> LogRelease:
    """Return the log choice."""
    return LogRelease(choices["logs"])


def chosen_limits(choices: Mapping[str, object]) -> Limits:
    """Return the budgets; raises `click.UsageError` for what no contract can say."""
    try:
        return Limits(**{name: int(str(choices[name])) for name in _BUDGETS})
    except MalformedError as error:
        raise click.UsageError(str(error)) from error
