"""People, computations and programs on a real platform: a server process, its enclaves, and the line between.

`Platform` is what a session of tests shares; `World` is one test's people. Everything that a test started is
dead when it ends, and that is asserted.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from hostile_proxy import HostileProxy
from platform_processes import (
    EnclaveProcesses,
    PlatformServer,
    find_processes,
    kill_process,
    wait_until,
)

from sealroom.client import (
    Client,
    CodeProvider,
    Computation,
    ComputationDraft,
    ComputationOwner,
    Consent,
    DataProvider,
    ResultConsumer,
    ServerAddress,
    State,
    create_identity,
    load_policy,
    read_invitation,
)
from sealroom.client.delivering import DeliveryAnswer
from sealroom.client.home import Home
from sealroom.client.member import KeyHolder
from sealroom.client.transport import TransportOptions
from sealroom.core.evidence.policy import Policy
from sealroom.core.wire.terms import Limits, LogRelease, Tee

POLICY = load_policy("insecure-any-status")
LIMITS = Limits(max_output_bytes=8 << 20, max_log_bytes=1 << 16, max_seconds=120, max_memory=1 << 30)

# Adds up what the Data Providers sent. The second file of the program is sealed.
SUM = {
    "run.py": "from secret import combine\ncombine()\n",
    "secret.py": (
        "from sealroom.enclave import Enclave\n"
        "def combine():\n"
        "    with Enclave() as enclave:\n"
        "        parts = [file.read() for file in enclave.read()]\n"
        "        print(len(parts), 'files')\n"
        "        enclave.write(b'+'.join(parts), name='sum.txt')\n"
    ),
}
# Runs until it is ended, after it said so in a result.
WAIT = {
    "run.py": (
        "import time\nfrom sealroom.enclave import Enclave\n"
        "Enclave().write(b'begun', name='begun')\n"
        "while True:\n    time.sleep(0.05)\n"
    )
}
# Runs for a few seconds: long enough to be interrupted, short enough to be waited for.
SLEEP = {
    "run.py": (
        "import time\nfrom sealroom.enclave import Enclave\n"
        "time.sleep(2)\n"
        "with Enclave() as enclave:\n"
        "    enclave.write(b'+'.join(file.read() for file in enclave.read()), name='sum.txt')\n"
    )
}


@dataclass(slots=True, kw_only=True)
class Person:
    """Somebody with a home folder, a key pair, and an account at the platform."""

    email: str
    home: Path
    client: Client

    @property
    def public_key(self) -> bytes:
        return self.client.identity.public_key


class Platform:
    """One server, and the operator's place between it and the people."""

    def __init__(self, root: Path, *, launcher: str = "simulated") -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.server = PlatformServer(root / "server", launcher=launcher)
        self.operator = HostileProxy(upstream=lambda: self.server.url)
        # Whether people reach the server without the operator's recording, which keeps whole files in memory.
        self.direct = False

    def start(self) -> None:
        self.server.start()
        tls = self.server.data / "tls"
        self.operator.start(certificate=tls / "certificate.pem", key=tls / "key.pem")

    def stop(self) -> None:
        """End everything, and see that nothing of it is left."""
        self.server.stop()
        self.operator.stop()
        for pid in find_processes(str(self.root)):
            kill_process(pid)
        wait_until(lambda: not find_processes(str(self.root)), "every process of the platform is gone")
        assert self.server.complaints() == ""

    @property
    def address(self) -> ServerAddress:
        url = self.server.url if self.direct else self.operator.url
        return ServerAddress(url=url, certificate_sha256=self.server.certificate_sha256)

    @property
    def database(self) -> Path:
        return self.server.data / "sealroom.sqlite"

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Change or read the database behind the server's back, as its operator can."""
        with closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            return database.execute(statement, values).fetchall()


