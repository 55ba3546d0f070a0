"""A machine with SGX made of folders, and a program in the place of Gramine's `gramine-sgx`.

The stand-in does what loader and processor do, with the checks that a launch folder has to pass: SIGSTRUCT is
signed and names the MRENCLAVE of manifest and PAL, every trusted file has its digest, and the arguments are
those of the manifest. Then it runs the folder's own `start.py`, and answers as the attestation device, under
keys of its own in the place of Intel's.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import nacl.signing
import pytest

from made_wheels import make_wheel
from provisioning_server import ProvisioningServer
from sealroom.adapters.gramine import GRAMINE_LIBRARIES, Gramine
from sealroom.adapters.host_checks import Host
from sealroom.adapters.provisioning import Source
from sealroom.core.attestation import roots
from sealroom.core.measurement.known_pals import KnownPal
from sealroom.core.measurement.runtime_bill import PackageKind, RuntimeBill, RuntimeFile, RuntimePackage
from sealroom.core.measurement.signing_key import parse_enclave_signing_key
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms
from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.pki import SimulationPki
from sealroom.insecure.synthetic_pal import synthetic_pal
from sealroom.server.config import SgxSettings
from sealroom.server.launchers.base import CodeSource, LaunchPlan

KEY = Path(__file__).parent / "vectors/measurement/sigstruct-plain/key"
RUN = b"print('a program')\n"
LISTED = CodeList.from_files((CodeFile(path="run.py", size=len(RUN), sha256=sha256(RUN).digest()),))
# Stands for the interpreter and its library: what runs is this test's own.
RUNTIME = {
    "runtime/bin/python3": b"an interpreter",
    "runtime/lib/python3.11/x.cpython-311-x86_64-linux-gnu.so": b"an extension module",
    **{f"gramine/lib/{name}": f"the library {name}".encode() for name in GRAMINE_LIBRARIES},
}

_STAND_IN = '''\
#!{python}
"""Stands in the place of gramine-sgx."""
import hashlib, subprocess, sys, tempfile
from datetime import UTC, datetime
from pathlib import Path
sys.path[:0] = {path!r}
from sealroom.adapters.enclave_process import die_with_parent
from sealroom.core.attestation import roots
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.insecure import quoting
from sealroom.insecure.attester import Attester
from sealroom.insecure.device import AttestationDevice

quoting.SIMULATION_QE_VENDOR_ID = roots.INTEL_QE_VENDOR_ID
name = sys.argv[1]
raw = Path(f"{{name}}.manifest.sgx").read_bytes()
manifest = parse_manifest(raw)
mrenclave = measure(raw, Path({pal!r}).read_bytes()).mrenclave
assert verify_sigstruct(Path(f"{{name}}.sig").read_bytes()).body.mrenclave == mrenclave, "EINIT: mrenclave"
for row in [*manifest["sgx"]["trusted_files"], manifest["loader"]["entrypoint"]]:
    found = hashlib.sha256(Path(row["uri"].removeprefix("file:")).read_bytes()).hexdigest()
    assert found == row["sha256"], row["uri"]
arguments = Path(manifest["loader"]["argv_src_file"].removeprefix("file:")).read_bytes().decode()
with tempfile.TemporaryDirectory() as place:
    device = Path(place) / "attestation"
    attester = Attester(mrenclave=mrenclave, state=Path({state!r}), now=datetime.now(UTC))
    served = AttestationDevice(
        device, target_info=attester.target_info(), make_report=attester.report, make_quote=attester.quote
    )
    served.create()
    (device / "attestation_type").write_bytes(b"dcap")
    inside = f"""
