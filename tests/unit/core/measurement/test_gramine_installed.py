"""The signer of Gramine itself, wherever it is installed, beside ours on the same enclave."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sealroom.core.measurement.expansion import with_defaults
from sealroom.core.measurement.manifest import parse_manifest, write_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing import sign_sigstruct
from sealroom.core.measurement.signing_key import parse_enclave_signing_key
from sealroom.core.measurement.sigstruct import sigstruct_body

_SIGNER = shutil.which("gramine-sgx-sign")
_CASE = Path(__file__).parents[3] / "vectors" / "measurement" / "sigstruct-plain"


@pytest.mark.slow
@pytest.mark.skipif(_SIGNER is None, reason="gramine-sgx-sign is not on the PATH: Gramine is not installed")
@pytest.mark.parametrize(
    "settings",
    [
        {"enclave_size": "512M", "max_threads": 7, "isvsvn": 9},
        {"edmm_enable": True, "debug": True, "use_exinfo": True},
        {"cpu_features": {"avx": "required", "avx512": "disabled", "amx": "required", "pkru": "required"}},
    ],
)
def test_the_installed_signer_writes_the_same_manifest_and_the_same_signature(
    settings: dict[str, object], tmp_path: Path
) -> None:
    assert _SIGNER is not None
    entry = {"uri": "file:libos", "sha256": "0" * 64}
    manifest = with_defaults({"loader": {"entrypoint": entry}, "sgx": settings})
    (tmp_path / "m").write_bytes(write_manifest(manifest))
    words = ["-m", "m", "-o", "out", "-s", "sig", "-k", str(_CASE / "key"), "-l", str(_CASE / "pal")]
    subprocess.run([_SIGNER, *words, "--date", "2025-01-31"], cwd=tmp_path, check=True, capture_output=True)
    theirs = (tmp_path / "out").read_bytes()
    assert write_manifest(manifest) == theirs
    measured = measure(theirs, (_CASE / "pal").read_bytes()).mrenclave
    body = sigstruct_body(parse_manifest(theirs), mrenclave=measured, date="2025-01-31")
    key = parse_enclave_signing_key((_CASE / "key").read_bytes())
    assert sign_sigstruct(body, key).to_bytes() == (tmp_path / "sig").read_bytes()