@dataclass(slots=True, kw_only=True)
class World:
    """The people and computations of one test."""

    platform: Platform
    root: Path
    people: list[Person] = field(default_factory=list)
    computations: list[UUID] = field(default_factory=list)

    @property
    def operator(self) -> HostileProxy:
        return self.platform.operator

    def person(self, name: str, *, email: str | None = None, account: bool = True) -> Person:
        """Make somebody; without `email` the address is new on this platform."""
        home = Home.open(self.root / f"{name}-{len(self.people)}")
        create_identity(home)
        client = Client(
            home=home,
            server=self.platform.address,
            options=TransportOptions(timeout_seconds=30, attempts=8),
        )
        person = Person(email=email or f"{name}-{uuid4().hex[:12]}@x.org", home=home.root, client=client)
        self.people.append(person)
        if account:
            client.create_account(person.email)
        return person

    def scene(
        self,
        *,
        data_providers: int = 1,
        consumers: int = 1,
        logs: LogRelease = LogRelease.PARTICIPANTS,
        limits: Limits = LIMITS,
    ) -> "Scene":
        """Make a computation with new people in every role; nobody has registered yet."""
        providers = [self.person(f"data{index}") for index in range(data_providers)]
        readers = [self.person(f"reader{index}") for index in range(consumers)]
        return self.propose(
            owner=self.person("owner"),
            code=self.person("code"),
            data=providers,
            readers=readers,
            logs=logs,
            limits=limits,
        )

    def propose(
        self,
        *,
        owner: Person,
        code: Person,
        data: Iterable[Person],
        readers: Iterable[Person],
        logs: LogRelease = LogRelease.PARTICIPANTS,
        limits: Limits = LIMITS,
    ) -> "Scene":
        """Let `owner` create a computation and invite the others."""
        data, readers = tuple(data), tuple(readers)
        draft = ComputationDraft(
            name="a test",
            code_provider=code.email,
            data_providers=tuple(person.email for person in data),
            result_consumers=tuple(person.email for person in readers),
            tee=Tee.SIMULATED,
            logs=logs,
            limits=limits,
        )
        owned = ComputationOwner.create(owner.client, draft)
        self.computations.append(owned.computation)
        invitation = owned.invitation_line
        for person in {id(each): each for each in (code, *data, *readers)}.values():
            if person is not owner:
                accept(person, invitation)
        uuid = owned.computation
        return Scene(
            world=self,
            owner=owned,
            code=CodeProvider(code.client, uuid),
            data=tuple(DataProvider(person.client, uuid) for person in data),
            readers=tuple(ResultConsumer(person.client, uuid) for person in readers),
        )

    def close(self) -> None:
        """End this test's enclaves and clients, and see that no process of them is alive."""
        self.operator.be_honest()
        for person in self.people:
            person.client.close()
        for computation in self.computations:
            # Else the server would launch an enclave again that was lost while it waited.
            self.platform.sql(
                "UPDATE launches SET end_cause = 'cancelled', end_by = 'test' "
                "WHERE computation_uuid = ? AND ended_at IS NULL",
                str(computation),
            )
            for pid in find_processes(str(computation)):
                kill_process(pid)
        for computation in self.computations:
            name = str(computation)
            wait_until(lambda name=name: not find_processes(name), "no process of the test is alive")


@dataclass(slots=True, kw_only=True)
class Scene:
    """One computation and the people in it, each in a role."""

    world: World
    owner: ComputationOwner
    code: CodeProvider
    data: tuple[DataProvider, ...]
    readers: tuple[ResultConsumer, ...]

    @property
    def uuid(self) -> UUID:
        return self.owner.computation

    @property
    def holders(self) -> tuple[KeyHolder, ...]:
        return (self.code, *self.data, *self.readers)

    @property
    def processes(self) -> EnclaveProcesses:
        return EnclaveProcesses(computation=self.uuid, folder=self.launch_folder)

    @property
    def launch_folder(self) -> Path:
        return self.world.platform.server.launch_folder(self.uuid, self.owner.status().epoch)

    def register(self) -> None:
        for holder in self.holders:
            holder.register()

    def send_code(self, program: Mapping[str, str]) -> None:
        folder = self.world.root / f"program-{uuid4().hex[:8]}"
        for path, source in program.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(source)
        self.code.send(folder)

    def send_data(self, provider: int, files: Mapping[str, bytes]) -> None:
        folder = self.world.root / f"data-{uuid4().hex[:8]}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
            self.data[provider].send(folder / name)

    def prepare(
        self,
        program: Mapping[str, str] = SUM,
        files: Mapping[str, bytes] | None = None,
        *,
        registered: bool = False,
    ) -> "Scene":
        """Register everybody, send code and data, say done, and wait until the enclave waits for keys."""
        if not registered:
            self.register()
        for index, provider in enumerate(self.data):
            content = {f"part-{index}.bin": f"data {index}".encode()} if files is None else files
            self.send_data(index, content)
            provider.done()
        self.send_code(program)
        self.wait_for(State.AWAITING_KEYS)
        return self

    def deliver(self, holder: KeyHolder, **how: object) -> DeliveryAnswer:
        return deliver(holder, **how)

    def deliver_all(self) -> None:
        for holder in self.holders:
            deliver(holder)

    def wait_for(self, *states: State, seconds: float = 60) -> Computation:
        """Wait for one of `states`; a computation that ends otherwise fails the test at once."""
        found = self.owner.wait(
            lambda now: now.state in states or now.state.is_over,
            timeout_seconds=seconds,
            poll_seconds=0.05,
        )
        complaints = self.world.platform.server.complaints()
        assert found.state in states, (found.state, found.refusal, self.events(), complaints)
        return found

    def events(self) -> list[str]:
        return [event.text("kind") for event in self.owner.events()]


def accept(person: Person, invitation: str) -> None:
    person.client.accept_invitation(read_invitation(invitation, server=person.client.server))


def deliver(holder: KeyHolder, *, policy: Policy = POLICY, consent: Consent | None = None) -> DeliveryAnswer:
    """Verify the simulated enclave that waits, and deliver the key to it."""
    enclave = holder.insecure_verify_simulated(policy)
    return holder.deliver(enclave, consent=consent, insecure_accept_simulated=holder.computation)
