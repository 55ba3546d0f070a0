"""The launcher of enclaves on SGX up to the processor: what it makes, and what it refuses to make."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

import service_samples
from made_wheels import make_wheel, pin
from sealroom.adapters.key_command import KeyCommand
from sealroom.core.errors import MalformedError, TransportError
from sealroom.core.evidence.rebuild import rebuild_manifest
from sealroom.core.measurement.manifest import parse_manifest
from sealroom.core.measurement.mrenclave import measure
from sealroom.core.measurement.runtime_bill import parse_runtime_bill
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.core.measurement.signing_key import parse_enclave_signing_key
from sealroom.core.wire.bundle import RawCollateral
from sealroom.core.wire.report_data import report_data
from sealroom.core.wire.spool import PUBLIC, QUOTE
from sealroom.core.wire.terms import Tee
from sealroom.insecure.collateral import make_collateral
from sealroom.insecure.quoting import QuotingEnclave, ReportBody
from sealroom.server.config import ServerConfig
from sealroom.server.launchers.base import LaunchError, LaunchState, WheelSource
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher
from sealroom.server.launchers.published import COLLATERAL, PublicCode, compose_bundle
from sealroom.server.launchers.sgx_files import MANIFEST, SIGSTRUCT, STARTING, StartingOrder
from sealroom.server.main import make_launcher
from sealroom.server.sgx_enclave import publish_collateral
from sgx_machine import (
    KEY,
    LISTED,
    RUN,
    RUNTIME,
    SgxMachine,
    arguments,
    known_pals,
    make_bill,
    plan,
    sgx_machine,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SgxMachine]:
    with sgx_machine(tmp_path_factory.mktemp("machine") / "m") as made:
        yield made


@pytest.fixture
def machine(template: SgxMachine, tmp_path: Path) -> SgxMachine:
    """A machine that a test may break."""
    root = tmp_path / "m"
    shutil.copytree(template.root, root, ignore=shutil.ignore_patterns("aesm.socket"))
    (root / "var/run").rename(root / "var/run.empty")
    (root / "var/run").symlink_to(template.root / "var/run")
    own = replace(
        template.settings,
        packages=root / "packages",
        runtime_bill=root / "runtime.bill",
        known_pals=root / "known_pals.toml",
    )
    return replace(template, root=root, settings=own)


Launch = Callable[..., GramineSgxLauncher]


@pytest.fixture
def launch(machine: SgxMachine, tmp_path: Path) -> Launch:
    (tmp_path / "enclaves").mkdir()

    def make(**changes: object) -> GramineSgxLauncher:
        settings = replace(machine.settings, **changes)
        return GramineSgxLauncher(tmp_path / "enclaves", settings, host=machine.host)

    return make


def test_what_is_prepared_is_what_every_client_rebuilds_and_what_is_signed(launch: Launch) -> None:
    launcher, agreed = launch(), arguments()
    launcher.prepare(plan(agreed))
    launcher.prepare(plan(agreed))
    assert launcher.watch(agreed.terms.computation, 1).state is LaunchState.PREPARED
    folder, release = launcher.folder(agreed.terms.computation, 1), launcher.load_release()
    pal, bill = release.pal_for(Tee.SGX), release.sgx_runtime
    assert pal is not None
    assert bill is not None
    expected = rebuild_manifest(
        arguments=agreed, code_list=LISTED, packages=(), release=release, pal=pal, runtime=bill.measured
    )
    assert (folder / MANIFEST).read_bytes() == (folder / "manifest.sgx").read_bytes() == expected
    raw_pal = (folder / "pal").read_bytes()
    assert hashlib.sha256(raw_pal).digest() == pal.sha256
    signed = verify_sigstruct((folder / SIGSTRUCT).read_bytes())
    assert signed.body.mrenclave == measure(expected, raw_pal).mrenclave
    document = parse_manifest(expected)
    for row in [*document["sgx"]["trusted_files"], document["loader"]["entrypoint"]]:
        content = (folder / row["uri"].removeprefix("file:")).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]


def test_packages_of_the_code_are_unpacked_for_the_runtime_of_the_bill(launch: Launch) -> None:
    raw = make_wheel("one", "1", {"one/__init__.py": b"1"})
    source = WheelSource(requirement=pin(raw, "one", "1"), open=lambda: io.BytesIO(raw))
    launcher, agreed = launch(), arguments()
    launcher.prepare(replace(plan(agreed), packages=(source,)))
    folder = launcher.folder(agreed.terms.computation, 1)
    assert (folder / "packages/one/__init__.py").read_bytes() == b"1"
    assert b"packages/one/__init__.py" in (folder / MANIFEST).read_bytes()


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("usr/bin/gramine-sgx", "gramine-sgx: not on the PATH"),
        ("dev/sgx_enclave", "SGX device: /dev/sgx_enclave is not there.*group sgx"),
        ("var/run", "AESM: no socket.*systemctl start aesmd"),
        ("usr/lib/gramine/sgx/libpal.so", "no libpal.so"),
        ("packages/one.whl", "no package with the digest of one 1 any"),
    ],
)
def test_a_machine_that_lacks_something_starts_nothing_and_says_what_brings_it(
    launch: Launch, machine: SgxMachine, gone: str, said: str
) -> None:
    (machine.root / gone).unlink()
    with pytest.raises(LaunchError, match=said):
        launch()


def test_a_device_that_went_away_is_named_when_an_enclave_is_to_start(
    launch: Launch, machine: SgxMachine
) -> None:
    launcher, agreed = launch(), arguments()
    launcher.prepare(plan(agreed))
    (machine.root / "dev/sgx_enclave").unlink()
    with pytest.raises(LaunchError, match="/dev/sgx_enclave is not there"):
        launcher.start(agreed.terms.computation, 1)
    assert launcher.watch(agreed.terms.computation, 1).state is LaunchState.PREPARED


def test_a_pal_that_nobody_knows_is_refused_by_its_digest(launch: Launch) -> None:
    with pytest.raises(LaunchError, match=r"is no PAL that release .* knows.*deploy-sgx"):
        launch(known_pals=None)


def test_a_library_os_of_another_gramine_is_refused(launch: Launch, machine: SgxMachine) -> None:
    (machine.root / "usr/lib/gramine/libsysdb.so").write_bytes(b"another library OS")
    with pytest.raises(LaunchError, match=r"libsysdb.so: sha256 .*, and a Gramine of this test has"):
        launch()


def test_the_list_of_an_operator_names_no_pal_that_simulates(launch: Launch, machine: SgxMachine) -> None:
    known = machine.gramine.as_known()
    text = known_pals(replace(known, libos_uri="file:pal")).replace(b'"sgx"', b'"simulated"')
    (machine.root / "known_pals.toml").write_bytes(text)
    with pytest.raises(MalformedError, match="PALs for SGX alone"):
        launch()


def test_a_bill_without_the_c_library_of_gramine_is_refused(launch: Launch, machine: SgxMachine) -> None:
    with pytest.raises(LaunchError, match="none of Gramine's C library"):
        launch(runtime_bill=None)
    wheel = (machine.root / "packages/one.whl").read_bytes()
    files = {path: content for path, content in RUNTIME.items() if path.startswith("runtime/")}
    (machine.root / "runtime.bill").write_bytes(make_bill(wheel, files).to_bytes())
    with pytest.raises(LaunchError, match="none of Gramine's C library"):
        launch()


def test_a_runtime_is_staged_once_and_again_where_a_bill_is_another(
    launch: Launch, machine: SgxMachine, tmp_path: Path
) -> None:
    launch()
    shutil.rmtree(machine.root / "packages")
    launch()
    assert len(list((tmp_path / "enclaves/sgx/runtimes").iterdir())) == 1
    bill = parse_runtime_bill((machine.root / "runtime.bill").read_bytes())
    other = replace(bill, packages=(replace(bill.packages[0], version="2"),))
    (machine.root / "runtime.bill").write_bytes(other.to_bytes())
    with pytest.raises(LaunchError, match="packages"):
        launch()


def test_a_key_that_does_not_sign_leaves_no_launch(launch: Launch) -> None:
    modulus = parse_enclave_signing_key(KEY.read_bytes()).modulus
    for words, said in ((["false"], "exit code 1"), (["true"], "returned 0 bytes")):
        launcher, agreed = launch(signer=KeyCommand(words, modulus=modulus)), arguments()
        with pytest.raises(LaunchError, match=f"cannot be signed: .*{said}"):
            launcher.prepare(plan(agreed))
        assert launcher.watch(agreed.terms.computation, 1).state is LaunchState.ABSENT


def test_arguments_for_a_simulated_enclave_are_refused(launch: Launch) -> None:
    with pytest.raises(LaunchError, match="tee is simulated"):
        launch().prepare(plan(arguments(Tee.SIMULATED)))


def test_settings_for_sgx_belong_to_its_launcher_alone(machine: SgxMachine, tmp_path: Path) -> None:
    for launcher, sgx in (("simulated", machine.settings), ("gramine-sgx", None)):
        with pytest.raises(ValueError, match="settings for SGX"):
            make_launcher(ServerConfig(data=tmp_path, launcher=launcher, sgx=sgx))
    with pytest.raises(ValueError, match="at least one"):
        replace(machine.settings, sources=())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[",
        b"{}",
        b'{"program": 1, "sources": [], "source_ca": null}',
        b'{"program": "p", "sources": "s", "source_ca": null}',
        b'{"program": "p", "sources": [1], "source_ca": null}',
        b'{"program": "p", "sources": [], "source_ca": 1}',
    ],
)
def test_an_order_for_starting_of_another_form_is_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / STARTING).write_bytes(raw)
    with pytest.raises(MalformedError, match=STARTING):
        StartingOrder.load(tmp_path)


# What belongs to a quote


@pytest.fixture
def shown(launch: Launch) -> tuple[GramineSgxLauncher, UUID]:
    """A launch whose enclave has shown some quote."""
    launcher, agreed = launch(), arguments()
    launcher.prepare(plan(agreed))
    launcher.spool(agreed.terms.computation, 1).write(QUOTE, b"a quote")
    return launcher, agreed.terms.computation


def test_documents_are_asked_for_again_and_written_once(
    shown: tuple[GramineSgxLauncher, UUID], machine: SgxMachine
) -> None:
    folder = shown[0].folder(shown[1], 1)
    documents = RawCollateral(**make_collateral(machine.pki, now=datetime.now(UTC)))
    pauses: list[float] = []

    def fetch(quote: bytes) -> RawCollateral:
        assert quote == b"a quote"
        if len(pauses) < 2:
            raise TransportError("nobody answers")
        return documents

    publish_collateral(folder, fetch, sleep=pauses.append)
    assert RawCollateral.from_json((folder / COLLATERAL).read_bytes()) == documents
    assert len(pauses) == 2


def test_evidence_without_documents_is_published_when_nobody_has_them(
    shown: tuple[GramineSgxLauncher, UUID], template: SgxMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher, uuid = shown
    folder, spool = launcher.folder(uuid, 1), launcher.spool(uuid, 1)
    keys = {"identity_pk": bytes([1]) * 32, "box_pk": bytes([2]) * 32}
    spool.write(PUBLIC, keys["identity_pk"] + keys["box_pk"])
    body = ReportBody(mrenclave=bytes(32), report_data=report_data(**keys))
    spool.write(QUOTE, QuotingEnclave(template.pki).quote(body))
    code = PublicCode(entry_point=RUN, requirements=None, listed=LISTED, signature=bytes(64))
    compose = partial(compose_bundle, folder, spool, arguments=(folder / "args").read_bytes(), code=code)
    assert compose() is None

    def fetch(_: bytes) -> RawCollateral:
        raise TransportError("nobody answers")

    publish_collateral(folder, fetch, sleep=lambda _: None)
    published = compose()
    assert published is not None
    assert published.bundle.collateral is None
    assert published.bundle.sigstruct == (folder / SIGSTRUCT).read_bytes()
    assert capsys.readouterr().err.count("nobody answers") == 10


def test_documents_for_what_cannot_be_a_quote_are_not_asked_for(
    launch: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher, agreed = launch(), arguments()
    launcher.prepare(plan(agreed))
    folder = launcher.folder(agreed.terms.computation, 1)
    (folder / "spool/quote").write_bytes(bytes((64 << 10) + 1))
    publish_collateral(folder, pytest.fail, sleep=lambda _: None)
    assert not (folder / COLLATERAL).exists()
    assert "quote" in capsys.readouterr().err


def test_an_enclave_that_does_not_start_says_where_to_look(launch: Launch, tmp_path: Path) -> None:
    launcher, agreed = launch(), arguments()
    launcher.prepare(plan(agreed))
    state = tmp_path / "state"
    state.mkdir()
    order = StartingOrder(program="/bin/false", sources=("https://127.0.0.1:1",), source_ca=None)
    (state / STARTING).write_bytes(order.to_json())
    folder = launcher.folder(agreed.terms.computation, 1)
    words = [sys.executable, "-m", "sealroom.server.sgx_enclave", str(folder), "--state", str(state)]
    ran = subprocess.run(
        [*words, "--parent", str(os.getpid())], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 1
    assert "ended with 1, and it showed no quote: sealroom doctor" in ran.stderr
    (state / STARTING).unlink()
    gone = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (gone.returncode, "starting.json: not valid JSON" in gone.stderr) == (125, True)


@pytest.mark.parametrize("serves", [False, True])
def test_a_service_keeps_the_network_that_a_computation_loses(
    launch: Launch, tmp_path: Path, serves: bool
) -> None:
    launcher, agreed = launch(), arguments()
    launcher.prepare(plan(agreed))
    folder, state = launcher.folder(agreed.terms.computation, 1), tmp_path / "state"
    if serves:
        (folder / "args").write_bytes(replace(service_samples.ARGUMENTS, tee=Tee.SGX).to_bytes())
    state.mkdir()
    network = tmp_path / "network"
    program = tmp_path / "stand-in"
    program.write_text(f"#!/bin/sh\nreadlink /proc/self/ns/net > {network}\n")
    program.chmod(0o755)
    order = StartingOrder(program=str(program), sources=("https://127.0.0.1:1",), source_ca=None)
    (state / STARTING).write_bytes(order.to_json())
    words = [sys.executable, "-m", "sealroom.server.sgx_enclave", str(folder), "--state", str(state)]
    subprocess.run([*words, "--parent", str(os.getpid())], check=True, timeout=60)
    same = network.read_text().strip() == str(Path("/proc/self/ns/net").readlink())
    held = {row.name: row for row in launcher.protections(agreed.terms.computation, 1)}["no-network"]
    assert held.on is not same
    if serves:
        assert (same, held.detail) == (True, "a service takes connections")
