"""What a receipt names, opened by its readers: from a folder that a hostile server may have filled."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "core" / "evidence"))

import evidence_world as w
from archive_world import Archive, archive

from sealroom.client.home import Home
from sealroom.client.opened import LOG_KEYS_FILE, FolderOfSealedFiles, open_named, save_sealed
from sealroom.client.private_files import make_private_folder
from sealroom.client.session import Client
from sealroom.client.store import ComputationFolder
from sealroom.client.transport import ServerAddress
from sealroom.core.errors import VerificationError
from sealroom.core.evidence.archive import ArchivedRun, appraise_archive
from sealroom.core.evidence.verdict import CheckGroup, Outcome
from sealroom.core.sealing.container_streams import seal_bytes
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import SigningKey
from sealroom.core.sealing.log import LogKey, seal_log
from sealroom.core.sealing.output_key import derive_output_key
from sealroom.core.wire.byte_fields import sha256
from sealroom.core.wire.participants import Role
from sealroom.core.wire.receipt import OutputRecord

RITA, DORA = bytes(w.RESULT), bytes(w.DATA)
PLAIN, TEXT = b"the report", b"it printed this\n"
MADE = archive()


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One participant's client, whose server does not answer."""

    client: Client

    def result(self, name: str, plain: bytes) -> bytes:
        key = derive_output_key(
            ComputationFolder(self.client.home, w.COMPUTATION).data_key(Role.RESULT_CONSUMER),
            box_pk=w.BOX_PK,
            computation=w.COMPUTATION,
            consumer_pk=self.client.identity.public_key,
        )
        context = Context.result(
            computation=w.COMPUTATION,
            owner_pk=self.client.identity.public_key,
            box_pk=w.BOX_PK,
            name=name,
        )
        return seal_bytes(plain, key=key, context=context)


def desk(root: Path, seed: bytes) -> Desk:
    home = Home.open(root)
    address = ServerAddress(url="https://127.0.0.1:1", certificate_sha256=bytes(32))
    # A home's journal is older than its first computation.
    client = Client(home=home, server=address, identity=SigningKey.from_seed(seed))
    for path in (home.computations, ComputationFolder(home, w.COMPUTATION).path):
        make_private_folder(path)
    return Desk(client=client)


@pytest.fixture
def rita(tmp_path: Path) -> Iterator[Desk]:
    made = desk(tmp_path / "rita", RITA)
    with made.client:
        yield made


