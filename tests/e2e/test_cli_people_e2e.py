"""The command line as people use it: one is killed, one interrupted, one goes by hand, on a real server."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from platform_processes import wait_until
from platform_world import World

from sealroom.core.sealing.invitation import format_invitation, parse_invitation

pytestmark = pytest.mark.e2e

_COMMAND = [sys.executable, "-c", "import sys; from sealroom.cli.main import main; sys.exit(main())"]
_ACCEPT = ("--policy", "insecure-any-status", "--insecure-accept-simulated")
# Lines of a join that tell where it is; the verdict's are left out.
_STEP = re.compile(
    r"(made your identity|account |registered|now: [^:]+|sent |waiting: \S+ \S+|to read it"
    r"|[a-z-]+: admitted|the receipt|result )"
)
_SENT = re.compile(r"(sent |data-provider: admitted)")
_WAITING = re.compile(r"(waiting|result-consumer: admitted|now: your results)")
PROGRAM = (
    "from sealroom.enclave import Enclave\n"
    "with Enclave() as enclave:\n"
    "    print('adding up')\n"
    "    enclave.write(b'+'.join(file.read() for file in enclave.read()), name='sum.txt')\n"
)


@dataclass
class Said:
    """How one command went."""

    out: str
    err: str
    exit_code: int

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


@dataclass
class Desk:
    """One person at a command line, with a home of their own."""

    home: Path
    steps: re.Pattern[str] = _STEP
    stops: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    running: subprocess.Popen[str] | None = None

    def words(self, *words: str) -> list[str]:
        return [*_COMMAND, *words, "--home", str(self.home)]

    def run(self, *words: str) -> Said:
        with self._call(*words) as process:
            out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return Said(out=out, err=err, exit_code=process.returncode)

    def _call(self, *words: str) -> subprocess.Popen[str]:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.running = subprocess.Popen(self.words(*words), text=True, **streams)
        return self.running

    def run_stopped_at_every_step(self, number: signal.Signals, *words: str) -> None:
        """Call a command again and again until it is done; each step that is new ends it."""
        for _ in range(40):
            with self._call(*words) as process:
                assert process.stderr is not None
                stopped = self._stop_at_a_new_step(process, number)
                complaints = process.stderr.read()
            assert "Traceback" not in complaints, complaints
            if not stopped:
                assert process.returncode == 0, (self.stops, self.last, complaints)
                return
            if number is signal.SIGINT:
                assert process.returncode == 1
                assert "the same command goes on where this one stopped" in complaints
        raise AssertionError(f"not done after 40 calls, stopped at {self.stops}")

    def _stop_at_a_new_step(self, process: subprocess.Popen[str], number: signal.Signals) -> bool:
        assert process.stdout is not None
        for line in process.stdout:
            self.last = [*self.last[-40:], line]
            step = self.steps.match(line)
            if step and step[0] not in self.stops:
                self.stops.append(step[0])
                process.send_signal(number)
                process.stdout.read()
                return True
        return False


@dataclass(frozen=True, kw_only=True)
class Room:
    """Three desks and an invitation: a Code Provider, a Data Provider, and the owner who reads the result."""

    folder: Path
    dev: Desk
    ana: Desk
    eva: Desk
    tag: str = field(default_factory=lambda: uuid4().hex[:8])

    @property
    def invitation(self) -> str:
        return str(self.folder / "invitation.txt")

    @property
    def uuid(self) -> str:
        return Path(self.invitation).read_text().split(":")[1]

    def email(self, name: str) -> str:
        return f"{name}-{self.tag}@x.org"

    def open(self, world: World) -> None:
        """Create the computation; ana has neither key nor account yet."""
        address = world.platform.address
        assert address.certificate_sha256 is not None
        server = ("--server", address.url, "--server-cert", address.certificate_sha256.hex())
        for name, desk in (("eva", self.eva), ("dev", self.dev)):
            assert desk.run("keygen").exit_code == 0
            assert desk.run("account", "create", *server, "--email", self.email(name)).exit_code == 0
        roles = {"--code-provider": "dev", "--data-provider": "ana", "--result-consumer": "eva"}
        people = [word for option, name in roles.items() for word in (option, self.email(name))]
        made = self.eva.run(
            "computation", "create", *server, "--name", "Study", *people, "--tee", "simulated",
            "--invitation", self.invitation,
        )  # fmt: skip
        assert made.exit_code == 0, made.err
        world.computations.append(UUID(self.uuid))


@pytest.fixture
def room(world: World, tmp_path: Path) -> Room:
    made = Room(folder=tmp_path, **{name: Desk(home=tmp_path / name) for name in ("dev", "ana", "eva")})
    made.open(world)
    return made


@pytest.mark.slow
def test_three_people_finish_one_by_hand_one_killed_and_one_interrupted(room: Room) -> None:
    room.ana.steps, room.eva.steps = _SENT, _WAITING
    finish(room)
    assert room.ana.stops == ["sent ", "data-provider: admitted"]
    assert "result-consumer: admitted" in room.eva.stops
    look_back(room)


@pytest.mark.slow
def test_three_people_finish_though_two_of_them_are_stopped_at_every_step(room: Room) -> None:
    finish(room)
    assert {"made your identity", "account ", "registered", "sent ", "data-provider: admitted"} <= set(
        room.ana.stops
    )
    assert {"registered", "result-consumer: admitted", "result "} <= set(room.eva.stops)


def finish(room: Room) -> None:
    (room.folder / "records.csv").write_text("1,2,3")
    join = ("join", room.invitation, *_ACCEPT, "--yes")
    data = ("--email", room.email("ana"), "--data", str(room.folder / "records.csv"))
    all_at_once(
        room,
        lambda: by_hand(room),
        lambda: room.ana.run_stopped_at_every_step(signal.SIGKILL, *join, *data),
        lambda: room.eva.run_stopped_at_every_step(
            signal.SIGINT, *join, "--results", str(room.folder / "results")
        ),
    )
    assert (room.folder / "results" / "sum.txt").read_text() == "1,2,3"


def by_hand(room: Room) -> None:
    """The Code Provider's part, command by command, as the README has it."""
    dev, uuid = room.dev, room.uuid
    (room.folder / "program").mkdir()
    (room.folder / "program" / "run.py").write_text(PROGRAM)
    assert dev.run("register", room.invitation).exit_code == 0
    assert dev.run("code", "send", uuid, str(room.folder / "program")).exit_code == 0
    assert "run.py" in dev.run("code", "show", uuid).out
    wait_until(lambda: dev.run("status", uuid, "--json").document["state"] == "AwaitingKeys", "an enclave")
    # Without the word for it, a simulated enclave gets no key.
    assert dev.run("evidence", "verify", uuid, "--policy", "insecure-any-status").exit_code == 1
    refused = dev.run("key", "deliver", uuid, "--policy", "insecure-any-status", "--yes")
    assert refused.exit_code == 1
    assert "nothing was delivered" in refused.out
    unasked = dev.run("key", "deliver", uuid, *_ACCEPT)
    assert (unasked.exit_code, "no terminal to ask at" in unasked.err) == (64, True)
    assert dev.run("evidence", "verify", uuid, *_ACCEPT).exit_code == 0
    delivered = dev.run("key", "deliver", uuid, *_ACCEPT, "--yes", "--json")
    assert (delivered.exit_code, delivered.document["deliveries"]) == (0, {"code-provider": "admitted"})
    # Delivered twice, the same bytes are sent and count once; unless the others' keys began the run by now.
    again = dev.run("key", "deliver", uuid, *_ACCEPT, "--yes", "--json").document
    assert again.get("deliveries") == {"code-provider": "admitted"} or again["error"]["code"] == "wrong_state"


