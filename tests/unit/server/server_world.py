"""A platform server in this process, without a network, and people who call it.

The application, its services and the follower of launches are the real ones. What stands in for processes is
`PuppetLauncher`: launch folders as a launcher makes them, and an enclave that writes what a test tells it to,
signed with true keys and quoted under the simulation's PKI.
"""

import asyncio
import hashlib
import io
import tarfile
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from sealroom.core.sealing.code_signature import sign_code
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.enclave_keys import BoxKey, IdentityKey, RunKey
from sealroom.core.sealing.keys import DataKey, PreSharedKey, SigningKey
from sealroom.core.sealing.receipt import sign_closing, sign_opening, sign_refusal
from sealroom.core.wire.arguments import Arguments, parse_arguments
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import CodeFile, CodeList
from sealroom.core.wire.delivery import DeliveryRefusal, RefusalReason
from sealroom.core.wire.dsse import Envelope
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import Closing, Opening, Outcome, OutputRecord, Refusal
from sealroom.core.wire.report_data import report_data
from sealroom.core.wire.spool import (
    CLOSING,
    END,
    LOG,
    LOG_KEYS,
    OPENING,
    PUBLIC,
    QUOTE,
    REFUSAL,
    Answer,
    answer_name,
    result_name,
)
from sealroom.core.wire.terms import Tee
from sealroom.insecure.attester import Attester
from sealroom.server.app import create_app
from sealroom.server.blobs import BlobStore
from sealroom.server.config import ServerConfig, ServerLimits
from sealroom.server.following import LaunchFollower
from sealroom.server.launchers.base import LaunchError, LaunchPlan, LaunchState, LaunchStatus, Protection
from sealroom.server.launchers.host_files import EndReason, ExitRecord
from sealroom.server.launchers.spool_files import Spool
from sealroom.server.platform import Platform
from sealroom.server.schema import Launch
from sealroom.server.store import open_store

RUN = b"print('run')\n"
MRENCLAVE = hashlib.sha256(b"an enclave").digest()
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


# Made once: keys of a PKI, routes of an application and compiled statements cost more than most tests.
_apps: dict[ServerLimits, FastAPI] = {}
_statements: dict[Any, Any] = {}


@cache
def the_attester() -> Attester:
    with tempfile.TemporaryDirectory() as state:
        return Attester(mrenclave=MRENCLAVE, state=Path(state), now=NOW)


@cache
def migrated_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.sqlite"
        open_store(f"sqlite:///{file}").close()
        return file.read_bytes()


class PuppetLauncher:
    """Makes launch folders; nothing runs in them but what a test does through `Puppet`."""

    name = "simulated"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.states: dict[tuple[UUID, int], LaunchStatus] = {}
        self.starts: list[tuple[UUID, int]] = []
        self.breaks = False

    def folder(self, computation: UUID, epoch: int) -> Path:
        return self.root / str(computation) / str(epoch)

    def spool(self, computation: UUID, epoch: int) -> Spool:
        return Spool(self.folder(computation, epoch) / "spool")

    def prepare(self, plan: LaunchPlan) -> None:
        if self.breaks:
            raise LaunchError("no enclave today")
        folder = self.folder(plan.computation, plan.epoch)
        folder.mkdir(parents=True)
        (folder / "manifest.sgx").write_bytes(b"a manifest")
        (folder / "pal").write_bytes(b"a pal")
        for file in plan.code:
            file.copy_to(folder / hashlib.sha256(file.path.encode()).hexdigest())
        terms = parse_arguments(plan.arguments).terms
        self.spool(plan.computation, plan.epoch).create(
            providers=len(terms.data_providers), consumers=len(terms.result_consumers)
        )
        self.states[plan.computation, plan.epoch] = LaunchStatus(state=LaunchState.PREPARED)

    def start(self, computation: UUID, epoch: int) -> None:
        self.starts.append((computation, epoch))
        self.states[computation, epoch] = LaunchStatus(state=LaunchState.ALIVE)

    def watch(self, computation: UUID, epoch: int) -> LaunchStatus:
        return self.states.get((computation, epoch), LaunchStatus(state=LaunchState.ABSENT))

    def stop(self, computation: UUID, epoch: int) -> None:
        if self.spool(computation, epoch).is_there():
            self.spool(computation, epoch).ask_to_end(b"cancelled")

    def discard(self, computation: UUID, epoch: int) -> None:
        self.states.pop((computation, epoch), None)

    def protections(self, computation: UUID, epoch: int) -> tuple[Protection, ...]:
        return (Protection(name="no-network", on=True, detail="none at all"),)