@pytest.fixture
def dora(tmp_path: Path) -> Iterator[Desk]:
    made = desk(tmp_path / "dora", DORA)
    with made.client:
        yield made


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A run with one result and a log, whose containers lie in a folder."""

    run: ArchivedRun
    files: FolderOfSealedFiles
    result: Path
    log: Path


def judged(made: Archive, receipt: bytes) -> ArchivedRun:
    return appraise_archive(
        receipt,
        made.bundle,
        policy=w.policy(),
        expected=None,
        release=w.RELEASE,
        wheels={},
        roots=w.ROOTS,
        now=w.NOW,
    )


def sealed(root: Path, reader: Desk, *, name: str = "report.json", **changes: object) -> Sealed:
    root.mkdir(exist_ok=True)
    container = reader.result(name, PLAIN)
    log = seal_log(
        TEXT,
        key=LogKey.generate(),
        release=w.TERMS.logs,
        readers=[person.public_key for person in w.participants()],
        computation=w.COMPUTATION,
        box_pk=w.BOX_PK,
    )
    assert log is not None
    closing = {
        "outputs": (OutputRecord(consumer=0, name=name, sha256=sha256(container)),),
        "log_sha256": sha256(log.container),
    }
    found = Sealed(
        run=judged(MADE, MADE.run(**(closing | changes))),
        files=FolderOfSealedFiles(path=root),
        result=root / sha256(container).hex(),
        log=root / sha256(log.container).hex(),
    )
    found.result.write_bytes(container)
    found.log.write_bytes(log.container)
    (root / LOG_KEYS_FILE).write_bytes(log.keys.to_bytes())
    return found


def failed(group: CheckGroup) -> list[str]:
    return [part.name for part in group.parts if part.outcome is Outcome.FAILED]


def test_a_consumer_opens_its_results_and_the_log(rita: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita)
    group = open_named(rita.client, made.run, made.files, to=None)
    assert group.outcome is Outcome.PASSED
    results, log = group.parts
    assert results.observed == f"1 of 1 opened, {len(PLAIN)} bytes"
    assert results.parts[0].title == "report.json"
    assert log.observed == f"{len(TEXT)} bytes of text"


def test_plaintexts_are_written_only_where_a_folder_is_named(rita: Desk, tmp_path: Path) -> None:
    made, to = sealed(tmp_path / "sealed", rita), tmp_path / "opened"
    open_named(rita.client, made.run, made.files, to=None)
    assert not to.exists()
    open_named(rita.client, made.run, made.files, to=to)
    assert [(path.name, path.read_bytes()) for path in to.iterdir()] == [("report.json", PLAIN)]
    # Again is the same; another file of this name stays, and fails the check.
    assert open_named(rita.client, made.run, made.files, to=to).outcome is Outcome.PASSED
    (to / "report.json").write_bytes(b"mine")
    assert failed(open_named(rita.client, made.run, made.files, to=to)) == ["opened.results"]
    assert (to / "report.json").read_bytes() == b"mine"


def test_a_data_provider_opens_the_log_alone(rita: Desk, dora: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita)
    group = open_named(dora.client, made.run, made.files, to=None)
    assert [part.name for part in group.parts] == ["opened.log"]
    assert group.outcome is Outcome.PASSED


def test_a_stranger_has_nothing_to_open(rita: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita)
    stranger = desk(tmp_path / "stranger", bytes(range(32)))
    with stranger.client as client:
        assert open_named(client, made.run, made.files, to=None).parts == ()


@pytest.mark.parametrize("what", ["withheld", "changed", "cut", "empty"])
@pytest.mark.parametrize("name", ["result", "log"])
def test_a_container_that_is_withheld_or_changed_fails_its_check(
    rita: Desk, tmp_path: Path, name: str, what: str
) -> None:
    made = sealed(tmp_path / "sealed", rita)
    path = getattr(made, name)
    raw = path.read_bytes()
    changed = {"changed": raw[:-1] + bytes([raw[-1] ^ 1]), "cut": raw[:-1], "empty": b""}
    path.unlink()
    if what != "withheld":
        path.write_bytes(changed[what])
    group = open_named(rita.client, made.run, made.files, to=tmp_path / "opened")
    assert failed(group) == ["opened.results" if name == "result" else "opened.log"]
    assert name == "log" or list((tmp_path / "opened").glob("*")) == []


@pytest.mark.parametrize("what", ["pipe", "folder", "link", "endless"])
@pytest.mark.parametrize("name", ["result", "log"])
def test_what_is_no_container_in_the_folder_fails_its_check_and_holds_nobody_up(
    rita: Desk, tmp_path: Path, name: str, what: str
) -> None:
    made = sealed(tmp_path / "sealed", rita)
    path = getattr(made, name)
    elsewhere = path.rename(tmp_path / "elsewhere")
    match what:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(elsewhere)
        case _:
            path.touch()
            os.truncate(path, 1 << 40)
    group = open_named(rita.client, made.run, made.files, to=None)
    assert failed(group) == ["opened.results" if name == "result" else "opened.log"]


def test_a_container_that_the_closing_names_and_another_key_sealed_fails(rita: Desk, tmp_path: Path) -> None:
    other = desk(tmp_path / "other", RITA)
    with other.client:
        made = sealed(tmp_path / "sealed", other)
    group = open_named(rita.client, made.run, made.files, to=None)
    assert failed(group) == ["opened.results"]


def test_a_result_that_opens_to_more_than_the_closing_says_fails(rita: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita, bytes_out=len(PLAIN) - 1)
    group = open_named(rita.client, made.run, made.files, to=None)
    assert failed(group) == ["opened.results"]
    assert "the closing says 9 in all" in group.parts[0].observed


def test_nothing_is_opened_under_a_receipt_that_is_not_accepted(rita: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita)
    forged = judged(MADE, MADE.run(key=w.CODE))
    group = open_named(rita.client, forged, made.files, to=tmp_path / "opened")
    assert {part.outcome for part in group.parts} == {Outcome.NOT_REACHED}
    died = judged(MADE, MADE.run(closed=False))
    group = open_named(rita.client, died, made.files, to=tmp_path / "opened")
    assert {part.because for part in group.parts} == {"there is no closing, so nothing says what came out"}
    assert not (tmp_path / "opened").exists()


def test_the_name_of_a_result_is_shown_and_never_obeyed(rita: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita, name="report\u202e.json")
    group = open_named(rita.client, made.run, made.files, to=None)
    assert group.parts[0].parts[0].title == "report<U+202E>.json"


def test_what_is_saved_sealed_is_what_is_opened_from_the_folder(rita: Desk, tmp_path: Path) -> None:
    made = sealed(tmp_path / "sealed", rita)
    closing, anchor = made.run.closing, made.run.anchor
    assert closing is not None
    assert anchor is not None
    copy = tmp_path / "copy"
    assert save_sealed(rita.client, closing, anchor.arguments, made.files, to=copy) == 2
    group = open_named(rita.client, made.run, FolderOfSealedFiles(path=copy), to=None)
    assert group.outcome is Outcome.PASSED
    made.result.write_bytes(b"another")
    with pytest.raises(VerificationError):
        save_sealed(rita.client, closing, anchor.arguments, made.files, to=copy)
