"""`sealroom server --launcher gramine-sgx`, up to the machine that it needs."""

import json
from pathlib import Path

import pytest
from transcript import Played, play

from sealroom.cli.exit_codes import ExitCode

_KEY = Path(__file__).parents[2] / "vectors" / "measurement" / "sigstruct-plain" / "key"
_WRONG_USAGE = 64


def serve(folder: Path, *words: str) -> Played:
    (folder / "packages").mkdir(exist_ok=True)
    (folder / "key").write_bytes(_KEY.read_bytes())
    return play(
        ["server", "--data", "data", "--port", "0", *words], folder=folder, environment={"PATH": str(folder)}
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--launcher", "gramine-sgx"], "give --sgx-packages and --sgx-key"),
        (["--launcher", "gramine-sgx", "--sgx-packages", "packages"], "give --sgx-packages and --sgx-key"),
        (
            ["--launcher", "gramine-sgx", "--sgx-packages", "packages", "--sgx-key-command", "sign"],
            "with --sgx-public-key",
        ),
        (["--sgx-packages", "packages", "--sgx-key", "key"], "belong to --launcher gramine-sgx"),
        (["--sgx-source", "intel"], "belong to --launcher gramine-sgx"),
        (["--launcher", "gramine-sgx", "--sgx-source", "http://pccs"], "expected intel, azure or an address"),
    ],
)
def test_options_for_sgx_are_given_together_or_not_at_all(
    words: list[str], said: str, tmp_path: Path
) -> None:
    answer = serve(tmp_path, *words)
    assert answer.exit_code == _WRONG_USAGE
    assert said in answer.output


def test_a_machine_without_sgx_is_told_what_it_lacks_and_what_brings_it(tmp_path: Path) -> None:
    words = ["--launcher", "gramine-sgx", "--sgx-packages", "packages", "--sgx-key", "key"]
    answer = serve(tmp_path, *words)
    assert answer.exit_code == ExitCode.REFUSED
    assert "this machine starts no enclaves on SGX: gramine-sgx: not on the PATH" in answer.output
    assert "install Gramine" in answer.output
    assert "sealroom doctor" in answer.output
    document = json.loads(serve(tmp_path, *words, "--json").output)
    assert document["error"]["code"] == "launcher"
