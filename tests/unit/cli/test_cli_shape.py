"""What holds for every command: options, help, its place in the reference, and the weight of --help."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from sealroom.cli.hints import CLIENT_HINTS, SERVER_HINTS
from sealroom.cli.main import COMMANDS, run, sealroom
from sealroom.cli.status import NEXT
from sealroom.client.computation import State
from sealroom.server.errors import ErrorCode

REPOSITORY = Path(__file__).parents[3]
_NAMED = re.compile(r"sealroom ((?:[a-z]+)(?: [a-z]+)?)")


def leaves(group: click.Group = sealroom, path: str = "sealroom") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


LEAVES = dict(leaves())


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_takes_json_and_home(path: str) -> None:
    options = {option for parameter in LEAVES[path].params for option in parameter.opts}
    assert {"--json", "--home"} <= options


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_says_what_it_does_and_every_option_what_it_is_for(path: str) -> None:
    assert LEAVES[path].help
    for parameter in LEAVES[path].params:
        if isinstance(parameter, click.Option) and not parameter.name.startswith("max_"):
            assert parameter.help, f"{path} {parameter.opts[0]}"


def test_the_list_of_commands_is_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    for name, what in COMMANDS.items():
        assert name in said
        assert importlib.util.find_spec(f"sealroom.cli.{name}"), name
        command = sealroom.get_command(click.Context(sealroom), name)
        assert command is not None
        assert what.split()[0] == (command.help or "").split()[0], name


@pytest.mark.parametrize("path", LEAVES)
def test_help_of_every_command_prints(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path.split()[1:], "--help"]) == 0
    assert path in capsys.readouterr().out


def test_help_imports_no_server_no_cryptography_and_no_tables() -> None:
    code = (
        "import sys; from sealroom.cli.main import run; run(['--help'])\n"
        "heavy = {'fastapi', 'cryptography', 'rich', 'httpx', 'nacl', 'sqlalchemy', 'uvicorn'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_reference_page_is_current() -> None:
    page = REPOSITORY / "docs" / "cli.md"
    assert page.read_text(encoding="utf-8") == reference().write(), "run python tools/write_cli_reference.py"


def reference() -> ModuleType:
    path = REPOSITORY / "tools" / "write_cli_reference.py"
    spec = importlib.util.spec_from_file_location("write_cli_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_code_of_the_server_has_its_row() -> None:
    assert {error.code for error in ErrorCode} | {"unreachable"} == set(SERVER_HINTS)


def test_every_state_says_what_is_next() -> None:
    assert set(NEXT) == set(State)


def test_every_command_named_in_a_next_step_exists() -> None:
    hints = (*SERVER_HINTS.values(), *CLIENT_HINTS.values(), *NEXT.values())
    for hint in hints:
        for named in _NAMED.findall(hint or ""):
            group, _, name = named.partition(" ")
            assert group in COMMANDS, hint
            inside = [path for path in LEAVES if path.startswith(f"sealroom {group} ")]
            assert not inside or f"sealroom {group} {name}" in LEAVES, hint


def test_the_readme_names_commands_that_exist() -> None:
    """Word for word: each line of the walk by hand parses, with its options."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split("   #")[0] for line in text.splitlines() if line.startswith("sealroom ")]
    assert len(lines) > 10
    for line in lines:
        words = [word for word in re.findall(r'"[^"]*"|\S+', line)][1:]
        path = next(p for p in LEAVES if f"sealroom {' '.join(words)} ".startswith(f"{p} "))
        known = {option for parameter in LEAVES[path].params for option in parameter.opts}
        for word in words:
            assert not word.startswith("--") or word in known, line
