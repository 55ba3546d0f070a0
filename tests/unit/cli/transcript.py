"""Transcripts: text files with commands, what they print, and their exit codes, played in this process.

    $ sealroom keygen --home ana      a command, played in a folder of the transcript's own
    public key   [hex]                what it prints, both streams: [hex] is any run of hexadecimal digits,
                                      [uuid] a UUID, [...] anything on a line, and a line ... any lines
    [0]                               its exit code

Around them: `write NAME TEXT`, `copy PATH NAME` (from tests/vectors), `mode NAME OCTAL`, `env NAME=VALUE`,
and `let NAME = HOME.public_key` or `let NAME = FILE.uuid`, after which {NAME} stands for it. `#` begins a
comment.
"""

import io
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from sealroom.cli.main import run
from sealroom.client.home import Home
from sealroom.client.identity import load_identity

VECTORS = Path(__file__).parents[2] / "vectors"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_WILD = {r"\[hex\]": "[0-9a-f]+", r"\[uuid\]": _UUID, r"\[\.\.\.\]": "[^\n]*"}


@dataclass(frozen=True, kw_only=True)
class Played:
    """One command as it went."""

    output: str
    exit_code: int


@dataclass(kw_only=True)
class Stage:
    """The folder, environment and names of one transcript."""

    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: self.names.get(found[1], found[0]), text)

    def play(self, words: list[str]) -> Played:
        return play(words, folder=self.folder, environment=self.environment)

    def prepare(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        name, _, text = rest.partition(" ")
        match verb:
            case "write":
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_text(text + "\n")
            case "copy":
                (self.folder / text).write_bytes((VECTORS / name).read_bytes())
            case "mode":
                (self.folder / name).mkdir(exist_ok=True)
                (self.folder / name).chmod(int(text, 8))
            case "env":
                variable, _, value = rest.partition("=")
                self.environment[variable] = value
            case "let":
                source, _, what = text.removeprefix("= ").rpartition(".")
                self.names[name] = self._look_up(source, what)
            case _:
                raise ValueError(f"transcript: {line!r} is no command and no preparation")

    def _look_up(self, source: str, what: str) -> str:
        if what == "public_key":
            return load_identity(Home.open(self.folder / source)).public_key.hex()
        if what == "uuid":
            found = re.search(_UUID, (self.folder / source).read_text())
            assert found, f"no UUID in {source}"
            return found[0]
        raise ValueError(f"transcript: {what!r} is nothing to look up")


def play(words: list[str], *, folder: Path, environment: dict[str, str], typed: str | None = None) -> Played:
    """Run one command; `typed` is what a person types at a terminal, `None` where there is none."""
    output = io.StringIO()
    keyboard = io.StringIO(typed or "")
    keyboard.isatty = lambda: typed is not None  # type: ignore[method-assign]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SEALROOM_")}
    surroundings = clean | {"HOME": str(folder), "TZ": "UTC"} | environment
    with (
        chdir(folder),
        mock.patch.dict(os.environ, surroundings, clear=True),
        mock.patch.object(sys, "stdin", keyboard),
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        exit_code = run(words)
    return Played(output=output.getvalue(), exit_code=exit_code)


def play_transcript(text: str, stage: Stage) -> Iterator[tuple[str, str, Played, int]]:
    """Play a transcript; for each command: itself, the output expected, how it went, the code expected."""
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith("$ sealroom"):
            stage.prepare(stage.fill(line))
            continue
        expected: list[str] = []
        for following in lines:
            if re.fullmatch(r"\[\d+\]", following):
                break
            expected.append(following)
        else:
            raise ValueError(f"transcript: no exit code after {line!r}")
        command = stage.fill(line.removeprefix("$ sealroom"))
        went = stage.play(shlex.split(command))
        yield line, stage.fill("".join(f"{said}\n" for said in expected)), went, int(following[1:-1])


def matches(expected: str, output: str) -> bool:
    """Compare line by line, however wide the columns of a table are; `...` stands for any lines."""
    pattern = []
    for line in expected.splitlines():
        if line == "...":
            pattern.append(r"(?:[^\n]*\n)*?")
            continue
        escaped = re.escape(_narrow(line))
        for mark, wild in _WILD.items():
            escaped = escaped.replace(re.escape(re.sub(r"\\", "", mark)), wild)
        pattern.append(escaped + "\n")
    cleaned = "".join(_narrow(line) + "\n" for line in output.splitlines())
    return re.fullmatch("".join(pattern), cleaned) is not None


def _narrow(line: str) -> str:
    return re.sub("─+", "─", re.sub(" {2,}", "  ", line.rstrip()))
