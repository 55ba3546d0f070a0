"""What the launcher of enclaves on SGX makes, beside the tools of an installed Gramine and Debian's packages.

Everything up to the processor: Gramine's own signer comes to the same manifest, MRENCLAVE and SIGSTRUCT, and
the staged folder starts in gramine-direct and ends where it asks for a report, which only SGX has.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from made_wheels import make_wheel
from sealroom.adapters.gramine import GRAMINE_LIBRARIES, Gramine, pal_beside
from sealroom.adapters.host_checks import Host
from sealroom.adapters.release import load_release
from sealroom.core.measurement.runtime_bill import PackageKind, RuntimeBill, RuntimeFile, RuntimePackage
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher
from sealroom.server.launchers.sgx_files import MANIFEST, NAME, SIGSTRUCT
from sgx_machine import KEY, SgxMachine, arguments, known_pals, plan, sgx_machine

_TOOL = Path(__file__).resolve().parents[2] / "tools/make_runtime_bill.py"
_SIGNER, _DIRECT, _SGX = (shutil.which(f"gramine-{name}") for name in ("sgx-sign", "direct", "sgx"))

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        None in (_SIGNER, _DIRECT, _SGX), reason="gramine-sgx is not on the PATH: Gramine is not here"
    ),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not here: no Debian packages"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SgxMachine]:
    root = tmp_path_factory.mktemp("installed")
    with sgx_machine(root / "m") as made:
        _install(made.root, _download(root / "packages"))
        yield replace(made, settings=replace(made.settings, packages=root / "packages"))


@pytest.fixture
def folder(machine: SgxMachine, tmp_path: Path) -> Path:
    """A prepared launch folder; of the machine only device and AESM are made up."""
    assert _SGX is not None
    (tmp_path / "enclaves").mkdir()
    host = Host(root=machine.root, path=str(Path(_SGX).parent), home=machine.root)
    launcher = GramineSgxLauncher(tmp_path / "enclaves", machine.settings, host=host)
    planned = plan(arguments())
    began = time.monotonic()
    launcher.prepare(planned)
    print(f"prepared, measured and signed: {time.monotonic() - began:.1f} s")
    return launcher.folder(planned.computation, 1)


def test_gramines_own_signer_comes_to_the_same_manifest_and_signature(folder: Path, tmp_path: Path) -> None:
    assert _SIGNER is not None
    assert _SGX is not None
    raw = (folder / SIGSTRUCT).read_bytes()
    signed = verify_sigstruct(raw)
    pal = _installed(Path(_SGX)).pal
    assert (folder / "pal").read_bytes() == pal.read_bytes()
    words = ["-m", str(folder / MANIFEST), "-o", "out", "-s", "sig", "-k", str(KEY), "-l", str(pal)]
    subprocess.run(
        [_SIGNER, *words, "--date", signed.body.date], cwd=tmp_path, check=True, capture_output=True
    )
    assert (tmp_path / "out").read_bytes() == (folder / MANIFEST).read_bytes()
    assert (tmp_path / "sig").read_bytes() == raw
    if (schema := shutil.which("gramine-manifest-check")) is not None:
        subprocess.run([schema, str(folder / MANIFEST)], check=True, capture_output=True)


def test_what_is_staged_starts_without_sgx_and_ends_where_it_asks_for_a_report(folder: Path) -> None:
    assert _DIRECT is not None
    shutil.copyfile(folder / MANIFEST, folder / f"{NAME}.manifest")
    began = time.monotonic()
    ran = subprocess.run([_DIRECT, NAME], cwd=folder, capture_output=True, text=True, check=False)
    print(f"started, and without a report after: {time.monotonic() - began:.2f} s")
    assert "attestation_type" in ran.stdout + ran.stderr, (ran.stdout, ran.stderr)
    assert ran.returncode != 0


def _download(packages: Path) -> Path:
    command = [sys.executable, str(_TOOL), str(packages), "--download", "-o", str(packages.with_suffix(".b"))]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"packages cannot be downloaded here: {made.stderr.strip().splitlines()[-1]}")
    return packages


def _installed(program: Path) -> Gramine:
    pal = pal_beside(program)
    assert pal is not None
    return Gramine.of(pal)


def _install(root: Path, packages: Path) -> None:
    """Write bill and list for the Gramine that is installed, as from a package of it."""
    assert _SGX is not None
    gramine = _installed(Path(_SGX))
    libraries = {name: (gramine.libraries / name).read_bytes() for name in GRAMINE_LIBRARIES}
    wheel = make_wheel("gramine", "1", {f"gramine/{name}": raw for name, raw in libraries.items()})
    (packages / "gramine.whl").write_bytes(wheel)
    package = RuntimePackage(
        kind=PackageKind.WHEEL, name="gramine", version="1", architecture="any", sha256=sha256(wheel).digest()
    )
    files = [
        RuntimeFile(path=f"gramine/lib/{name}", sha256=sha256(raw).digest(), package="gramine")
        for name, raw in libraries.items()
    ]
    release = load_release().sgx_runtime
    assert release is not None
    bill = RuntimeBill(
        tuple(sorted((*release.packages, package), key=lambda one: one.name)),
        tuple(sorted((*files, *release.files), key=lambda one: one.path.encode())),
        release.archive,
    )
    (root / "runtime.bill").write_bytes(bill.to_bytes())
    (root / "known_pals.toml").write_bytes(known_pals(gramine.as_known()))