class Puppet:
    """The enclave of one launch, on strings."""

    def __init__(self, world: "ServerWorld", uuid: UUID, epoch: int) -> None:
        self.world, self.uuid, self.epoch = world, uuid, epoch
        self.spool = world.launcher.spool(uuid, epoch)
        with world.platform.store.read() as session:
            row = session.scalars(
                select(Launch).where(Launch.computation_uuid == str(uuid), Launch.epoch == epoch)
            )
            self.arguments: Arguments = parse_arguments(row.one().arguments)
        self.identity, self.box, self.run_key = IdentityKey.generate(), BoxKey.generate(), RunKey.generate()
        self.opening: Envelope | None = None

    @property
    def asked(self) -> bytes | None:
        return self.spool.read(END, max_bytes=16)

    def attest(self) -> None:
        attester = the_attester()
        keys = {"identity_pk": self.identity.public_key, "box_pk": self.box.public_key}
        (self.world.launcher.folder(self.uuid, self.epoch) / "collateral.json").write_bytes(
            attester.collateral_json()
        )
        self.spool.write(PUBLIC, keys["identity_pk"] + keys["box_pk"])
        self.spool.write(QUOTE, attester.quote(report_data(**keys)))

    def answer(self, number: int, refused: DeliveryRefusal | None = None) -> None:
        self.spool.write(answer_name(number), Answer(refused=refused).to_bytes())

    def open(self) -> None:
        opening = Opening(
            tee=Tee.SIMULATED,
            delivery=self.arguments.terms.delivery,
            computation=self.uuid,
            agreement=self.arguments.agreement,
            arguments=self.arguments.to_bytes(),
            mrenclave=MRENCLAVE,
            identity_pk=self.identity.public_key,
            box_pk=self.box.public_key,
            run_key=self.run_key.public_key,
            participants=(),
            inputs=(),
            code=self.arguments.code_digest,
            packages=self.arguments.packages_digest,
        )
        self.opening = sign_opening(opening, identity_key=self.identity)
        self.spool.write(OPENING, self.opening.to_bytes())

    def close(
        self, *, outcome: Outcome = Outcome.SUCCEEDED, results: dict[str, bytes], log: bytes = b"log"
    ) -> None:
        assert self.opening is not None
        for number, content in enumerate(results.values()):
            self.spool.write(result_name(0, number), content)
        self.spool.write(LOG, log)
        self.spool.write(LOG_KEYS, b"k" * 112)
        closing = Closing(
            agreement=self.arguments.agreement,
            opening_sha256=sha256(self.opening.payload),
            outcome=outcome,
            exit_code=0 if outcome is Outcome.SUCCEEDED else 1,
            host_started=NOW,
            host_ended=NOW,
            bytes_out=1,
            bytes_log=1,
            failure=None,
            outputs=tuple(
                OutputRecord(consumer=0, name=name, sha256=sha256(x)) for name, x in results.items()
            ),
            log_sha256=sha256(log),
        )
        self.spool.write(CLOSING, sign_closing(closing, run_key=self.run_key).to_bytes())

    def refuse(self, reason: RefusalReason, *, key: IdentityKey | None = None) -> None:
        refusal = Refusal(
            agreement=self.arguments.agreement,
            mrenclave=MRENCLAVE,
            identity_pk=(key or self.identity).public_key,
            reason=reason,
        )
        self.spool.write(REFUSAL, sign_refusal(refusal, identity_key=key or self.identity).to_bytes())

    def vanish(self, reason: EndReason | None = None) -> None:
        record = ExitRecord(exit_code=None, ended_at=NOW, reason=reason) if reason else None
        state = LaunchState.ENDED if reason else LaunchState.LOST
        self.world.launcher.states[self.uuid, self.epoch] = LaunchStatus(state=state, exit=record)


