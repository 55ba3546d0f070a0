"""Launches of small programs in place of sealroom's own enclave; all that is around them is real."""

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import nacl.signing
import pytest

from sealroom.adapters.release import load_release
from sealroom.core.measurement.template import MeasuredFile, computation_manifest
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms
from sealroom.insecure.tee import prepare
from sealroom.server.launchers.base import LaunchState, LaunchStatus
from sealroom.server.launchers.host_files import EPOCH, HOST_FOLDER, ORDER, LaunchOrder, write_whole
from sealroom.server.launchers.simulated import SimulatedLauncher, read_runtime
from sealroom.server.launchers.spool_files import SPOOL_FOLDER, Spool

PATIENCE_SECONDS = 60

# What every program begins with: the folder of start.py, a quote over 64 bytes, and the spool.
PREAMBLE = """
import os, sys, time
from pathlib import Path
base = Path(__file__).absolute().parent
sys.path.append(str(Path(os.__file__).parent / "site-packages"))
device, spool = base / "attestation", base / "spool"
def read(name):
    with open(device / name, "rb") as file:
        return file.read()
def write(name, content):
    with open(device / name, "wb", buffering=0) as file:
        file.write(content)
def publish(name, content):
    (spool / f"{name}.tmp").write_bytes(content)
    (spool / f"{name}.tmp").rename(spool / name)
def attest():
    write("user_report_data", bytes(range(64)))
    write("target_info", read("my_target_info"))
    publish("public", read("report")[64:96].ljust(64, b"."))
    publish("quote", read("quote"))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One launch of a test, made by hand and handed to the real launcher."""

    launcher: SimulatedLauncher
    computation: UUID
    epoch: int

    @property
    def folder(self) -> Path:
        return self.launcher.folder(self.computation, self.epoch)

    @property
    def spool(self) -> Path:
        return self.folder / SPOOL_FOLDER

    def start(self) -> None:
        self.launcher.start(self.computation, self.epoch)

    def status(self) -> LaunchStatus:
        return self.launcher.watch(self.computation, self.epoch)

    def console(self) -> str:
        return (self.folder / HOST_FOLDER / "console.log").read_text()

    def log(self) -> str:
        return (self.folder / HOST_FOLDER / "supervisor.log").read_text()

    def wait_for(self, name: str) -> bytes:
        wait_until(lambda: (self.spool / name).exists())
        return (self.spool / name).read_bytes()

    def wait_until_ended(self) -> LaunchStatus:
        wait_until(lambda: self.status().state is not LaunchState.ALIVE)
        return self.status()

    def processes(self) -> dict[int, str]:
        """The processes that name this computation in their command line."""
        return find_processes(str(self.computation))


def find_processes(word: str) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if word in command and state != "Z":
            found[int(entry.name)] = command
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the simulated TEE prepares, once for all tests: it is the same for each launch."""
    root = tmp_path_factory.mktemp("prepared")
    prepare(root, state=root / "simulation")
    return root


@pytest.fixture
def end_processes_of() -> Iterator[Callable[[UUID], None]]:
    """Name a computation whose processes are ended after the test, whatever came of it."""
    computations: list[UUID] = []
    yield computations.append
    for computation in computations:
        for pid in find_processes(str(computation)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def make_launch(
    prepared: Path, tmp_path: Path, end_processes_of: Callable[[UUID], None]
) -> Callable[..., Launch]:
    """Make a launch whose start.py is a given program."""
    launcher = SimulatedLauncher(tmp_path, grace_seconds=1)

    def make(
        program: str,
        *,
        computation: UUID | None = None,
        epoch: int = 1,
        deadline: timedelta = timedelta(minutes=5),
        max_seconds: int = 60,
        start_seconds: int = 60,
        max_spool_bytes: int = 1 << 30,
        tee: Tee = Tee.SIMULATED,
    ) -> Launch:
        launch = Launch(launcher=launcher, computation=computation or uuid4(), epoch=epoch)
        end_processes_of(launch.computation)
        folder = launch.folder
        folder.mkdir(parents=True)
        for name in ("pal", "runtime.json"):
            shutil.copyfile(prepared / name, folder / name)
        for name in ("lib", "code", "packages", "host"):
            (folder / name).mkdir()
        (folder / "code" / "run.py").write_text("print('never run here')\n")
        (folder / "start.py").write_text(PREAMBLE + program)
        (folder / "args").write_bytes(agreed_arguments(launch.computation, max_seconds, tee).to_bytes())
        (folder / "manifest.sgx").write_bytes(_manifest(folder))
        Spool(launch.spool).create(providers=0, consumers=0)
        order = LaunchOrder(
            launcher="simulated",
            state=str(prepared / "simulation"),
            epoch=epoch,
            deadline=datetime.now(UTC) + deadline,
            max_seconds=max_seconds,
            grace_seconds=1,
            start_seconds=start_seconds,
            max_spool_bytes=max_spool_bytes,
        )
        write_whole(folder / HOST_FOLDER / ORDER, order.to_json())
        write_whole(folder.parent / EPOCH, str(epoch).encode())
        return launch

    return make


def agreed_arguments(computation: UUID, max_seconds: int = 60, tee: Tee = Tee.SIMULATED) -> Arguments:
    """Arguments of a computation with a Code Provider and nobody else."""
    key = bytes(nacl.signing.SigningKey.generate().verify_key)
    terms = Terms(
        tee=tee,
        delivery=DeliveryForm.V1,
        computation=computation,
        owner="owner@example.org",
        code_provider="code@example.org",
        data_providers=(),
        result_consumers=(),
        logs=LogRelease.NONE,
        limits=Limits(
            max_output_bytes=1 << 20, max_log_bytes=1 << 16, max_seconds=max_seconds, max_memory=256 << 20
        ),
    )
    provider = Participant(role=Role.CODE_PROVIDER, index=0, email="code@example.org", public_key=key)
    return Arguments(
        terms=terms,
        participants=(provider,),
        code_digest=bytes(32),
        packages_digest=bytes(32),
        launch=bytes(16),
    )


def _manifest(folder: Path) -> bytes:
    pal = load_release().pal_for(Tee.SIMULATED)
    assert pal is not None
    return computation_manifest(
        arguments_sha256=hashlib.sha256((folder / "args").read_bytes()).digest(),
        first_party=[_measured(folder, "start.py")],
        code=[_measured(folder, "code/run.py")],
        packages=[],
        runtime=read_runtime(folder),
        max_memory=256 << 20,
        pal=pal,
    )


def _measured(folder: Path, path: str) -> MeasuredFile:
    return MeasuredFile(path=path, sha256=hashlib.sha256((folder / path).read_bytes()).digest())
