"""`sealroom doctor --self-test`, up to the machine that it needs."""

import hashlib
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from transcript import play

from sealroom.client.home import Home
from sealroom.insecure.synthetic_pal import synthetic_pal
from sgx_machine import sgx_machine

_KEY = Path(__file__).parents[2] / "vectors" / "measurement" / "sigstruct-plain" / "key"


def _public(key: Path) -> bytes:
    loaded = load_pem_private_key(key.read_bytes(), None)
    return loaded.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_the_self_test_wants_a_key_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"")
    (tmp_path / "public").write_bytes(_public(_KEY))
    for words, said in (
        (["--self-test", "."], "give --key, or --key-command together with --public-key"),
        (["--self-test", ".", "--key-command", "sign"], "together with --public-key"),
        (["--self-test", ".", "--key-command", "'", "--public-key", "public"], "key command: No closing"),
        (["--self-test", ".", "--key-command", "", "--public-key", "public"], "expected a program"),
        (["--key", "key"], "a key is for --self-test"),
        (["--key-command", "sign"], "a key is for --self-test"),
    ):
        answer = play(["doctor", *words], folder=tmp_path, environment={})
        assert answer.exit_code != 0
        assert said in answer.output


def test_the_self_test_names_what_the_machine_lacks(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(_KEY.read_bytes())
    words = ["doctor", "--self-test", ".", "--key", "key"]
    said = play(words, folder=tmp_path, environment={"PATH": str(tmp_path)})
    assert said.exit_code != 0
    assert "no libpal.so beside gramine-sgx" in said.output


def test_the_self_test_names_the_packages_that_are_not_there(tmp_path: Path) -> None:
    for name, content in {
        "bin/gramine-sgx": b"#!/bin/sh\n",
        "lib/gramine/sgx/libpal.so": synthetic_pal(),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "key").write_bytes(_KEY.read_bytes())
    (tmp_path / "packages").mkdir()
    other = tmp_path / "packages/libc6.deb"
    other.write_bytes(hashlib.sha256(b"another").digest())
    words = ["doctor", "--self-test", "packages", "--key", "key"]
    said = play(words, folder=tmp_path, environment={"PATH": str(tmp_path / "bin")})
    assert said.exit_code == 1
    assert "no package with the digest of cffi" in said.output
    (tmp_path / "public").write_bytes(_public(_KEY))
    words = ["doctor", "--self-test", "packages", "--key-command", "false", "--public-key", "public"]
    said = play(words, folder=tmp_path, environment={"PATH": str(tmp_path / "bin")})
    assert "no package with the digest of cffi" in said.output


@pytest.mark.skipif(Path("/dev/sgx_enclave").exists(), reason="this machine has SGX")
def test_the_self_test_makes_the_enclave_and_says_what_keeps_it_from_starting(tmp_path: Path) -> None:
    with sgx_machine(tmp_path / "m") as machine:
        home = Home.open(tmp_path / "home")
        shutil.copyfile(machine.root / "runtime.bill", home.runtime_bill)
        words = ["doctor", "--self-test", "m/packages", "--key", str(_KEY), "--home", "home"]
        said = play(words, folder=tmp_path, environment={"PATH": str(machine.root / "usr/bin")})
    assert said.exit_code == 1
    assert (
        "self-test: the enclave was made; this machine starts no enclaves on SGX: SGX device" in said.output
    )
    assert "group sgx" in said.output
