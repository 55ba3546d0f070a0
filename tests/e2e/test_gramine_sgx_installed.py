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
from pathlib import Path

import pytest

from sealroom.adapters.gramine import Gramine, pal_beside
from sealroom.adapters.host_checks import Host
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
    made = _make_bill(packages, packages.with_suffix(".bill"), "--download")
    if made.returncode:
        pytest.skip(f"packages cannot be downloaded here: {made.stderr.strip().splitlines()[-1]}")
    return packages


def _make_bill(packages: Path, output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_TOOL), str(packages), "-o", str(output), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _installed(program: Path) -> Gramine:
    pal = pal_beside(program)
    assert pal is not None
    return Gramine.of(pal)


def _install(root: Path, packages: Path) -> None:
    """Write bill and list for the Gramine that is installed, out of a package of it, as the page says."""
    assert _SGX is not None
    gramine = _installed(Path(_SGX))
    package = _package(gramine, root / "gramine")
    made = _make_bill(packages, root / "runtime.bill", "--gramine", str(package))
    assert made.returncode == 0, made.stderr
    package.rename(packages / package.name)
    (root / "known_pals.toml").write_bytes(known_pals(gramine.as_known()))


def _package(gramine: Gramine, folder: Path) -> Path:
    """Make a Debian package of an installed Gramine, with the files where Gramine's own has them."""
    place = folder / "usr/lib/x86_64-linux-gnu/gramine"
    shutil.copytree(gramine.libraries, place / "runtime/glibc", symlinks=True)
    (place / "sgx").mkdir()
    shutil.copyfile(gramine.pal, place / "sgx/libpal.so")
    shutil.copyfile(gramine.libos, place / "libsysdb.so")
    (folder / "DEBIAN").mkdir()
    (folder / "DEBIAN/control").write_text(
        "Package: gramine\nVersion: 1.9~test\nArchitecture: amd64\nMaintainer: a test <test@example.org>\n"
        "Description: an installed Gramine\n"
    )
    package = folder.with_name("gramine_1.9~test_amd64.deb")
    # Compressed by something that every reader has.
    words = ["dpkg-deb", "-Zxz", "--root-owner-group", "-b", str(folder), str(package)]
    subprocess.run(words, check=True, capture_output=True)
    return package
