"""The signer of Gramine itself, wherever it is installed, beside ours on the same enclave."""

import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from sealroom.adapters.gramine import pal_beside
from sealroom.adapters.release import load_release
from sealroom.core.measurement.expansion import with_defaults
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.manifest import parse_manifest, write_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing import sign_sigstruct
from sealroom.core.measurement.signing_key import parse_enclave_signing_key
from sealroom.core.measurement.sigstruct import sigstruct_body
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.terms import Tee

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


@pytest.mark.slow
@pytest.mark.skipif(_SIGNER is None, reason="gramine-sgx-sign is not on the PATH: Gramine is not installed")
def test_the_installed_signer_agrees_on_a_computation_with_the_bill_of_this_release(tmp_path: Path) -> None:
    assert _SIGNER is not None
    folder = _installed_gramine()
    raw_pal = (folder / "sgx/libpal.so").read_bytes()
    pal = KnownPal(
        name="the one installed here",
        source="a test",
        tee=Tee.SGX,
        sha256=sha256(raw_pal).digest(),
        libos_uri=f"file:{folder}/libsysdb.so",
        libos_sha256=sha256((folder / "libsysdb.so").read_bytes()).digest(),
    )
    release = load_release()
    assert release.sgx_runtime is not None
    manifest = computation_manifest(
        arguments_sha256=bytes(32),
        first_party=release.first_party,
        code=[MeasuredFile(path="code/run.py", sha256=bytes(32))],
        packages=[],
        # One of Gramine's own, as a bill with a known release of it will have them.
        runtime=[*release.sgx_runtime.measured, MeasuredFile(path="gramine/lib/libc.so.6", sha256=bytes(32))],
        max_memory=1 << 28,
        pal=pal,
    )
    (tmp_path / "m").write_bytes(manifest)
    words = [
        "-m",
        "m",
        "-o",
        "out",
        "-s",
        "sig",
        "-k",
        str(_CASE / "key"),
        "-l",
        str(folder / "sgx/libpal.so"),
    ]
    subprocess.run([_SIGNER, *words, "--date", "2025-01-31"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out").read_bytes() == manifest
    measured = measure(manifest, raw_pal).mrenclave
    body = sigstruct_body(parse_manifest(manifest), mrenclave=measured, date="2025-01-31")
    key = parse_enclave_signing_key((_CASE / "key").read_bytes())
    assert sign_sigstruct(body, key).to_bytes() == (tmp_path / "sig").read_bytes()


def _installed_gramine() -> Path:
    starter = shutil.which("gramine-sgx")
    assert starter is not None
    pal = pal_beside(Path(starter))
    assert pal is not None
    return pal.parent.parent
