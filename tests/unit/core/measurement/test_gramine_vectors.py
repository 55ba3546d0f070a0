"""Manifest, MRENCLAVE and SIGSTRUCT against Gramine's own signer, wherever its vectors are at hand."""

import json
import os
import re
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from sealroom.adapters.host_tree import HostTree
from sealroom.core.measurement.expansion import expand_manifest
from sealroom.core.measurement.layout import Region
from sealroom.core.measurement.manifest import parse_manifest, write_manifest
from sealroom.core.measurement.mrenclave import Measurement, measure
from sealroom.core.measurement.signing import sign_sigstruct, verify_sigstruct
from sealroom.core.measurement.signing_key import parse_public_modulus
from sealroom.core.measurement.sigstruct import parse_sigstruct, sigstruct_body

_REPOSITORY = Path(__file__).parents[4]
_VECTORS = Path(os.environ.get("SEALROOM_VECTORS", _REPOSITORY.parent / "shared" / "vectors")) / "gramine"
_REGION = re.compile(r"^\s+([0-9a-f]{16})-([0-9a-f]{16}) \[(.*?)\] \((.*?)\)( measured)?$", re.MULTILINE)


@pytest.fixture(scope="module")
def vectors() -> list[dict[str, str]]:
    index = _VECTORS / "vectors.json"
    if not index.is_file():
        pytest.skip(f"no Gramine vectors at {_VECTORS}: set SEALROOM_VECTORS to the folder that has them")
    rows = json.loads(index.read_text())["vectors"]
    print(f"{len(rows)} Gramine vectors")
    return rows


@pytest.fixture(scope="module")
def measured(vectors: list[dict[str, str]]) -> dict[str, Measurement]:
    pal = (_VECTORS / "synthetic-pal.elf").read_bytes()
    return {row["name"]: measure(_manifest(row["name"]), pal) for row in vectors}


def _manifest(name: str) -> bytes:
    return (_VECTORS / f"{name}.manifest.sgx").read_bytes()


def test_mrenclave_of_every_vector_is_the_signers(
    vectors: list[dict[str, str]], measured: dict[str, Measurement]
) -> None:
    assert len(vectors) >= 4
    assert {row["name"]: row["mrenclave"] for row in vectors} == {
        name: measurement.mrenclave.hex() for name, measurement in measured.items()
    }


def test_mrenclave_of_every_vector_is_the_one_in_its_sigstruct(measured: dict[str, Measurement]) -> None:
    for name, measurement in measured.items():
        sigstruct = (_VECTORS / f"{name}.sig").read_bytes()
        assert sigstruct[0x3C0:0x3E0] == measurement.mrenclave


def test_regions_are_those_that_the_signer_prints(measured: dict[str, Measurement]) -> None:
    for name, measurement in measured.items():
        printed = _REGION.findall((_VECTORS / f"{name}.verbose.txt").read_text())
        assert [_as_printed(region) for region in measurement.regions] == printed


def _as_printed(region: Region) -> tuple[str, ...]:
    measured = " measured" if region.measured else ""
    return (f"{region.address:016x}", f"{region.end:016x}", region.kind, region.name, measured)


def test_writer_gives_back_every_signed_manifest_byte_for_byte(vectors: list[dict[str, str]]) -> None:
    for row in vectors:
        raw = _manifest(row["name"])
        assert sha256(raw).hexdigest() == row["manifest_sgx_sha256"]
        assert write_manifest(parse_manifest(raw)) == raw


@pytest.fixture(scope="module")
def unpacked(vectors: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    with tarfile.open(_VECTORS / "tree.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_expansion_of_every_vector_is_the_signers_byte_for_byte(
    vectors: list[dict[str, str]], unpacked: Path
) -> None:
    for row in vectors:
        written = parse_manifest((_VECTORS / f"{row['name']}.manifest.in").read_bytes())
        assert write_manifest(expand_manifest(written, tree=HostTree(unpacked))) == _manifest(row["name"])


class _TheirDevice:
    """Holds the vectors' public key, and returns the one signature it ever made."""

    def __init__(self, signature: int) -> None:
        self.modulus = parse_public_modulus((_VECTORS / "signing-key.pub.pem").read_bytes())
        self._signature = signature

    def sign(self, _message: bytes) -> bytes:
        return self._signature.to_bytes(384, "big")


def test_sigstruct_of_every_vector_is_the_signers_byte_for_byte(
    vectors: list[dict[str, str]], measured: dict[str, Measurement]
) -> None:
    for row in vectors:
        raw = (_VECTORS / f"{row['name']}.sig").read_bytes()
        assert sha256(raw).hexdigest() == row["sig_sha256"]
        theirs = parse_sigstruct(raw)
        body = sigstruct_body(
            parse_manifest(_manifest(row["name"])),
            mrenclave=measured[row["name"]].mrenclave,
            date=theirs.body.date,
        )
        assert sign_sigstruct(body, _TheirDevice(theirs.signature)).to_bytes() == raw


def test_every_vector_verifies_and_names_its_signer(vectors: list[dict[str, str]]) -> None:
    for row in vectors:
        sigstruct = verify_sigstruct((_VECTORS / f"{row['name']}.sig").read_bytes())
        assert sigstruct.mrsigner.hex() == row["mrsigner"]
        assert sigstruct.body.mrenclave.hex() == row["mrenclave"]
        assert sigstruct.body.debug is ("debug" in row["name"])
