"""Run the vectors of tests/vectors/measurement; tools/make_measurement_vectors.py makes them."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.measurement.expansion import EntryKind, FolderEntry, expand_manifest
from sealroom.core.measurement.manifest import parse_manifest, write_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing import sign_sigstruct, verify_sigstruct
from sealroom.core.measurement.signing_key import parse_enclave_signing_key
from sealroom.core.measurement.sigstruct import sigstruct_body

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "measurement"
CASES = sorted(path.name for path in FOLDER.iterdir())


def read_hex(case: Path, name: str) -> bytes:
    return bytes.fromhex((case / name).read_text())


class _Tree:
    """The files of a vector, in memory."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def kind(self, path: str) -> EntryKind:
        path = path.removeprefix("./").rstrip("/")
        if path in self._files:
            return EntryKind.FILE
        inside = any(name.startswith(f"{path}/") for name in self._files)
        return EntryKind.FOLDER if inside else EntryKind.OTHER

    def entries(self, path: str) -> Sequence[FolderEntry]:
        below = {n[len(path) + 1 :].split("/")[0] for n in self._files if n.startswith(f"{path}/")}
        return [FolderEntry(name=name, kind=self.kind(f"{path}/{name}")) for name in below]

    def digests(self, paths: Sequence[str]) -> Sequence[bytes]:
        return [hashlib.sha256(self._files[path.removeprefix("./")].encode()).digest() for path in paths]


def run_expansion(case: Path, raw: bytes) -> None:
    tree = _Tree(json.loads((case / "tree").read_text()))
    assert write_manifest(expand_manifest(parse_manifest(raw), tree=tree)) == (case / "expanded").read_bytes()


def run_mrenclave(case: Path, raw: bytes) -> None:
    assert measure(raw, (case / "pal").read_bytes()).mrenclave == read_hex(case, "mrenclave")


def run_sigstruct(case: Path, raw: bytes) -> None:
    sigstruct = verify_sigstruct(raw)
    assert sigstruct.to_bytes() == raw
    assert sigstruct.mrsigner == read_hex(case, "mrsigner")
    manifest = (case / "manifest").read_bytes()
    body = sigstruct_body(
        parse_manifest(manifest),
        mrenclave=measure(manifest, (case / "pal").read_bytes()).mrenclave,
        date=(case / "date").read_text().strip(),
    )
    assert sign_sigstruct(body, parse_enclave_signing_key((case / "key").read_bytes())).to_bytes() == raw


RUNNERS: dict[str, Callable[[Path, bytes], None]] = {
    "expansion": run_expansion,
    "mrenclave": run_mrenclave,
    "sigstruct": run_sigstruct,
}
LAYERS = {"parse": MalformedError, "verify": VerificationError}


@pytest.mark.parametrize("name", CASES)
def test_vector(name: str) -> None:
    case = FOLDER / name
    expect = dict(line.split(": ", 1) for line in (case / "expect").read_text().splitlines())
    run, raw = RUNNERS[expect["format"]], (case / "input").read_bytes()
    if expect["layer"] == "accept":
        run(case, raw)
        return
    with pytest.raises(LAYERS[expect["layer"]]):
        run(case, raw)


def test_the_vectors_are_what_their_program_makes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_measurement_vectors.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
