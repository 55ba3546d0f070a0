"""The entry point of the command line: finds the command, turns errors into a sentence and an exit code.

Each command lives in a file of its own, imported when it is called, so that `sealroom --help` stays quick.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from sealroom import __version__
from sealroom.cli.console import Console
from sealroom.cli.exit_codes import ExitCode, explain
from sealroom.core.errors import SealroomError

COMMANDS = {
    "account": "Make an account on a server, or show the one you have.",
    "args": "Read measured arguments, the contract of a computation.",
    "code": "Send the program, or show what everybody may read of it.",
    "computation": "Create a computation, list and end your computations.",
    "contact": "Keep public keys of people you know.",
    "data": "Encrypt and send data, say done.",
    "evidence": "Show and verify what an enclave proves about itself.",
    "join": "Walk through your part of a computation, from the invitation on.",
    "key": "Deliver your keys to a verified enclave, or refuse it.",
    "keygen": "Make your identity key.",
    "logs": "Open what the program printed.",
    "measure": "Compute MRENCLAVE from a manifest and a PAL.",
    "receipt": "Fetch and verify the receipt of a run.",
    "register": "Register your public key with a computation.",
    "results": "Download and decrypt results.",
    "server": "Run the platform server.",
    "status": "Show where a computation stands, and what comes next.",
}


class _LazyCommands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"sealroom.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"sealroom.cli.{cmd_name}.command is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sealroom")
def sealroom() -> None:
    """Compute together on data nobody else may see.

    Every command takes --json and --home. Exit codes: 0 done or accepted, 1 refused, 2 malformed input,
    3 collateral stale or missing, 4 server or network, 64 wrong usage.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(words, Console(as_json="--json" in words)))


def _run(words: list[str], console: Console) -> int:
    try:
        result = sealroom.main(words, prog_name="sealroom", standalone_mode=False)
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        console.error(
            "interrupted", code="interrupted", hint="the same command goes on where this one stopped"
        )
        return ExitCode.REFUSED
    except click.ClickException as wrong:
        console.error(wrong.format_message(), code="usage", hint=_usage_hint(wrong))
        return ExitCode.USAGE
    except (SealroomError, OSError) as failure:
        problem = explain(failure)
        console.error(problem.message, code=problem.code, hint=problem.hint)
        return problem.exit_code
    return result if isinstance(result, int) else ExitCode.DONE


def _usage_hint(wrong: click.ClickException) -> str | None:
    context = wrong.ctx if isinstance(wrong, click.UsageError) else None
    return f"{context.command_path} --help" if context is not None else None


if __name__ == "__main__":
    main()
