"""`sealroom measure` on what Gramine's own signer measured, wherever its vectors are at hand."""

import json
import os
from pathlib import Path

import pytest
from transcript import play

_REPOSITORY = Path(__file__).parents[3]
_VECTORS = Path(os.environ.get("SEALROOM_VECTORS", _REPOSITORY.parent / "shared" / "vectors")) / "gramine"


def test_the_command_prints_the_mrenclave_of_every_gramine_vector(tmp_path: Path) -> None:
    index = _VECTORS / "vectors.json"
    if not index.is_file():
        pytest.skip(f"no Gramine vectors at {_VECTORS}: set SEALROOM_VECTORS to the folder that has them")
    vectors = json.loads(index.read_text())["vectors"]
    assert len(vectors) == 4
    pal = str(_VECTORS.absolute() / "synthetic-pal.elf")
    for vector in vectors:
        manifest = str(_VECTORS.absolute() / f"{vector['name']}.manifest.sgx")
        words = ["measure", "--manifest", manifest, "--pal", pal]
        said = play(words, folder=tmp_path, environment={})
        assert (said.output, said.exit_code) == (vector["mrenclave"] + "\n", 0)


def test_json_adds_the_regions_of_the_same_measurement(tmp_path: Path) -> None:
    index = _VECTORS / "vectors.json"
    if not index.is_file():
        pytest.skip(f"no Gramine vectors at {_VECTORS}: set SEALROOM_VECTORS to the folder that has them")
    vector = json.loads(index.read_text())["vectors"][0]
    manifest, pal = (
        _VECTORS.absolute() / name for name in (f"{vector['name']}.manifest.sgx", "synthetic-pal.elf")
    )
    words = ["measure", "--manifest", str(manifest), "--pal", str(pal), "--json"]
    document = json.loads(play(words, folder=tmp_path, environment={}).output)
    assert document["mrenclave"] == vector["mrenclave"]
    assert {"name", "address", "size", "flags", "measured"} == set(document["regions"][0])
