"""Whole computations by the launcher of enclaves on SGX, with a program in the place of gramine-sgx.

All before that program and all around it is real: server, launcher, supervisor, clients. Nobody accepts a
simulated enclave here; the machine's own keys stand where Intel's are pinned.
"""

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from platform_processes import find_processes, kill_process, wait_until

from sealroom.client import (
    Client,
    CodeProvider,
    ComputationDraft,
    ComputationOwner,
    DataProvider,
    Home,
    ResultConsumer,
    ServerAddress,
    State,
    create_identity,
    load_policy,
    read_invitation,
)
from sealroom.client.member import KeyHolder
from sealroom.core.measurement.signing import verify_sigstruct
from sealroom.core.wire.bundle import EvidenceBundle
from sealroom.core.wire.enclave import VerifiedEnclave
from sealroom.core.wire.terms import Limits, LogRelease, Tee
from sealroom.server.app import create_app
from sealroom.server.config import ServerConfig
from sealroom.server.launchers.base import LaunchState
from sealroom.server.launchers.gramine_sgx import GramineSgxLauncher
from sealroom.server.main import open_platform
from sealroom.server.platform import Platform
from sealroom.server.reconcile import Reconciler
from sealroom.server.tls import load_or_make_certificate
from sgx_machine import SgxMachine, sgx_machine, stands_for_intel

pytestmark = pytest.mark.e2e

POLICY = load_policy("insecure-any-status")
LIMITS = Limits(max_output_bytes=1 << 20, max_log_bytes=1 << 16, max_seconds=60, max_memory=1 << 28)
PROGRAM = """
from sealroom.enclave import Enclave
with Enclave() as enclave:
    print("a line for the log")
    enclave.write(b"+".join(file.read() for file in enclave.read()))
"""


@dataclass(kw_only=True)
class Operator:
    """A server over one data folder, in this process, which can be stopped and started again."""

    machine: SgxMachine
    data: Path
    launcher: GramineSgxLauncher = field(init=False)
    platform: Platform = field(init=False)

    @contextmanager
    def serving(self) -> Iterator[ServerAddress]:
        config = ServerConfig(data=self.data, port=0, launcher="gramine-sgx", sgx=self.machine.settings)
        certificate = load_or_make_certificate(self.data / "tls", host="127.0.0.1")
        (self.data / "enclaves").mkdir(exist_ok=True)
        self.launcher = GramineSgxLauncher(
            self.data / "enclaves", self.machine.settings, host=self.machine.host, grace_seconds=2
        )
        self.platform = open_platform(config, tee=self.launcher.tee)
        reconciler = Reconciler(self.platform, self.launcher)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(self.platform),
                ssl_certfile=str(certificate.certificate),
                ssl_keyfile=str(certificate.key),
                log_config=None,
                lifespan="off",
                ws="none",
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        reconciler.start()
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield ServerAddress(
                url=f"https://127.0.0.1:{listener.getsockname()[1]}",
                certificate_sha256=bytes.fromhex(certificate.sha256),
            )
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            reconciler.stop()
            listener.close()
            self.platform.store.close()


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    with sgx_machine(tmp_path / "machine") as machine:
        stands_for_intel(monkeypatch, machine.pki)
        (tmp_path / "server").mkdir()
        made = Operator(machine=machine, data=tmp_path / "server")
        yield made
        wait_until(lambda: not find_processes(str(made.data)), "every process of the server is gone")


@dataclass(kw_only=True)
class Party:
    owner: ComputationOwner
    code: CodeProvider
    data: DataProvider
    consumer: ResultConsumer

    @property
    def holders(self) -> tuple[KeyHolder, ...]:
        return (self.code, self.data, self.consumer)

    def wait(self, *states: State) -> State:
        return self.owner.wait(lambda now: now.state in states, timeout_seconds=90, poll_seconds=0.1).state


@contextmanager
def gathered(address: ServerAddress, folder: Path) -> Iterator[Party]:
    """Four people whose enclave is launched."""
    with ExitStack() as stack:
        yield gather(address, folder, stack)


def gather(address: ServerAddress, folder: Path, stack: ExitStack) -> Party:
    clients = {}
    for name in ("owner", "code", "data", "consumer"):
        home = Home.open(folder / name)
        create_identity(home)
        clients[name] = stack.enter_context(Client(home=home, server=address))
        clients[name].create_account(f"{name}@example.org")
    draft = ComputationDraft(
        name="on SGX",
        code_provider="code@example.org",
        data_providers=("data@example.org",),
        result_consumers=("consumer@example.org",),
        tee=Tee.SGX,
        logs=LogRelease.PARTICIPANTS,
        limits=LIMITS,
    )
    owner = ComputationOwner.create(clients["owner"], draft)
    (folder / "invitation").write_bytes(owner.invitation_file or b"")
    for name in ("code", "data", "consumer"):
        clients[name].accept_invitation(read_invitation(str(folder / "invitation")))
    made = Party(
        owner=owner,
        code=CodeProvider(clients["code"], owner.computation),
        data=DataProvider(clients["data"], owner.computation),
        consumer=ResultConsumer(clients["consumer"], owner.computation),
    )
    for holder in made.holders:
        holder.register()
    (folder / "table.csv").write_bytes(b"1,2,3")
    made.data.send(folder / "table.csv")
    made.data.done()
    (folder / "program").mkdir()
    (folder / "program/run.py").write_text(PROGRAM)
    made.code.send(folder / "program")
    assert made.wait(State.AWAITING_KEYS, State.FAILED) is State.AWAITING_KEYS
    return made


