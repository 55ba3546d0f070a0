"""What the terminal shows of the service's demonstration."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sealroom.core.wire.foreign_text import visible

STYLES = {"code-provider": "magenta", "operator": "red", "caller": "green", "enclave": "bold blue"}
NAMES = {"code-provider": "Code Provider", "operator": "Operator", "caller": "Caller", "enclave": "Enclave"}
BANNER = "SIMULATED: this enclave protects nothing from the operator of its machine"


class Telling:
    """Prints the demonstration as it happens."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._console.print(Text(f" {BANNER} ", style="bold white on magenta"))

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._console.print()
        self._console.rule(f"[bold]{title}", align="left")

    def command(self, who: str, line: str) -> None:
        """Show what one of the people types."""
        self._line(who, Text(f"$ {visible(line)}", style="bold"))

    def says(self, who: str, text: str) -> None:
        """Show what somebody does or sees."""
        self._line(who, Text(visible(text)))

    def verdict(self, document: dict[str, object]) -> None:
        """Show the questions of a verdict and their answers."""
        groups = document["checks"]
        for group in groups if isinstance(groups, list) else []:
            style = {"passed": "green", "simulated": "magenta"}.get(group["outcome"], "red")
            answer = Text(f"{group['title']} ", style="dim") + Text(str(group["outcome"]), style=style)
            self._line("code-provider", answer)

    def refused(self, attempt: str, why: str) -> None:
        """Show an attempt to cheat, and how it ended."""
        self._console.print(Text(f"  {attempt}: ") + Text("refused", style="bold red"))
        self._console.print(Text(f"    {visible(why)}", style="dim"))

    def failed(self, why: str) -> None:
        """Say that the demonstration went wrong."""
        self._console.print(Text(f"The demonstration failed: {visible(why)}", style="bold red"))

    def done(self, folder: Path) -> None:
        """Say where everything is."""
        self._console.print()
        self._console.print(f"Package, evidence, what was sealed and the certificate: {folder}")

    def _line(self, who: str, text: Text) -> None:
        line = Table.grid(padding=(0, 1))
        line.add_column(width=15, no_wrap=True)
        line.add_column()
        line.add_row(Text(NAMES[who], style=STYLES[who]), text)
        self._console.print(line)