class Person:
    """Somebody with an account and one key for all their roles."""

    def __init__(self, world: "ServerWorld", email: str) -> None:
        self.world, self.email = world, email
        self.key = SigningKey.generate()
        answer = world.request("POST", "/accounts", json={"email": email}, headers=new_key())
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.send("GET", path, **more)

    def post(self, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {**more.pop("headers", {}), "Idempotency-Key": key or str(uuid4())}
        return self.send("POST", path, headers=headers, **more)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.world.request(method, path, headers=headers, **more)


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


class ServerWorld:
    """The server, restartable on the same data folder."""

    def __init__(self, data: Path, *, limits: ServerLimits | None = None) -> None:
        self.data = data
        self.config = ServerConfig(data=data, limits=limits or ServerLimits())
        self.launcher = PuppetLauncher(data / "launches")
        self._runner = asyncio.Runner()
        (data / "sealroom.sqlite").write_bytes(migrated_database())
        self.start()

    def start(self) -> None:
        self.platform = Platform(
            config=self.config,
            store=open_store(self.config.url),
            blobs=BlobStore(self.data / "blobs"),
            tee=Tee.SIMULATED,
            secret=b"s" * 32,
        )
        for name in ("_engine", "_writing"):
            engine = getattr(self.platform.store, name)
            setattr(self.platform.store, name, engine.execution_options(compiled_cache=_statements))
        if self.config.limits not in _apps:
            _apps[self.config.limits] = create_app(self.platform)
        self.app = _apps[self.config.limits]
        self.app.state.platform = self.platform
        self.follower = LaunchFollower(self.platform, self.launcher)

    def restart(self) -> None:
        self.platform.store.close()
        self.start()

    def close(self) -> None:
        self.platform.store.close()
        self._runner.close()

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://server/v1") as client:
                return await client.request(method, path, **more)

        return self._runner.run(send())

    def follow(self, times: int = 1) -> None:
        """Look at every launch that is not cleared, as the reconciler does."""
        for _ in range(times):
            with self.platform.store.read() as session:
                rows = session.scalars(select(Launch.id).where(Launch.cleared_at.is_(None))).all()
            for row in rows:
                self.follower.follow(row)


class Study:
    """A computation of four people: an owner, a Code Provider, a Data Provider, a Result Consumer."""

    def __init__(self, world: ServerWorld) -> None:
        self.world = world
        self.uuid = uuid4()
        self.owner, self.coder, self.hospital, self.reader = (
            Person(world, f"{name}@example.org") for name in ("owner", "coder", "hospital", "reader")
        )
        self.preshared = PreSharedKey.generate()
        answer = self.owner.post("/computations", json=self.proposal())
        assert answer.status_code == 201, answer.text

    def proposal(self, **changes: Any) -> dict[str, Any]:
        return {
            "computation": str(self.uuid),
            "name": "a study",
            "tee": "simulated",
            "delivery": "1",
            "code_provider": "coder@example.org",
            "data_providers": ["hospital@example.org"],
            "result_consumers": ["reader@example.org"],
            "logs": "participants",
            "max_output_bytes": 1 << 20,
            "max_log_bytes": 1 << 16,
            "max_seconds": 60,
            "max_memory": 1 << 28,
            **changes,
        }

    def path(self, rest: str = "") -> str:
        return f"/computations/{self.uuid}{rest}"

    def view(self, person: Person | None = None) -> dict[str, Any]:
        answer = (person or self.owner).get(self.path())
        assert answer.status_code == 200, answer.text
        view: dict[str, Any] = answer.json()
        return view

    @property
    def state(self) -> str:
        return str(self.view()["state"])

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.owner.get(self.path("/events")).json()["events"]]

    @property
    def people(self) -> tuple[tuple[Role, Person], ...]:
        return (
            (Role.CODE_PROVIDER, self.coder),
            (Role.DATA_PROVIDER, self.hospital),
            (Role.RESULT_CONSUMER, self.reader),
        )

    def register(self, *roles: Role) -> None:
        for role, person in self.people:
            if not roles or role in roles:
                answer = self.register_key(person, role, person.key.public_key)
                assert answer.status_code == 200, answer.text

    def register_key(self, person: Person, role: Role, public_key: bytes) -> httpx.Response:
        return person.post(self.path("/keys"), json={"role": role.value, "public_key": public_key.hex()})

    def send_code(self, files: dict[str, bytes] | None = None, **more: Any) -> httpx.Response:
        files = files if files is not None else {"run.py": RUN}
        return self.send_tar(make_tar(files), signature=self.sign(files), **more)

    def sign(self, files: dict[str, bytes], key: SigningKey | None = None) -> str:
        listed = CodeList.from_files(
            tuple(CodeFile(path=path, size=len(x), sha256=sha256(x)) for path, x in files.items())
        )
        return sign_code(listed, computation=self.uuid, signing_key=key or self.coder.key).hex()

    def send_tar(
        self, tar: bytes, *, signature: str = "00" * 64, person: Person | None = None, **more: Any
    ) -> httpx.Response:
        headers = {"Sealroom-Code-Signature": signature}
        return (person or self.coder).post(self.path("/code"), content=tar, headers=headers, **more)

    def upload(self, name: str, content: bytes, person: Person | None = None) -> dict[str, Any]:
        person = person or self.hospital
        announced = person.post(self.path("/data"), json=entry(name, content))
        assert announced.status_code == 201, announced.text
        view: dict[str, Any] = announced.json()
        if content:
            answer = person.send("PUT", self.path(f"/data/{view['upload']}?offset=0"), content=content)
            assert answer.status_code == 200, answer.text
            view = answer.json()
        return view

    def done(self, *files: tuple[str, bytes]) -> httpx.Response:
        return self.hospital.post(self.path("/data/done"), json={"files": [entry(*file) for file in files]})

    def launch(self) -> Puppet:
        """Everybody registers, code and data are there, and the enclave shows its evidence."""
        self.register()
        assert self.send_code().status_code == 201
        self.upload("a.csv", b"sealed")
        assert self.done(("a.csv", b"sealed")).status_code == 200
        return self.attested(1)

    def attested(self, epoch: int) -> Puppet:
        self.world.follow()
        puppet = Puppet(self.world, self.uuid, epoch)
        puppet.attest()
        self.world.follow()
        assert self.state == "AwaitingKeys"
        return puppet

    def delivery(self, puppet: Puppet, role: Role, person: Person, **changes: Any) -> bytes:
        files = InputList(files=(InputFile(name="a.csv", size=6, sha256=sha256(b"sealed")),))
        commitment = input_commitment(files, computation=self.uuid, sender_pk=person.key.public_key)
        fields: dict[str, Any] = {
            "arguments": puppet.arguments,
            "mrenclave": MRENCLAVE,
            "identity_pk": puppet.identity.public_key,
            "box_pk": puppet.box.public_key,
        }
        fields.update(changes)
        return seal_delivery(
            to=SimulatedEnclave(
                **fields,
                verified_at=NOW,
                policy_name="test",
                tcb_status="UpToDate",
                advisories=(),
                bundle_sha256=bytes(32),
            ),
            role=role,
            signing_key=person.key,
            commitment=commitment if role is Role.DATA_PROVIDER else bytes(32),
            preshared_key=self.preshared,
            data_key=DataKey.generate(),
            now=NOW,
            insecure_accept_simulated=self.uuid,
        )

    def deliver_all(self, puppet: Puppet) -> None:
        for role, person in self.people:
            answer = person.post(self.path("/deliveries"), content=self.delivery(puppet, role, person))
            assert answer.status_code == 200, answer.text
            puppet.answer(answer.json()["number"])
            self.world.follow()


def entry(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "size": len(content), "sha256": sha256(content).hex()}


def make_tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def code_of(answer: httpx.Response) -> str:
    """Return the stable code of a refusal, `ok` for an answer."""
    return "ok" if answer.status_code < 400 else str(answer.json()["error"]["code"])