import os, runpy, sys
from pathlib import Path
base = Path.cwd()
sys.path[:0] = [str(base / "lib"), *{path!r}]
import sealroom.enclave.identity.attestation as attestation
attestation.SGX_DEVICE = Path({{str(device)!r}})
sys.argv = [str(base / "start.py"), *{{arguments.split(chr(0))[5:-1]!r}}]
runpy.run_path(str(base / "start.py"), run_name="__main__")
"""
    words = [sys.executable, "-I", "-B", "-c", inside]
    # In a folder of its own, as the enclave's root is its own; die with this process, as an enclave does.
    inner = subprocess.Popen(words, preexec_fn=die_with_parent)
    served.serve()
    sys.exit(inner.wait())
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxMachine:
    """The machine, and what its operator gives to a launcher."""

    root: Path
    pki: SimulationPki
    settings: SgxSettings

    @property
    def host(self) -> Host:
        return Host(root=self.root, path=str(self.root / "usr/bin"), home=self.root)

    @property
    def gramine(self) -> Gramine:
        return Gramine.of(self.root / "usr/lib/gramine/sgx/libpal.so")


@contextmanager
def sgx_machine(root: Path) -> Iterator[SgxMachine]:
    """Make the machine in a new folder; its provisioning service answers while this is open."""
    pki = _make_keys(root / "pki")
    _make_files(root)
    documents = make_collateral(pki, now=datetime.now(UTC))
    (root / "pccs").mkdir()
    with ProvisioningServer(documents, root / "pccs") as pccs:
        settings = SgxSettings(
            packages=root / "packages",
            signer=parse_enclave_signing_key(KEY.read_bytes()),
            sources=(Source.parse(pccs.url),),
            source_ca=pccs.certificate,
            runtime_bill=root / "runtime.bill",
            known_pals=root / "known_pals.toml",
        )
        yield SgxMachine(root=root, pki=pki, settings=settings)


def known_pals(pal: KnownPal) -> bytes:
    """Return a list with this PAL, as an operator writes it."""
    row = f"""
        format = 1
        [[pal]]
        name = "a Gramine of this test"
        source = "made of folders"
        tee = "sgx"
        sha256 = "{pal.sha256.hex()}"
        libos_uri = "{pal.libos_uri}"
        libos_sha256 = "{pal.libos_sha256.hex()}"
    """
    return dedent(row).encode()


def make_bill(wheel: bytes, files: dict[str, bytes]) -> RuntimeBill:
    """Return the bill of a runtime whose files are all in one package."""
    package = RuntimePackage(
        kind=PackageKind.WHEEL, name="one", version="1", architecture="any", sha256=sha256(wheel).digest()
    )
    rows = sorted(files.items(), key=lambda item: item[0].encode())
    return RuntimeBill(
        (package,),
        tuple(RuntimeFile(path=path, sha256=sha256(x).digest(), package="one") for path, x in rows),
    )


def stands_for_intel(patch: pytest.MonkeyPatch, pki: SimulationPki) -> None:
    """Let the keys of a machine stand where Intel's key is pinned."""
    patch.setattr(roots, "INTEL_SGX_ROOT_KEY", pki.root.point)
    patch.setattr("sealroom.client.verification.ROOTS", (pki.root.point,))


def arguments(tee: Tee = Tee.SGX) -> Arguments:
    terms = Terms(
        tee=tee,
        delivery=DeliveryForm.V1,
        computation=uuid4(),
        owner="owner@example.org",
        code_provider="code@example.org",
        data_providers=(),
        result_consumers=(),
        logs=LogRelease.NONE,
        limits=Limits(max_output_bytes=1, max_log_bytes=1, max_seconds=60, max_memory=1 << 28),
    )
    key = bytes(nacl.signing.SigningKey(bytes(32)).verify_key)
    provider = Participant(role=Role.CODE_PROVIDER, index=0, email="code@example.org", public_key=key)
    return Arguments(
        terms=terms,
        participants=(provider,),
        code_digest=LISTED.digest,
        packages_digest=bytes(32),
        launch=bytes(16),
    )


def plan(agreed: Arguments) -> LaunchPlan:
    def copy_to(target: Path) -> None:
        target.write_bytes(RUN)

    return LaunchPlan(
        computation=agreed.terms.computation,
        epoch=1,
        deadline=datetime.now(UTC) + timedelta(minutes=5),
        arguments=agreed.to_bytes(),
        code=(CodeSource(path="run.py", sha256=sha256(RUN).digest(), copy_to=copy_to),),
        packages=(),
        code_list=LISTED.to_json(),
        code_signature=bytes(64),
    )


def _make_keys(folder: Path) -> SimulationPki:
    folder.mkdir(parents=True)
    return SimulationPki.load_or_create(folder, now=datetime.now(UTC))


def _make_files(root: Path) -> None:
    wheel = make_wheel("one", "1", {f"one/{path}": content for path, content in RUNTIME.items()})
    pal = root / "usr/lib/gramine/sgx/libpal.so"
    program = _STAND_IN.format(
        python=sys.executable, path=[path for path in sys.path if path], pal=str(pal), state=str(root / "pki")
    )
    files = {
        "usr/bin/gramine-sgx": program.encode(),
        "usr/lib/gramine/sgx/libpal.so": _another_pal(),
        "usr/lib/gramine/libsysdb.so": b"a library OS",
        **{f"usr/lib/gramine/runtime/glibc/{name}": name.encode() for name in GRAMINE_LIBRARIES},
        "dev/sgx_enclave": b"",
        "packages/one.whl": wheel,
        "runtime.bill": make_bill(wheel, RUNTIME).to_bytes(),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "usr/bin/gramine-sgx").chmod(0o755)
    (root / "known_pals.toml").write_bytes(known_pals(Gramine.of(pal).as_known()))
    _make_socket(root / "var/run/aesmd")


def _another_pal() -> bytes:
    """Return an ELF file like the synthetic PAL, which is known to be simulated, with other bytes in it."""
    return synthetic_pal().replace(b"SIMULATED", b"STAND-INS")


def _make_socket(folder: Path) -> None:
    folder.mkdir(parents=True)
    # Names of sockets are short: bind by a relative one.
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made.bind("aesm.socket")
