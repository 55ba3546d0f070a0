"""The entry point of the command line: finds the command, turns errors into a sentence and an exit code.

Each command lives in a file of its own, imported when it is called, so that `sealroom --help` stays quick.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

import click

from sealroom import __version__
from sealroom.cli.console import Console
from sealroom.cli.exit_codes import CommandError, ExitCode, explain
from sealroom.cli.hints import hint_for

TRACEBACK_VARIABLE = "SEALROOM_TRACEBACK"
COMMANDS = {
    "account": "Make an account on a server, or show the ones you have.",
    "args": "Read measured arguments, the contract of a computation.",
    "code": "Try the program at home, send it, or show what everybody may read of it.",
    "computation": "Create a computation, list and end your computations.",
    "contact": "Keep public keys of people you know.",
    "data": "Encrypt and send data, say done.",
    "doctor": "Say what this machine has for running enclaves, and what is missing.",
    "evidence": "Show and verify what an enclave proves about itself.",
    "file": "Encrypt and decrypt files at home, with your own keys.",
    "join": "Walk through your part of a computation, from the invitation on.",
    "key": "Deliver your keys to a verified enclave, or refuse it.",
    "keygen": "Make your identity key.",
    "lock": "Pin the packages of a program by the hashes of their wheels.",
    "logs": "Open what the program printed.",
    "manifest": "Build, expand, check and compare the manifests of enclaves.",
    "measure": "Compute MRENCLAVE from a manifest and a PAL.",
    "packages": "Show and fetch the wheels that a program needs.",
    "receipt": "Verify, show, fetch and hand on the receipt of a run.",
    "register": "Accept an invitation and register your public key.",
    "results": "Download and decrypt results.",
    "server": "Run the platform server.",
    "service": "Make, run, verify and call services: web applications in an enclave.",
    "sign": "Sign an enclave: write its SIGSTRUCT.",
    "sigstruct": "Read the signatures of enclaves, and make a key for them.",
    "status": "Show where a computation stands, and what comes next.",
}


class _LazyCommands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = _import(cmd_name).command
        if not isinstance(command, click.Command):
            raise TypeError(f"sealroom.cli.{cmd_name}.command is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"sealroom.cli.{name}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "sealroom":
            raise
        extra = "server" if name == "server" else "client"
        raise CommandError(
            f"{missing.name} is not installed, and sealroom {name} needs it: the extra [{extra}]",
            code="not_installed",
            exit_code=ExitCode.USAGE,
        ) from missing


@click.group(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sealroom")
def sealroom() -> None:
    """Compute together on data nobody else may see.

    Every command takes --json and --home. Exit codes: 0 done or accepted, 1 refused, 2 malformed input,
    3 collateral stale or missing, 4 server or network, 64 wrong usage, 70 a defect of sealroom.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(words))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing but a deliberate exit leaves it as an exception."""
    console = Console(as_json="--json" in words)
    try:
        result = sealroom.main(list(words), prog_name="sealroom", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        console.error("interrupted", code="interrupted", hint=hint_for("interrupted", computation=None))
        return ExitCode.REFUSED
    except click.ClickException as wrong:
        return _wrong_usage(wrong, console)
    except BrokenPipeError:
        return _reader_left()
    except Exception as failure:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        problem = explain(failure, computation=_computation(words))
        console.error(problem.message, code=problem.code, hint=problem.hint)
        return problem.exit_code
    return result if isinstance(result, int) else ExitCode.DONE


def _wrong_usage(wrong: click.ClickException, console: Console) -> int:
    context = wrong.ctx if isinstance(wrong, click.UsageError) else None
    hint = f"{context.command_path if context else 'sealroom'} --help"
    if isinstance(wrong, click.exceptions.NoArgsIsHelpError):
        if not console.as_json:
            click.echo(wrong.message, err=True)
            return ExitCode.USAGE
        console.error("a command is missing", code="usage", hint=hint)
        return ExitCode.USAGE
    # One line, whatever click folds its lists of choices with.
    console.error(" ".join(wrong.format_message().split()), code="usage", hint=hint)
    return ExitCode.USAGE


def _reader_left() -> int:
    # As other tools end by SIGPIPE; without this, Python would complain again while it closes the stream.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.REFUSED


def _computation(words: Sequence[str]) -> str | None:
    """Return the UUID that a command named, for what it is told to do next."""
    from uuid import UUID

    for word in words:
        with suppress(ValueError):
            return str(UUID(word))
    return None


if __name__ == "__main__":
    main()
