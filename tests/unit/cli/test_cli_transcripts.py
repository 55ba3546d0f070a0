"""Every transcript in `transcripts/`, command by command."""

from pathlib import Path

import click
import pytest
from transcript import Stage, matches, play_transcript

from sealroom.cli.main import COMMANDS, sealroom
from sealroom.client.transport import ServerAddress

FOLDER = Path(__file__).parent / "transcripts"
ALONE = sorted(path.stem for path in (FOLDER / "alone").glob("*.txt"))
WITH_SERVER = sorted(path.stem for path in (FOLDER / "server").glob("*.txt"))


@pytest.fixture(autouse=True)
def forgotten_help_options() -> None:
    """Click keeps the help option a command was first shown with; another test may have shown it alone."""
    root = click.Context(sealroom)
    waiting = [sealroom.get_command(root, name) for name in COMMANDS]
    while waiting:
        command = waiting.pop()
        assert command is not None
        command._help_option = None
        waiting.extend(getattr(command, "commands", {}).values())


@pytest.mark.parametrize("name", ALONE)
def test_a_transcript_without_a_server_goes_as_written(name: str, tmp_path: Path) -> None:
    check(FOLDER / "alone" / f"{name}.txt", Stage(folder=tmp_path))


@pytest.mark.e2e
@pytest.mark.parametrize("name", WITH_SERVER)
def test_a_transcript_with_a_server_goes_as_written(
    name: str, tmp_path: Path, address: ServerAddress
) -> None:
    assert address.certificate_sha256 is not None
    names = {
        "URL": address.url,
        "CERT": address.certificate_sha256.hex(),
        "TEST": f"t-{name.replace('_', '-')}.example",
    }
    check(FOLDER / "server" / f"{name}.txt", Stage(folder=tmp_path, names=names))


def check(path: Path, stage: Stage) -> None:
    played = 0
    for command, expected, went, exit_code in play_transcript(path.read_text(encoding="utf-8"), stage):
        assert matches(expected, went.output), f"{command}\n--- expected\n{expected}\n--- got\n{went.output}"
        assert went.exit_code == exit_code, f"{command}: got {went.exit_code}, expected {exit_code}"
        played += 1
    assert played, "an empty transcript proves nothing"


def test_a_transcript_that_says_otherwise_is_noticed(tmp_path: Path) -> None:
    assert matches("a [hex] b\n...\nend", "a 0f b\nmore\nand more\nend\n")
    assert not matches("a [hex] b", "a xyz b\n")
    assert not matches("one line", "one line\nand another\n")
    with pytest.raises(AssertionError):
        text = tmp_path / "wrong.txt"
        text.write_text("$ sealroom contact list --home h\nthis home knows everybody\n[0]\n")
        check(text, Stage(folder=tmp_path))