def look_back(room: Room) -> None:
    """Everything that a Data Provider can ask afterwards, on line and off line."""
    ana, uuid = room.ana, room.uuid
    bundle, receipt, arguments = (str(room.folder / name) for name in ("bundle", "receipt", "args"))
    assert ana.run("logs", uuid).out == "adding up\n"
    shown = ana.run("evidence", "show", uuid, "--save", bundle, "--save-arguments", arguments, "--json")
    assert shown.exit_code == 0
    assert ana.run("args", "show", arguments, "--json").document["computation"] == uuid
    assert ana.run("receipt", "fetch", uuid, "--save", receipt).exit_code == 0
    for target in ((uuid,), (receipt, "--bundle", bundle)):
        judged = ana.run("receipt", "verify", *target, *_ACCEPT, "--json")
        assert (judged.exit_code, judged.document["of"]) == (0, "receipt"), judged.out
        # Of a receipt whose evidence is not accepted nothing is said.
        strict = ana.run("receipt", "verify", *target, "--policy", "strict", "--json")
        assert (strict.exit_code, strict.document["of"]) == (1, "receipt")
        assert strict.document["passed_but_simulated"] is False
        assert strict.document["receipt"] is None
    said = ana.run("receipt", "verify", receipt, "--bundle", bundle, "--policy", "strict").out
    assert "SIMULATED, AND REFUSED" in said
    assert "Without it nothing can be said of the receipt." in said
    assert "  ended          succeeded\n" in ana.run("receipt", "show", uuid).out
    hand_over(room)
    assert ana.run("results", "get", uuid).exit_code == 1
    refused = ana.run("key", "refuse", uuid, "--reason", "late", "--json")
    assert (refused.exit_code, refused.document["error"]["code"]) == (1, "wrong_state")


