"""Write docs/cli.md from the commands: `python tools/write_cli_reference.py`, or `--check` to compare only.

Every word comes from click, the table of exit codes and the table of error codes; only the frame is here.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sealroom.cli.exit_codes import EXIT_MEANINGS, server_exit_code
from sealroom.cli.hints import CLIENT_HINTS, SERVER_HINTS
from sealroom.cli.main import sealroom

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
# Every command has these; they are described once.
_SHARED = ("--home", "--json")

_HEAD = """# The command line

Written from the commands by `tools/write_cli_reference.py`; do not edit by hand.

Every command takes `--home DIR` (your own folder: keys, contacts, journal; default `$SEALROOM_HOME` or
`~/.local/share/sealroom`), `--json` (one JSON document on standard output, errors too) and `--help`. What
to do after it stands on a line `next:`. `$SEALROOM_PASSPHRASE` is the passphrase of a protected identity.
"""


def write() -> str:
    """Return the page."""
    parts = [_HEAD, *_exit_codes(), "## Commands\n"]
    for path, command, context in _commands(sealroom, click.Context(sealroom, info_name="sealroom")):
        parts += _page(path, command, context)
    return "\n".join((*parts, *_error_codes()))


def _exit_codes() -> list[str]:
    rows = [f"| {int(code)} | {meaning} |" for code, meaning in EXIT_MEANINGS.items()]
    return ["## Exit codes\n", "| code | means |", "|---|---|", *rows, ""]


def _commands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise RuntimeError(f"{name} is listed and not there")
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, below)
        else:
            yield below.command_path, command, below


def _page(path: str, command: click.Command, context: click.Context) -> list[str]:
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f"### {path}\n", f"`{' '.join(usage.split())}`\n", _prose(command.help or ""), ""]
    records = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    rows = [
        f"| `{_cell(names)}` | {_cell(text)} |"
        for names, text in records
        if text and names.split(" ")[0] not in _SHARED
    ]
    if rows:
        lines += ["| option | |", "|---|---|", *rows, ""]
    return lines


def _prose(text: str) -> str:
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(paragraphs)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def _error_codes() -> list[str]:
    server = [
        f"| `{code}` | {int(server_exit_code(code))} | {_hint(hint)} |" for code, hint in SERVER_HINTS.items()
    ]
    own = [f"| `{code}` | {_hint(hint)} |" for code, hint in CLIENT_HINTS.items()]
    return [
        "## Error codes\n",
        'With `--json` an error is `{"error": {"code", "message", "next"}}`. The codes are stable.\n',
        "What the server answers, and `unreachable` where it does not:\n",
        *("| code | exit code | next |", "|---|---|---|", *server, ""),
        "What the command finds itself; `usage` (64) names the `--help` to read:\n",
        *("| code | next |", "|---|---|", *own, ""),
    ]


def _hint(hint: str | None) -> str:
    return "" if hint is None else _cell(hint.replace("{computation}", "UUID"))


def main() -> int:
    """Write the page, or compare it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="compare only; exit 1 where the page is old")
    if not options.parse_args().check:
        TARGET.write_text(write(), encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == write():
        return 0
    print(f"{TARGET.name} is not current: run python tools/write_cli_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