def give_files(party: Party, machine: SgxMachine) -> None:
    """Give each participant the operator's bill of materials and list of PALs, as people agree on them."""
    for holder in party.holders:
        home = holder.client.home
        shutil.copyfile(machine.root / "runtime.bill", home.runtime_bill)
        shutil.copyfile(machine.root / "known_pals.toml", home.known_pals)


def test_people_who_accept_no_simulation_compute_together(operator: Operator, tmp_path: Path) -> None:
    with operator.serving() as address, gathered(address, tmp_path) as party:
        # Of all checks, an installation that was given nothing misses the PAL alone.
        verdict = party.data.appraise(POLICY).verdict
        assert [check.name for check in verdict.failures] == ["measurement.pal"]
        give_files(party, operator.machine)
        assessment = party.data.appraise(POLICY)
        bundle = EvidenceBundle.from_bytes(assessment.bundle)
        assert bundle.sigstruct is not None
        for holder in party.holders:
            enclave = holder.verify(POLICY)
            assert type(enclave) is VerifiedEnclave
            assert verify_sigstruct(bundle.sigstruct).body.mrenclave == enclave.mrenclave
            assert holder.deliver(enclave).admitted is True
        assert party.wait(State.SUCCEEDED, State.FAILED) is State.SUCCEEDED
        (result,) = party.consumer.results(tmp_path / "out")
        assert result.path.read_bytes() == b"1,2,3"
        for holder in party.holders:
            assert holder.receipt().closing is not None
            assert holder.logs().text == b"a line for the log\n"


@pytest.mark.slow
def test_another_server_process_finds_the_enclave_again_and_ends_it(
    operator: Operator, tmp_path: Path
) -> None:
    with operator.serving() as address, gathered(address, tmp_path) as party:
        uuid = party.owner.computation
        first = operator.launcher
    assert first.watch(uuid, 1).state is LaunchState.ALIVE
    with operator.serving():
        assert operator.launcher is not first
        assert operator.launcher.watch(uuid, 1).state is LaunchState.ALIVE
        held = {p.name: p.on for p in operator.launcher.protections(uuid, 1)}
        assert held["enclave"]
        (enclave,) = [pid for pid in find_processes("gramine-sgx") if _is_below(pid, str(uuid))]
        assert held["no-network"] is (_network_of(enclave) != _network_of("self"))
        operator.launcher.stop(uuid, 1)
        spool = operator.launcher.spool(uuid, 1)
        wait_until(lambda: spool.has("refusal"), "the enclave signed a refusal")
        wait_until(lambda: operator.launcher.watch(uuid, 1).state is not LaunchState.ALIVE, "it ended")


def _network_of(pid: int | str) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def _is_below(pid: int, folder: str) -> bool:
    return folder in str(Path(f"/proc/{pid}/cwd").readlink())


@pytest.mark.slow
def test_a_launch_that_is_discarded_takes_its_enclave_with_it(operator: Operator, tmp_path: Path) -> None:
    with operator.serving() as address, gathered(address, tmp_path) as party:
        uuid = party.owner.computation
    runtime = operator.data / "enclaves/sgx/runtimes"
    assert find_processes(str(uuid))
    operator.launcher.discard(uuid, 1)
    wait_until(lambda: not find_processes(str(uuid)), "supervisor and enclave are gone")
    assert operator.launcher.watch(uuid, 1).state is LaunchState.ABSENT
    # Launches have links to the runtime's files: those that are left are whole.
    assert (next(runtime.iterdir()) / "runtime/bin/python3").read_bytes() == b"an interpreter"


@pytest.mark.slow
def test_a_supervisor_that_is_killed_takes_the_enclave_with_it_and_the_owner_learns_it(
    operator: Operator, tmp_path: Path
) -> None:
    with operator.serving() as address, gathered(address, tmp_path) as party:
        uuid = party.owner.computation
        record = operator.launcher.folder(uuid, 1) / "host/supervisor.json"
        kill_process(json.loads(record.read_bytes())["pid"])
        wait_until(lambda: not find_processes(f"{uuid}/1"), "the enclave died with its supervisor")
        # It is lost, and another launch takes its place: everybody would verify and deliver again.
        wait_until(lambda: party.owner.status().epoch == 2, "another enclave is launched")
        assert party.wait(State.AWAITING_KEYS) is State.AWAITING_KEYS
        give_files(party, operator.machine)
        assert type(party.data.verify(POLICY)) is VerifiedEnclave
        operator.launcher.stop(uuid, 2)
        wait_until(lambda: operator.launcher.watch(uuid, 2).state is not LaunchState.ALIVE, "it ended")