def hand_over(room: Room) -> None:
    """What anybody in it writes to files is checked by somebody who never had to do with it, off line."""
    stranger = Desk(home=room.folder / "stranger")
    for desk in (room.ana, room.eva):
        folder = room.folder / f"handed-by-{desk.home.name}"
        assert desk.run("receipt", "export", room.uuid, "--to", str(folder)).exit_code == 0
        files = (str(folder / "receipt.json"), "--bundle", str(folder / "evidence.json"))
        judged = stranger.run("receipt", "verify", *files, *_ACCEPT, "--json")
        assert judged.exit_code == 0, judged.out
        assert judged.document["receipt"]["ending"]["outcome"] == "succeeded"
        assert (
            stranger.run("receipt", "verify", *files, *_ACCEPT, "--invitation", room.invitation).exit_code
            == 0
        )
    assert not stranger.home.exists()
    open_what_is_named(room)


def open_what_is_named(room: Room) -> None:
    """The consumer opens what its receipt names: the server's containers, and the same from a folder."""
    eva, opened, kept = room.eva, room.folder / "opened", room.folder / "kept"
    verify = ("receipt", "verify")
    said = eva.run(*verify, room.uuid, *_ACCEPT, "--open", "--to", str(opened), "--json")
    assert said.exit_code == 0, said.out
    assert [check["name"] for check in said.document["checks"][-1]["checks"]] == [
        "opened.results",
        "opened.log",
    ]
    assert (opened / "sum.txt").read_text() == "1,2,3"
    assert eva.run("receipt", "export", room.uuid, "--to", str(kept), "--sealed").exit_code == 0
    files = (
        str(kept / "receipt.json"),
        "--bundle",
        str(kept / "evidence.json"),
        "--sealed",
        str(kept / "sealed"),
    )
    assert eva.run(*verify, *files, *_ACCEPT, "--open").exit_code == 0
    for container in (kept / "sealed").iterdir():
        container.write_bytes(b"changed")
    assert eva.run(*verify, *files, *_ACCEPT, "--open").exit_code == 1


@pytest.mark.slow
def test_other_words_end_each_join_with_the_enclaves_refusal(room: Room) -> None:
    (room.folder / "program").mkdir()
    (room.folder / "program" / "run.py").write_text(PROGRAM)
    (room.folder / "records.csv").write_text("1,2,3")
    mistyped = room.folder / "mistyped.txt"
    mistyped.write_text(with_other_words(Path(room.invitation).read_text()))
    join = (*_ACCEPT, "--yes")
    said: dict[str, Said] = {}

    def walk(name: str, desk: Desk, *words: str) -> None:
        said[name] = desk.run("join", *words, *join)

    all_at_once(
        room,
        lambda: walk("dev", room.dev, room.invitation, "--code", str(room.folder / "program")),
        lambda: walk("eva", room.eva, room.invitation),
        lambda: walk(
            "ana", room.ana, str(mistyped), "--email", room.email("ana"),
            "--data", str(room.folder / "records.csv"),
        ),
    )  # fmt: skip
    for name, went in said.items():
        assert went.exit_code == 1, (name, went)
        assert "refused by enclave: words-differ" in went.out, (name, went.out, went.err)
        assert f"sealroom computation relaunch {room.uuid}" in went.out


def with_other_words(text: str) -> str:
    """Replace a word of an invitation's line, with a checksum that fits."""
    line, _, rest = text.partition("\n")
    invitation = parse_invitation(line)
    first, *others = invitation.words
    other = next(word for word in ("apple", "bridge") if word not in invitation.words)
    assert first != other
    return format_invitation(replace(invitation, words=(other, *others))) + "\n" + rest


def all_at_once(room: Room, *parts: Callable[[], None]) -> None:
    """Let people act at the same time; who fails ends the others, who would wait for them, and is raised."""
    with ThreadPoolExecutor(len(parts)) as pool:
        futures = [pool.submit(part) for part in parts]
        done, waiting = wait(futures, timeout=240, return_when=FIRST_EXCEPTION)
        failures = [failure for future in done if (failure := future.exception()) is not None]
        for desk in (room.dev, room.ana, room.eva) if waiting else ():
            if desk.running is not None:
                desk.running.kill()
    if failures:
        raise failures[0]
    assert not waiting, "not done within four minutes"
