"""What an error means for the shell: one place that maps errors to exit codes and stable codes.

What to do next stands in `hints`, by the same codes. The table for people is docs/cli.md.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from sealroom.cli.hints import hint_for
from sealroom.core.errors import (
    CollateralError,
    MalformedError,
    SealroomError,
    TransportError,
    VerificationError,
)


class ExitCode(enum.IntEnum):
    """The exit codes of every command."""

    DONE = 0
    REFUSED = 1
    MALFORMED = 2
    COLLATERAL = 3
    TRANSPORT = 4
    USAGE = 64
    DEFECT = 70


EXIT_MEANINGS = {
    ExitCode.DONE: "done, or accepted",
    ExitCode.REFUSED: "refused: by a check, by the server for role or state, by the enclave, or by you",
    ExitCode.MALFORMED: "malformed input, or a file that cannot be read or written",
    ExitCode.COLLATERAL: "what is needed to verify is stale or missing",
    ExitCode.TRANSPORT: "the server or the network does not answer, the server failed, or no enclave runs",
    ExitCode.USAGE: "the command was called wrongly, or names a file that is not there",
    ExitCode.DEFECT: "a defect of sealroom itself",
}

UNREACHABLE = "unreachable"
# The server's codes that say something about the bytes it got, and those that are its own failures. Every
# other code of it is a refusal: of the role, of the state, or of somebody who is not known there.
_MALFORMED_CODES = frozenset(
    {
        "malformed",
        "too_large",
        "archive",
        "entry_missing",
        "requirements",
        "wheels_refused",
        "delivery_length",
    }
)
_SERVER_FAULTS = frozenset(
    {
        UNREACHABLE,
        "internal",
        "method_not_allowed",
        "range_not_satisfiable",
        "idempotency_key",
        "idempotency_key_reused",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as the shell sees it."""

    exit_code: ExitCode
    code: str
    message: str
    hint: str | None


class CommandError(SealroomError):
    """A command cannot go on, for a reason that is its own; `code` has its row in `hints`."""

    def __init__(self, message: str, *, code: str, exit_code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code


def explain(failure: Exception, *, computation: str | None = None) -> Problem:
    """Turn `failure` into its exit code, stable code and what to do next.

    `computation` is the UUID that the command named, for the next step to name it, too.
    """
    exit_code, code = _classify(failure)
    message = str(failure) or type(failure).__name__
    if exit_code is ExitCode.DEFECT:
        # Its words may quote anything; where it happened is what a report needs.
        message = f"a defect: {type(failure).__name__} at {_place(failure)}"
    elif isinstance(failure, OSError):
        message = _file_message(failure)
    return Problem(
        exit_code=exit_code, code=code, message=message, hint=hint_for(code, computation=computation)
    )


def _classify(failure: Exception) -> tuple[ExitCode, str]:
    import sqlite3

    match failure:
        case CommandError():
            return failure.exit_code, failure.code
        case MalformedError():
            return ExitCode.MALFORMED, "malformed"
        case CollateralError():
            return ExitCode.COLLATERAL, "collateral"
        case TransportError():
            code = failure.code or UNREACHABLE
            return server_exit_code(code), code
        case VerificationError():
            return ExitCode.REFUSED, _client_code(failure) or "refused"
        case SealroomError():
            return ExitCode.REFUSED, _client_code(failure) or "failed"
        case OSError() | sqlite3.OperationalError():
            return ExitCode.MALFORMED, "file"
        case _:
            return ExitCode.DEFECT, "defect"


def server_exit_code(code: str) -> ExitCode:
    """Return the exit code of a server's stable code; one that this release does not know is a refusal."""
    if code in _SERVER_FAULTS:
        return ExitCode.TRANSPORT
    return ExitCode.MALFORMED if code in _MALFORMED_CODES else ExitCode.REFUSED


def _client_code(failure: SealroomError) -> str | None:
    # Imported where something failed: `sealroom --help` needs none of them, and no cryptography.
    from sealroom.adapters.key_command import KeyCommandError
    from sealroom.adapters.package_index import PackageIndexError
    from sealroom.client.contacts import ContactConflictError
    from sealroom.client.delivery_journal import DeliveryBlockedError
    from sealroom.client.home import HomeError
    from sealroom.client.identity import IdentityError, PassphraseError
    from sealroom.client.service.code_keys import CodeKeyError
    from sealroom.client.service.delivering import NotTakenError
    from sealroom.client.service.packing import NotLockedError
    from sealroom.client.service.trying import TrialError
    from sealroom.client.session import AccountError
    from sealroom.client.store import UnknownComputationError
    from sealroom.client.tls import UntrustedServerError

    if isinstance(failure, DeliveryBlockedError):
        return failure.code
    codes: dict[type[SealroomError], str] = {
        ContactConflictError: "contact",
        UntrustedServerError: "certificate",
        # Before its base.
        PassphraseError: "passphrase",
        IdentityError: "identity",
        AccountError: "account",
        HomeError: "home",
        KeyCommandError: "key_command",
        PackageIndexError: "package_index",
        UnknownComputationError: "not_joined",
        CodeKeyError: "code_key",
        NotLockedError: "not_locked",
        TrialError: "trial",
        NotTakenError: "not_taken",
    }
    return next((code for kind, code in codes.items() if isinstance(failure, kind)), None)


def _file_message(failure: OSError) -> str:
    reason = failure.strerror or str(failure) or type(failure).__name__
    return f"{failure.filename}: {reason}" if failure.filename else reason


def _place(failure: Exception) -> str:
    trace = failure.__traceback__
    if trace is None:
        return "an unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
