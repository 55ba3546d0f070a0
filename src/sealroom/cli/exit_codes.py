"""What an error means for the shell: one place that maps errors to exit codes, stable codes and hints."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sealroom.core.errors import CollateralError, MalformedError, TransportError, VerificationError


class ExitCode(enum.IntEnum):
    """The exit codes of every command."""

    DONE = 0
    REFUSED = 1
    MALFORMED = 2
    COLLATERAL = 3
    TRANSPORT = 4
    USAGE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as the shell sees it."""

    exit_code: ExitCode
    code: str
    message: str
    hint: str | None


def explain(failure: Exception) -> Problem:
    """Turn `failure` into its exit code, stable code and what to do next."""
    message = str(failure) or type(failure).__name__
    hint = getattr(failure, "hint", None)
    match failure:
        case MalformedError():
            return Problem(exit_code=ExitCode.MALFORMED, code="malformed", message=message, hint=hint)
        case CollateralError():
            return Problem(exit_code=ExitCode.COLLATERAL, code="collateral", message=message, hint=hint)
        case TransportError():
            code = failure.code or "unreachable"
            return Problem(
                exit_code=ExitCode.TRANSPORT, code=code, message=message, hint=hint or HINTS.get(code)
            )
        case VerificationError():
            return Problem(exit_code=ExitCode.REFUSED, code="refused", message=message, hint=hint)
        case OSError():
            text = f"{failure.strerror or message}: {failure.filename}" if failure.filename else message
            return Problem(exit_code=ExitCode.MALFORMED, code="file", message=text, hint=hint)
        case _:
            return Problem(exit_code=ExitCode.REFUSED, code="failed", message=message, hint=hint)


# What to do next, by the server's stable codes.
HINTS = {
    "unreachable": "check the address, and that `sealroom server` is running there",
}
