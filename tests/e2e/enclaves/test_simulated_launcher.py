"""The launcher of the simulated TEE, with sealroom's own enclave inside."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from conftest import agreed_arguments, wait_until
from sealroom.adapters.release import load_release
from sealroom.cli.main import sealroom
from sealroom.core.errors import MalformedError
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.core.wire.spool import CODE_LIST, CODE_SIGNATURE
from sealroom.core.wire.terms import Tee
from sealroom.server.launchers.base import CodeSource, LaunchPlan, LaunchState
from sealroom.server.launchers.simulated import SimulatedLauncher, read_runtime

pytestmark = pytest.mark.e2e

RUN = b"print('a program')\n"


@pytest.fixture
def plan(tmp_path: Path) -> LaunchPlan:
    computation = uuid4()
    (tmp_path / "blob").write_bytes(RUN)
    source = CodeSource(
        path="run.py",
        sha256=hashlib.sha256(RUN).digest(),
        copy_to=lambda target: shutil.copyfile(tmp_path / "blob", target),
    )
    return LaunchPlan(
        computation=computation,
        epoch=1,
        deadline=datetime.now(UTC) + timedelta(minutes=5),
        arguments=agreed_arguments(computation).to_bytes(),
        code=(source, replace(source, path="model/__init__.py")),
        packages=(),
        code_list=b"the list",
        code_signature=bytes(64),
    )


@pytest.fixture
def launcher(tmp_path: Path, plan: LaunchPlan, end_processes_of: Callable) -> Iterator[SimulatedLauncher]:
    end_processes_of(plan.computation)
    return SimulatedLauncher(tmp_path / "server", grace_seconds=1)


def test_a_prepared_folder_is_the_one_that_every_client_rebuilds(
    launcher: SimulatedLauncher, plan: LaunchPlan
) -> None:
    assert launcher.watch(plan.computation, 1).state is LaunchState.ABSENT
    launcher.prepare(plan)
    assert launcher.watch(plan.computation, 1).state is LaunchState.PREPARED
    folder = launcher.folder(plan.computation, 1)
    release = load_release()
    pal = release.pal_for(Tee.SIMULATED)
    assert pal is not None
    digest = hashlib.sha256(RUN).digest()
    expected = computation_manifest(
        arguments_sha256=hashlib.sha256(plan.arguments).digest(),
        first_party=release.first_party,
        code=[MeasuredFile(path=f"code/{path}", sha256=digest) for path in ("run.py", "model/__init__.py")],
        packages=[],
        runtime=read_runtime(folder),
        max_memory=256 << 20,
        pal=pal,
    )
    assert (folder / "manifest.sgx").read_bytes() == expected
    assert hashlib.sha256((folder / "pal").read_bytes()).digest() == pal.sha256
    assert (folder / "code" / "model" / "__init__.py").read_bytes() == RUN
    spool = launcher.spool(plan.computation, 1)
    assert spool.read(CODE_LIST, max_bytes=100) == b"the list"
    assert spool.read(CODE_SIGNATURE, max_bytes=64) == bytes(64)


@pytest.mark.slow
def test_the_command_builds_the_manifest_that_was_prepared(
    launcher: SimulatedLauncher, plan: LaunchPlan
) -> None:
    digest = hashlib.sha256(RUN).digest()
    listed = CodeList.from_files(
        tuple(CodeFile(path=file.path, size=len(RUN), sha256=digest) for file in plan.code)
    )
    agreed = replace(agreed_arguments(plan.computation), code_digest=listed.digest, packages_digest=bytes(32))
    launcher.prepare(replace(plan, arguments=agreed.to_bytes()))
    folder = launcher.folder(plan.computation, 1)
    words = ["--arguments", str(folder / "args"), "--code", str(folder / "code"), "-o", str(folder / "built")]
    done = CliRunner().invoke(sealroom, ["manifest", "build", *words])
    assert done.exit_code == 0, done.output
    assert (folder / "built").read_bytes() == (folder / "manifest.sgx").read_bytes()


def test_the_real_enclave_shows_its_keys_and_answers_a_cancel(
    launcher: SimulatedLauncher, plan: LaunchPlan
) -> None:
    launcher.prepare(plan)
    launcher.prepare(plan)
    launcher.start(plan.computation, 1)
    launcher.start(plan.computation, 1)
    spool = launcher.spool(plan.computation, 1)
    wait_until(lambda: spool.has("quote") and spool.has("public"))
    assert {p.name for p in launcher.protections(plan.computation, 1)} >= {"no-network", "private-files"}
    launcher.stop(plan.computation, 1)
    wait_until(lambda: launcher.watch(plan.computation, 1).state is LaunchState.ENDED)
    refusal = spool.read("refusal", max_bytes=1 << 20)
    assert refusal is not None
    assert launcher.watch(plan.computation, 1).exit.exit_code == 1
    launcher.discard(plan.computation, 1)
    assert launcher.watch(plan.computation, 1).state is LaunchState.ABSENT


@pytest.mark.parametrize("path", ["../run.py", "/etc/run.py", "a//b", "a/./b", "", "a\0b"])
def test_a_path_out_of_the_folder_is_refused(
    launcher: SimulatedLauncher, plan: LaunchPlan, path: str
) -> None:
    with pytest.raises(MalformedError):
        launcher.prepare(replace(plan, code=(replace(plan.code[0], path=path),)))
    assert launcher.watch(plan.computation, 1).state is LaunchState.ABSENT


@pytest.mark.slow
def test_what_a_crash_left_behind_is_made_anew(launcher: SimulatedLauncher, plan: LaunchPlan) -> None:
    partial = launcher.folder(plan.computation, 1).with_name("1.tmp")
    (partial / "code").mkdir(parents=True)
    (partial / "code" / "leftover.py").write_text("")
    launcher.prepare(plan)
    assert not partial.exists()
    assert not (launcher.folder(plan.computation, 1) / "code" / "leftover.py").exists()


@pytest.mark.slow
def test_an_older_epoch_is_not_prepared_again(launcher: SimulatedLauncher, plan: LaunchPlan) -> None:
    launcher.prepare(replace(plan, epoch=2))
    with pytest.raises(ValueError, match="epoch 2 was prepared before"):
        launcher.prepare(plan)
