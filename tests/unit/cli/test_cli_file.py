"""`sealroom file` with a home that has joined a computation, and no server anywhere."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from nacl.secret import SecretBox

from sealroom.cli.main import run
from sealroom.client.home import Home
from sealroom.client.identity import create_identity
from sealroom.client.journal import Journal
from sealroom.client.own_files import OwnFiles
from sealroom.client.store import ComputationFolder, JoinedComputation
from sealroom.client.transport import ServerAddress
from sealroom.core.sealing.container_streams import open_bytes, seal_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.invitation import Invitation
from sealroom.core.sealing.keys import DataKey
from sealroom.core.wire.participants import Role

COMPUTATION = UUID("6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33")
PLAIN = os.urandom(700_000)


class Person:
    """A home that has joined, and a folder with a file in it."""

    def __init__(self, folder: Path) -> None:
        self.home = Home.open(folder / "home")
        self.public_key = create_identity(self.home).public_key
        Journal(self.home).close()
        self.folder = ComputationFolder(self.home, COMPUTATION)
        words = ("abandon", "ability", "able")
        invitation = Invitation(computation=COMPUTATION, terms_prefix=bytes(16), words=words)
        self.folder.save(
            JoinedComputation(invitation=invitation, server=ServerAddress(url="https://127.0.0.1:1"))
        )
        self.table = folder / "table.csv"
        self.table.write_bytes(PLAIN)

    def key(self, role: Role = Role.DATA_PROVIDER) -> DataKey:
        return self.folder.data_key(role)

    def call(self, verb: str, *words: str | Path) -> int:
        rest = [str(word) for word in words]
        return run(["file", verb, str(COMPUTATION), *rest, "--home", str(self.home.root)])

    def context(self, name: str = "table.csv") -> Context:
        return Context.input(computation=COMPUTATION, owner_pk=self.public_key, name=name)

    def piped(self, verb: str, content: bytes, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "sealroom.cli.main", "file", verb, str(COMPUTATION)]
        command += [*(str(word) for word in words), "--home", str(self.home.root)]
        return subprocess.run(command, input=content, capture_output=True, check=False, timeout=60)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def test_what_is_encrypted_at_home_is_what_would_be_sent(person: Person, tmp_path: Path) -> None:
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    assert person.call("encrypt", person.table, sealed) == 0
    assert open_bytes(sealed.read_bytes(), key=person.key(), context=person.context()) == PLAIN
    assert person.call("decrypt", sealed, back, "--name", "table.csv") == 0
    assert back.read_bytes() == PLAIN


def test_code_is_bound_to_its_path_in_the_archive(person: Person, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    assert person.call("encrypt", person.table, sealed, "--as", "code", "--name", "models/table.csv") == 0
    context = Context.code(computation=COMPUTATION, owner_pk=person.public_key, path="models/table.csv")
    key = person.key(Role.CODE_PROVIDER)
    assert open_bytes(sealed.read_bytes(), key=key, context=context) == PLAIN


@pytest.mark.parametrize("role", ["data", "code", "result"])
def test_whole_files_are_those_of_the_published_client(role: str, person: Person, tmp_path: Path) -> None:
    sealed, back = tmp_path / "table.csv.enc", tmp_path / "back"
    assert person.call("encrypt", person.table, sealed, "--whole-file", "--as", role) == 0
    roles = {"data": Role.DATA_PROVIDER, "code": Role.CODE_PROVIDER, "result": Role.RESULT_CONSUMER}
    box = SecretBox(person.key(roles[role]).reveal())
    assert box.decrypt(sealed.read_bytes()) == PLAIN
    sealed.write_bytes(bytes(box.encrypt(PLAIN)))
    assert person.call("decrypt", sealed, back, "--whole-file", "--as", role) == 0
    assert back.read_bytes() == PLAIN


@pytest.mark.parametrize("form", [("--name", "table.csv"), ("--whole-file",)])
def test_pipes_go_both_ways(form: tuple[str, ...], person: Person) -> None:
    sealed = person.piped("encrypt", PLAIN, "-", "-", *form)
    assert sealed.returncode == 0, sealed.stderr
    opened = person.piped("decrypt", sealed.stdout, "-", "-", *form)
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout == PLAIN


def test_a_cut_pipe_fails_after_what_was_authentic(person: Person) -> None:
    sealed = seal_bytes(PLAIN * 4, key=person.key(), context=person.context())
    opened = person.piped("decrypt", sealed[:-100], "-", "-", "--name", "table.csv")
    assert opened.returncode == 1
    assert (PLAIN * 4).startswith(opened.stdout)
    assert b"last chunk" in opened.stderr


def test_a_cut_file_writes_nothing_to_a_pipe(person: Person, tmp_path: Path) -> None:
    sealed = seal_bytes(PLAIN * 4, key=person.key(), context=person.context())
    (tmp_path / "cut").write_bytes(sealed[:-100])
    opened = person.piped("decrypt", b"", tmp_path / "cut", "-", "--name", "table.csv")
    assert opened.returncode == 1
    assert opened.stdout == b""


@pytest.mark.parametrize("form", [("--name", "table.csv"), ("--whole-file",)])
def test_what_does_not_open_leaves_no_file(
    form: tuple[str, ...], person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed, target = tmp_path / "sealed", tmp_path / "out" / "target"
    target.parent.mkdir()
    assert person.call("encrypt", person.table, sealed, *form) == 0
    changed = bytearray(sealed.read_bytes())
    changed[300_000] ^= 1
    sealed.write_bytes(changed)
    assert person.call("decrypt", sealed, target, *form) == 1
    assert list(target.parent.iterdir()) == []
    assert "changed" in capsys.readouterr().err


def test_a_container_under_another_name_is_refused(person: Person, tmp_path: Path) -> None:
    assert person.call("encrypt", person.table, tmp_path / "sealed") == 0
    assert person.call("decrypt", tmp_path / "sealed", tmp_path / "other.csv") == 1
    assert not (tmp_path / "other.csv").exists()


def test_no_file_is_replaced(person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    assert person.call("encrypt", person.table, tmp_path / "mine") == 2
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-", "sealed"), "--name is needed"),
        (("{table}", "-", "--json"), "--json needs a TARGET file"),
        (("{table}", "sealed", "--as", "result"), "goes with --whole-file"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    words: tuple[str, ...], said: str, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [word.replace("{table}", str(person.table)) for word in words]
    assert person.call("encrypt", *filled) == 64
    out = capsys.readouterr()
    assert said in out.err + out.out


def test_a_computation_that_was_not_joined_gets_no_key(
    person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "0b0e4a52-6f2e-4c5f-8a07-3d2a4f1f9b10"
    words = [
        "file",
        "encrypt",
        other,
        str(person.table),
        str(tmp_path / "x"),
        "--home",
        str(person.home.root),
    ]
    assert run(words) == 1
    assert "not joined" in capsys.readouterr().err
    assert not person.home.computation(UUID(other)).exists()


def heed_signals() -> None:
    """Undo what a shell that runs the tests in the background does to them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def end_in_the_middle(person: Person, folder: Path, how: signal.Signals) -> int:
    """Encrypt from a FIFO, and send a signal when some megabytes are through."""
    fifo, target = folder / "fifo", folder / "out" / "target"
    target.parent.mkdir()
    os.mkfifo(fifo)
    # Open both ways: opening waits for nobody, and the reader never sees an end.
    source = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    command = [sys.executable, "-m", "sealroom.cli.main", "file", "encrypt", str(COMPUTATION)]
    command += [str(fifo), str(target), "--home", str(person.home.root)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, preexec_fn=heed_signals) as process:
        try:
            # More than the pipe holds: when it is written, most of it was read.
            rest = memoryview(PLAIN * 3)
            while rest:
                assert select.select([], [source], [], 30)[1], "nobody reads"
                rest = rest[os.write(source, rest) :]
            process.send_signal(how)
            return process.wait(timeout=30)
        finally:
            process.kill()
            os.close(source)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_killed_in_the_middle_it_leaves_nothing(person: Person, tmp_path: Path, how: signal.Signals) -> None:
    assert end_in_the_middle(person, tmp_path, how) == -how
    assert list((tmp_path / "out").iterdir()) == []


def test_two_at_once_do_not_take_each_others_target(
    person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    seal = OwnFiles.seal

    def seal_while_another_finishes(*words: object, **options: object) -> object:
        target.write_bytes(b"the other's")
        return seal(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(OwnFiles, "seal", seal_while_another_finishes)
    words = ["file", "encrypt", str(COMPUTATION), str(person.table), str(target)]
    assert run([*words, "--home", str(person.home.root)]) == 2
    assert f"{target}: is there already" in capsys.readouterr().err
    assert target.read_bytes() == b"the other's"


def test_interrupted_in_the_middle_it_leaves_nothing_at_all(person: Person, tmp_path: Path) -> None:
    assert end_in_the_middle(person, tmp_path, signal.SIGINT) == 1
    assert list((tmp_path / "out").iterdir()) == []
