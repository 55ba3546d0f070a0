"""Everything around one enclave process, except a TEE: launch folder, device, participants, host.

The process is the real one, started as the launcher starts it. What stands in for the TEE is a thread behind
the device's FIFOs; its quote is no quote, and nobody here looks at it.
"""

import dataclasses
import io
import os
import secrets
import struct
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import nacl

import sealroom
from sealroom.core.sealing.code_signature import sign_code
from sealroom.core.sealing.commitment import input_commitment
from sealroom.core.sealing.container_streams import open_bytes, seal_stream
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.delivery import NO_COMMITMENT
from sealroom.core.sealing.delivery_sealing import seal_delivery
from sealroom.core.sealing.keys import DataKey, PreSharedKey, SigningKey
from sealroom.core.sealing.log import LogKey
from sealroom.core.sealing.log_opening import find_log_key, open_log, parse_log_keys
from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.wire.arguments import Arguments
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.code_list import CLEAR_PATHS, CodeFile, CodeList
from sealroom.core.wire.dsse_verification import parse_envelope, verify_envelope
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Participant, Role
from sealroom.core.wire.receipt import Refusal
from sealroom.core.wire.receipt_closing import Closing
from sealroom.core.wire.receipt_opening import Opening
from sealroom.core.wire.receipt_parsing import parse_closing, parse_opening, parse_refusal
from sealroom.core.wire.spool import Answer, PublicKeys
from sealroom.core.wire.terms import DeliveryForm, Limits, LogRelease, Tee, Terms

MRENCLAVE = bytes(range(32))
QUOTE = b"a quote that nobody looks at"
WAIT_SECONDS = 60
# The first lines of a program that waits until the test puts `go` into the spool.
WAIT_FOR_GO = """import os, time
go = os.path.dirname(os.path.dirname(__file__)) + "/spool/go"
while not os.path.exists(go):
    time.sleep(0.01)
"""
_TARGET_INFO = b"\x07" * 512


class Party:
    """One participant in one role."""

    def __init__(self, role: Role, index: int, preshared: bytes) -> None:
        self.role = role
        self.index = index
        self.email = f"{role.value}-{index}@example.org"
        self.seed = secrets.token_bytes(32)
        self.key = SigningKey.from_seed(self.seed)
        self.data_key_bytes = secrets.token_bytes(32)
        self.preshared_bytes = preshared
        self.files: list[tuple[str, bytes]] = []

    @property
    def data_key(self) -> DataKey:
        return DataKey.from_bytes(self.data_key_bytes)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key

    def slot(self) -> Participant:
        return Participant(role=self.role, index=self.index, email=self.email, public_key=self.public_key)


