"""A group of commands whose help shows the first sentence of each whole, however long."""

from __future__ import annotations

import click

_WHOLE = 1000


class Group(click.Group):
    """A group as click has it, but for the list of its commands, which click would cut off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its first sentence, folded to the width of the terminal."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, command.get_short_help_str(_WHOLE)) for name, command in found if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
