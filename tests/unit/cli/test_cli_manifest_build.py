"""`sealroom manifest build`: from the parts of a launch, the bytes of its manifest."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from transcript import Played, play

from made_wheels import make_wheel, pin, requirements_of
from sealroom.cli.exit_codes import ExitCode
from sealroom.client.home import Home
from sealroom.client.wheel_store import WheelStore
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.server.launchers.base import WheelSource
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher
from sealroom.server.launchers.sgx_files import SIGSTRUCT
from sgx_machine import LISTED, RUN, SgxMachine, arguments, plan, sgx_machine

WHEEL = make_wheel("one", "1", {"one/__init__.py": b"1"})
PINNED = requirements_of(pin(WHEEL, "one", "1"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SgxMachine]:
    with sgx_machine(tmp_path_factory.mktemp("machine") / "m") as made:
        yield made


@pytest.fixture
def home(machine: SgxMachine, tmp_path: Path) -> Home:
    """A home with the operator's bill and list of PALs."""
    made = Home.open(tmp_path / "home")
    shutil.copyfile(machine.root / "runtime.bill", made.runtime_bill)
    shutil.copyfile(machine.root / "known_pals.toml", made.known_pals)
    return made


@pytest.fixture
def folder(machine: SgxMachine, tmp_path: Path) -> Path:
    """A prepared launch folder, whose code names a package."""

    agreed = replace(arguments(), code_digest=_listed().digest, packages_digest=_digest(PINNED))
    planned = plan(agreed)
    requirements = replace(
        planned.code[0],
        path="requirements.txt",
        sha256=_digest(PINNED),
        copy_to=lambda target: target.write_bytes(PINNED),
    )
    wheel = WheelSource(requirement=pin(WHEEL, "one", "1"), open=lambda: io.BytesIO(WHEEL))
    planned = replace(planned, code=(*planned.code, requirements), packages=(wheel,))
    (tmp_path / "enclaves").mkdir()
    launcher = GramineSgxLauncher(tmp_path / "enclaves", machine.settings, host=machine.host)
    launcher.prepare(planned)
    return launcher.folder(planned.computation, 1)


def _listed() -> CodeList:
    requirements = CodeFile(path="requirements.txt", size=len(PINNED), sha256=_digest(PINNED))
    return CodeList.from_files((*LISTED.files, requirements))


def _digest(raw: bytes) -> bytes:

    return hashlib.sha256(raw).digest()


def build(home: Home, folder: Path, *words: str) -> Played:
    return play(
        ["manifest", "build", "-o", "built", "--home", str(home.root), *words], folder=folder, environment={}
    )


def test_the_parts_of_a_launch_make_its_manifest_and_its_mrenclave(
    home: Home, folder: Path, machine: SgxMachine
) -> None:
    WheelStore(home).add(pin(WHEEL, "one", "1"), lambda sink: sink.write(WHEEL))
    pal = str(machine.gramine.pal)
    said = build(home, folder, "--arguments", "args", "--code", "code", "--pal", pal, "--json")
    assert said.exit_code == 0, said.output
    manifest = (folder / "manifest.sgx").read_bytes()
    assert (folder / "built").read_bytes() == manifest
    document = json.loads(said.output)
    signed = verify_sigstruct((folder / SIGSTRUCT).read_bytes()).body.mrenclave
    assert document["mrenclave"] == signed.hex() == measure(manifest, Path(pal).read_bytes()).mrenclave.hex()
    assert document["trusted_files"] == manifest.count(b"[[sgx.trusted_files]]")


def test_an_archive_makes_the_same_manifest_as_its_files(home: Home, folder: Path) -> None:
    WheelStore(home).add(pin(WHEEL, "one", "1"), lambda sink: sink.write(WHEEL))
    with tarfile.open(folder / "code.tar", "w") as archive:
        for path in ("run.py", "requirements.txt"):
            archive.add(folder / "code" / path, arcname=path)
    said = build(home, folder, "--arguments", "args", "--code", "code.tar")
    assert said.exit_code == 0, said.output
    assert (folder / "built").read_bytes() == (folder / "manifest.sgx").read_bytes()
    assert "sealroom measure --manifest built" in said.output


def test_evidence_names_the_same_parts(home: Home, folder: Path, machine: SgxMachine) -> None:
    WheelStore(home).add(pin(WHEEL, "one", "1"), lambda sink: sink.write(WHEEL))
    bundle = EvidenceBundle(
        release="0.1.0",
        quote=b"a quote",
        identity_pk=bytes(32),
        collateral=None,
        manifest=b"another manifest",
        arguments=(folder / "args").read_bytes(),
        entry_point=RUN,
        requirements=PINNED,
        code_list=_listed(),
        code_signature=bytes(64),
        sigstruct=None,
        pal=machine.gramine.pal.read_bytes(),
    )
    (folder / "evidence").write_bytes(bundle.to_bytes())
    assert build(home, folder, "--evidence", "evidence").exit_code == 0
    assert (folder / "built").read_bytes() == (folder / "manifest.sgx").read_bytes()
    (folder / "evidence").write_bytes(replace(bundle, requirements=None).to_bytes())
    assert (
        "requirements.txt: not the one in the code's list"
        in build(home, folder, "--evidence", "evidence").output
    )


def test_what_is_missing_is_named(home: Home, folder: Path) -> None:
    said = build(home, folder, "--arguments", "args", "--code", "code")
    assert said.exit_code == 1
    assert "one 1" in said.output
    assert "sealroom lock" in said.output
    home.known_pals.unlink()
    said = build(home, folder, "--arguments", "args", "--code", "code")
    assert "no PAL is known for tee=sgx" in said.output
    said = build(home, folder, "--arguments", "args", "--code", "code", "--pal", "pal")
    assert "is not known for tee=sgx" in said.output
    assert "give --arguments and --code, or --evidence" in build(home, folder, "--code", "code").output
    assert not (folder / "built").exists()


def test_code_of_another_computation_is_refused(home: Home, folder: Path) -> None:
    (folder / "code/run.py").write_bytes(RUN + b"#")
    said = build(home, folder, "--arguments", "args", "--code", "code")
    assert "code: its list has the digest" in said.output
    assert not (folder / "built").exists()


@pytest.mark.parametrize("kind", ["link", "linked folder", "device", "no archive", "folder in it"])
def test_what_is_no_code_is_refused(home: Home, folder: Path, kind: str) -> None:
    code = folder / "code"
    match kind:
        case "link":
            (code / "more.py").symlink_to("run.py")
        case "linked folder":
            (code / "more").symlink_to("/etc")
        case "device":
            (code / "more.py").symlink_to("/dev/null")
        case "no archive":
            code = code / "run.py"
        case _:
            code = folder / "code.tar"
            with tarfile.open(code, "w") as archive:
                archive.add(folder / "code", arcname="code")
    said = build(home, folder, "--arguments", "args", "--code", str(code))
    assert said.exit_code == ExitCode.MALFORMED
    assert "code: " in said.output