class World:
    """A computation about to be launched; change what you like before `launch`."""

    def __init__(self, base: Path, *, providers: int = 2, consumers: int = 1) -> None:
        self.base = base
        self.computation: UUID = uuid4()
        preshared = secrets.token_bytes(32)
        self.code_provider = Party(Role.CODE_PROVIDER, 0, preshared)
        self.providers = [Party(Role.DATA_PROVIDER, index, preshared) for index in range(providers)]
        self.consumers = [Party(Role.RESULT_CONSUMER, index, preshared) for index in range(consumers)]
        self.code: dict[str, str | bytes] = {"run.py": "pass\n"}
        self.logs = LogRelease.PARTICIPANTS
        self.delivery_form = DeliveryForm.V1
        self.limits = Limits(
            max_output_bytes=1 << 20, max_log_bytes=1 << 16, max_seconds=60, max_memory=1 << 30
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.messages = 0
        self.device_kind = b"simulated"
        self.environment: dict[str, str] = {}
        self.packages_digest: bytes | None = None

    @property
    def parties(self) -> list[Party]:
        return [self.code_provider, *self.providers, *self.consumers]

    @property
    def spool(self) -> Path:
        return self.base / "spool"

    # What participants make at home.

    def seal_input(self, party: Party, name: str, content: bytes) -> bytes:
        context = Context.input(computation=self.computation, owner_pk=party.public_key, name=name)
        return seal(content, party.data_key, context)

    def add_input(self, provider: int, name: str, content: bytes) -> None:
        party = self.providers[provider]
        party.files.append((name, self.seal_input(party, name, content)))

    def input_list(self, party: Party) -> InputList:
        return InputList(
            files=tuple(InputFile(name=n, size=len(raw), sha256=sha256(raw)) for n, raw in party.files)
        )

    def commitment(self, party: Party) -> bytes:
        if party.role is not Role.DATA_PROVIDER:
            return NO_COMMITMENT
        listed = self.input_list(party)
        return input_commitment(listed, computation=self.computation, sender_pk=party.public_key)

    def seal_code(self, path: str, content: str | bytes) -> bytes:
        raw = content.encode() if isinstance(content, str) else content
        if path in CLEAR_PATHS:
            return raw
        context = Context.code(
            computation=self.computation, owner_pk=self.code_provider.public_key, path=path
        )
        return seal(raw, self.code_provider.data_key, context)

    # What the host makes.

    def launch(self) -> None:
        """Write the launch folder and start the process."""
        self.prepare()
        self.start()

    def prepare(self) -> None:
        self._lay_out_runtime()
        stored = {path: self.seal_code(path, content) for path, content in self.code.items()}
        self.code_list = CodeList.from_files(
            tuple(CodeFile(path=p, size=len(raw), sha256=sha256(raw)) for p, raw in stored.items())
        )
        for path, raw in stored.items():
            place = self.base / "code" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(raw)
        requirements = self.code_list.find("requirements.txt")
        self.arguments = Arguments(
            terms=self._terms(),
            participants=tuple(party.slot() for party in self.parties),
            code_digest=self.code_list.digest,
            packages_digest=self.packages_digest or (requirements.sha256 if requirements else bytes(32)),
            launch=secrets.token_bytes(16),
        )
        for folder in ("inbox", "answers", "inputs"):
            (self.spool / folder).mkdir(parents=True)
        self.put("code-list", self.code_list.to_json())
        signature = sign_code(
            self.code_list, computation=self.computation, signing_key=self.code_provider.key
        )
        self.put("code-signature", signature)
        for party in self.providers:
            self.put_inputs(party)

    def put_inputs(self, party: Party) -> None:
        folder = self.spool / "inputs" / str(party.index)
        folder.mkdir(exist_ok=True)
        (folder / "list").write_bytes(self.input_list(party).to_json())
        for number, (_, raw) in enumerate(party.files):
            (folder / str(number)).write_bytes(raw)

    def start(self) -> None:
        self.start_with(self.arguments.items())

    def start_with(self, items: tuple[str, ...]) -> None:
        device = self.base / "attestation"
        device.mkdir()
        (device / "attestation_type").write_bytes(self.device_kind)
        for name in ("user_report_data", "my_target_info", "target_info", "report", "quote"):
            os.mkfifo(device / name)
        threading.Thread(target=_serve_device, args=(device,), daemon=True).start()
        command = [sys.executable, "-I", "-S", "-B", str(self.base / "start.py"), *items]
        with (self.base / "stdout").open("wb") as out, (self.base / "stderr").open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.base, env=self.environment
            )

    def put(self, name: str, content: bytes) -> None:
        temporary = self.spool / f"{name}.tmp"
        temporary.write_bytes(content)
        temporary.rename(self.spool / name)

    # Talking to the enclave.

    @property
    def enclave(self) -> SimulatedEnclave:
        public = PublicKeys.from_bytes(self.wait_for("public"))
        return SimulatedEnclave(
            arguments=self.arguments,
            mrenclave=MRENCLAVE,
            identity_pk=public.identity_pk,
            box_pk=public.box_pk,
            verified_at=datetime.now(UTC),
            policy_name="test",
            tcb_status="UpToDate",
            advisories=(),
            bundle_sha256=bytes(32),
        )

    def delivery(self, party: Party, *, to: SimulatedEnclave | None = None) -> bytes:
        return seal_delivery(
            to=to or self.enclave,
            role=party.role,
            signing_key=SigningKey.from_seed(party.seed),
            commitment=self.commitment(party),
            preshared_key=PreSharedKey.from_bytes(party.preshared_bytes),
            data_key=party.data_key,
            now=datetime.now(UTC),
            insecure_accept_simulated=self.computation,
        )

    def send(self, raw: bytes) -> int:
        number, self.messages = self.messages, self.messages + 1
        self.put(f"inbox/{number}", raw)
        return number

    def ask(self, raw: bytes) -> Answer:
        return Answer.from_bytes(self.wait_for(f"answers/{self.send(raw)}"))

    def deliver_all(self, *, but: Party | None = None) -> None:
        for party in self.parties:
            if party is not but:
                self.send(self.delivery(party))

    def wait_for(self, name: str) -> bytes:
        place, until = self.spool / name, time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            if place.exists():
                return place.read_bytes()
            assert self.process is not None
            if self.process.poll() is not None and not place.exists():
                raise AssertionError(f"the enclave ended without {name}: {self.stderr()}")
            time.sleep(0.01)
        raise AssertionError(f"no {name} in time: {self.stderr()}")

    def wait(self) -> int:
        """Wait for the end of the process, and return its status."""
        assert self.process is not None
        return self.process.wait(WAIT_SECONDS)

    def stderr(self) -> str:
        return (self.base / "stderr").read_text()

    def run(self) -> int:
        """Launch, deliver everything and wait for the end."""
        self.launch()
        self.deliver_all()
        return self.wait()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    # What came out.

    def opening(self) -> Opening:
        envelope = parse_envelope((self.spool / "opening").read_bytes())
        return parse_opening(verify_envelope(envelope, public_key=self.public.identity_pk))

    def closing(self) -> Closing:
        envelope = parse_envelope((self.spool / "closing").read_bytes())
        return parse_closing(verify_envelope(envelope, public_key=self.opening().run_key))

    def refusal(self) -> Refusal:
        envelope = parse_envelope((self.spool / "refusal").read_bytes())
        return parse_refusal(verify_envelope(envelope, public_key=self.public.identity_pk))

    @property
    def public(self) -> PublicKeys:
        return PublicKeys.from_bytes((self.spool / "public").read_bytes())

    def result(self, consumer: int, number: int, name: str) -> bytes:
        party = self.consumers[consumer]
        key = derive_output_key(
            party.data_key,
            box_pk=self.public.box_pk,
            computation=self.computation,
            consumer_pk=party.public_key,
        )
        context = Context.result(
            computation=self.computation, owner_pk=party.public_key, box_pk=self.public.box_pk, name=name
        )
        return open_bytes(
            (self.spool / f"results/{consumer}/{number}").read_bytes(), key=key, context=context
        )

    def log(self, reader: Party | None = None) -> str:
        keys = parse_log_keys((self.spool / "log-keys").read_bytes())
        key: LogKey
        if reader is None:
            assert keys.public_key is not None
            key = LogKey.from_bytes(keys.public_key)
        else:
            key = find_log_key(keys, signing_key=SigningKey.from_seed(reader.seed))
        raw = open_log(
            (self.spool / "log").read_bytes(),
            key=key,
            computation=self.computation,
            box_pk=self.public.box_pk,
        )
        return raw.decode()

    def everything_outside(self) -> bytes:
        """Return all bytes that the host has afterwards: the launch folder and what was printed."""
        parts = []
        for place in sorted(self.base.rglob("*")):
            if place.is_file() and not place.is_symlink() and "lib" not in place.parts:
                parts.append(str(place).encode() + place.read_bytes())
        return b"".join(parts)

    def _terms(self) -> Terms:
        return Terms(
            tee=Tee.SIMULATED,
            delivery=self.delivery_form,
            computation=self.computation,
            owner="owner@example.org",
            code_provider=self.code_provider.email,
            data_providers=tuple(party.email for party in self.providers),
            result_consumers=tuple(party.email for party in self.consumers),
            logs=self.logs,
            limits=self.limits,
        )

    def _lay_out_runtime(self) -> None:
        """Link exactly the measured set: whatever else the enclave imports is missing."""
        source = Path(sealroom.__file__).parent
        library, packages = self.base / "lib" / "sealroom", self.base / "packages"
        (library / "core").mkdir(parents=True)
        packages.mkdir()
        measured = (
            "__init__.py",
            "core/__init__.py",
            "core/errors.py",
            "core/compat",
            "core/wire",
            "core/sealing",
            "enclave",
        )
        for name in measured:
            (library / name).symlink_to(source / name)
        (self.base / "start.py").write_bytes((source / "enclave/start.py").read_bytes())
        site = Path(nacl.__file__).parent.parent
        for place in (site / "nacl", *site.glob("_cffi_backend*")):
            (packages / place.name).symlink_to(place)


def seal(content: bytes, key: DataKey, context: Context, *, chunk_log2: int = 12) -> bytes:
    sink = io.BytesIO()
    seal_stream(io.BytesIO(content), sink, key=key, context=context, chunk_log2=chunk_log2)
    return sink.getvalue()


def with_limits(world: World, **changes: int) -> None:
    world.limits = dataclasses.replace(world.limits, **changes)


def _serve_device(folder: Path) -> None:
    report_data = (folder / "user_report_data").read_bytes()
    (folder / "my_target_info").write_bytes(_TARGET_INFO)
    target_info = (folder / "target_info").read_bytes()
    report = bytearray(432)
    if target_info == _TARGET_INFO:
        struct.pack_into("32s", report, 64, MRENCLAVE)
        struct.pack_into("64s", report, 320, report_data)
    (folder / "report").write_bytes(report)
    (folder / "quote").write_bytes(QUOTE)
