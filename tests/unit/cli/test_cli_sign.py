"""`sealroom sign` with a key that stays in its device."""

import shlex
import shutil
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from transcript import VECTORS, Played, play

_CASE = VECTORS / "measurement" / "sigstruct-debug"


def _sign(folder: Path, command: str) -> Played:
    for name in ("manifest", "pal", "key"):
        shutil.copyfile(_CASE / name, folder / name)
    public = load_pem_private_key((folder / "key").read_bytes(), None).public_key()
    (folder / "public").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words = ["sign", "--manifest", "manifest", "--pal", "pal", "--date", "2025-01-31", "-o", "out.sig"]
    return play([*words, "--key-command", command, "--public-key", "public"], folder=folder, environment={})


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_key_behind_a_command_signs_the_same_bytes(tmp_path: Path) -> None:
    played = _sign(tmp_path, "openssl dgst -sha256 -sign key")
    assert played.exit_code == 0, played.output
    assert (tmp_path / "out.sig").read_bytes() == (_CASE / "input").read_bytes()


@pytest.mark.parametrize(
    ("script", "exit_code", "said"),
    [
        ("print('x' * 383)", 1, "not made over these fields"),
        ("print('x')", 1, "returned 2 bytes"),
        ("raise SystemExit('no card in the reader')", 1, "exit code 1: no card in the reader"),
    ],
)
def test_a_device_that_does_not_sign_this_leaves_no_file(
    tmp_path: Path, script: str, exit_code: int, said: str
) -> None:
    played = _sign(tmp_path, shlex.join([sys.executable, "-c", script]))
    assert played.exit_code == exit_code
    assert said in played.output
    assert not (tmp_path / "out.sig").exists()


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    played = _sign(tmp_path, "no-such-device-tool")
    assert (played.exit_code, "no-such-device-tool" in played.output) == (1, True)


@pytest.mark.slow
def test_a_new_key_is_private_and_signs(tmp_path: Path) -> None:
    assert play(["sigstruct", "new-key", "new.pem"], folder=tmp_path, environment={}).exit_code == 0
    assert (tmp_path / "new.pem").stat().st_mode & 0o777 == 0o600
