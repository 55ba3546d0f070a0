"""What the terminal shows: who does what, and what each of them sees."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.box import HEAVY, SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sealroom.core.wire.foreign_text import visible

STYLES = {
    "operator": "red",
    "hospital-a": "green",
    "hospital-b": "cyan",
    "code-provider": "magenta",
    "consumer": "yellow",
    "enclave": "bold blue",
}
NAMES = {
    "operator": "Operator",
    "hospital-a": "Hospital A",
    "hospital-b": "Hospital B",
    "code-provider": "Code Provider",
    "consumer": "Result Consumer",
    "enclave": "Enclave",
}
OUTCOMES = {
    "passed": ("passed", "green"),
    "simulated": ("simulated", "magenta"),
    "not-reached": ("not reached", "dim"),
    "failed": ("FAILED", "bold red"),
}


class Story:
    """Prints the demonstration as it happens, each line with the second it happened at."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the story has been going on."""
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")

    def tell(self, who: str, text: str) -> None:
        """Print what one of the parties does or sees."""
        line = Table.grid(padding=(0, 1))
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True, style=STYLES[who])
        line.add_column(overflow="fold")
        line.add_row(f"{self.seconds:5.1f} s", f"{NAMES[who]:<15}", Text(visible(text)))
        self.console.print(line)

    def aside(self, text: str) -> None:
        """Print a sentence of the narrator."""
        self.console.print(Text(text, style="italic dim"))

    def verdict(self, banner: str, checks: Iterable[tuple[str, str, str]]) -> None:
        """Print a verdict's table under its banner; a check is name, outcome and observed."""
        self.console.print(
            Panel(Text(banner, style="bold red", justify="center"), box=HEAVY, border_style="red")
        )
        for name, outcome, observed in checks:
            text, style = OUTCOMES[outcome]
            line = Text(f"{text:>11} ", style=style)
            line.append(f" {visible(name):<36}{visible(observed)}", style="default")
            line.truncate(self.console.width, overflow="ellipsis")
            self.console.print(line)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table."""
        table = Table(*columns, box=SIMPLE_HEAD)
        for row in rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        self.console.print(table)

    def panel(self, title: str, lines: Sequence[str], *, style: str) -> None:
        """Print lines in a frame."""
        self.console.print(Panel(Text("\n".join(lines)), title=title, title_align="left", border_style=style))
