import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest

from sealroom.client.home import Home
from sealroom.client.journal import Journal, Registration
from sealroom.core.errors import MalformedError, VerificationError
from sealroom.core.wire.input_list import InputFile, InputList
from sealroom.core.wire.participants import Role

UUID_A = UUID("11111111-1111-4111-8111-111111111111")
UUID_B = UUID("22222222-2222-4222-8222-222222222222")
TERMS = bytes(range(16))


@pytest.fixture
def journal(home: Home) -> Iterator[Journal]:
    with Journal(home) as opened:
        opened.note_computation(UUID_A, TERMS)
        yield opened


def file(name: str = "a.csv", size: int = 3, fill: int = 1) -> InputFile:
    return InputFile(name=name, size=size, sha256=bytes([fill]) * 32)


def test_a_new_journal_is_for_its_owner_alone(home: Home) -> None:
    with Journal(home):
        assert home.journal.stat().st_mode & 0o777 == 0o600


def test_the_journal_waits_for_the_disk(journal: Journal) -> None:
    row = journal.one("PRAGMA synchronous")
    assert row is not None
    assert row[0] == 3


def test_a_uuid_is_bound_to_its_first_terms(journal: Journal) -> None:
    journal.note_computation(UUID_A, TERMS)
    with pytest.raises(VerificationError, match="seen before"):
        journal.note_computation(UUID_A, bytes(16))
    assert journal.terms_prefix(UUID_A) == TERMS
    assert journal.terms_prefix(UUID_B) is None


def test_a_role_keeps_the_key_it_was_registered_with(journal: Journal) -> None:
    first = Registration(role=Role.DATA_PROVIDER, email="a@example.org", public_key=bytes(32))
    journal.note_registration(UUID_A, first)
    journal.note_registration(UUID_A, first)
    other = Registration(role=Role.DATA_PROVIDER, email="a@example.org", public_key=bytes([1]) * 32)
    with pytest.raises(VerificationError):
        journal.note_registration(UUID_A, other)
    second = Registration(role=Role.RESULT_CONSUMER, email="a@example.org", public_key=bytes(32))
    journal.note_registration(UUID_A, second)
    assert journal.registrations(UUID_A) == (first, second)


def test_uploads_keep_their_order_when_one_is_replaced(journal: Journal) -> None:
    for name in ("a", "b", "c"):
        journal.note_upload(UUID_A, file(name))
    journal.note_upload(UUID_A, file("b", size=9))
    journal.forget_upload(UUID_A, "a")
    journal.note_upload(UUID_A, file("a"))
    assert [(f.name, f.size) for f in journal.uploads(UUID_A).files] == [("b", 9), ("c", 3), ("a", 3)]


def test_a_commitment_is_final(journal: Journal) -> None:
    journal.note_upload(UUID_A, file())
    inputs = journal.uploads(UUID_A)
    journal.note_commitment(UUID_A, bytes(32), inputs)
    journal.note_commitment(UUID_A, bytes(32), inputs)
    assert journal.commitment(UUID_A) == (bytes(32), inputs)
    with pytest.raises(VerificationError, match="final"):
        journal.note_commitment(UUID_A, bytes([1]) * 32, InputList(files=()))
    with pytest.raises(VerificationError, match="final"):
        journal.note_upload(UUID_A, file("late"))
    with pytest.raises(VerificationError, match="final"):
        journal.forget_upload(UUID_A, "a.csv")


def test_a_list_to_which_another_process_added_a_file_is_not_fixed(journal: Journal) -> None:
    journal.note_upload(UUID_A, file())
    inputs = journal.uploads(UUID_A)
    journal.note_upload(UUID_A, file("added.csv"))
    with pytest.raises(VerificationError, match="changed meanwhile"):
        journal.note_commitment(UUID_A, bytes(32), inputs)
    assert journal.commitment(UUID_A) is None
    journal.note_commitment(UUID_A, bytes(32), journal.uploads(UUID_A))


def test_the_code_sent_last_is_expected(journal: Journal) -> None:
    one, two = bytes([1]) * 32, bytes([2]) * 32
    for digest in (one, one, two, one):
        journal.note_code(UUID_A, digest=digest, signature=bytes(64))
    assert journal.code_digests(UUID_A) == (one, two, one)
    assert journal.expected_code(UUID_A) == one


def test_the_code_reviewed_last_is_expected_of_a_provider_whose_code_it_is_not(journal: Journal) -> None:
    assert journal.expected_code(UUID_A) is None
    journal.note_reviewed(UUID_A, bytes([1]) * 32)
    journal.note_reviewed(UUID_A, bytes([2]) * 32)
    assert journal.expected_code(UUID_A) == bytes([2]) * 32


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM computation",
        "UPDATE computation SET terms = zeroblob(16)",
        "REPLACE INTO computation SELECT uuid, zeroblob(16), 0, noted_at FROM computation",
        "DELETE FROM commitment",
        "UPDATE commitment SET commitment = zeroblob(32)",
        "UPDATE registration SET email = 'x'",
        "DELETE FROM code",
    ],
)
def test_the_journal_does_not_forget(home: Home, journal: Journal, statement: str) -> None:
    journal.note_commitment(UUID_A, bytes([1]) * 32, InputList(files=()))
    journal.note_code(UUID_A, digest=bytes(32), signature=bytes(64))
    journal.note_registration(
        UUID_A, Registration(role=Role.DATA_PROVIDER, email="a@b", public_key=bytes(32))
    )
    with pytest.raises(sqlite3.IntegrityError, match="does not forget"), journal.transaction() as write:
        write.execute(statement)


def test_a_failed_transaction_changes_nothing(journal: Journal) -> None:
    with pytest.raises(KeyboardInterrupt), journal.transaction() as write:
        write.execute("INSERT INTO reviewed VALUES (?, zeroblob(32), 'x')", (UUID_A.bytes,))
        raise KeyboardInterrupt
    assert journal.expected_code(UUID_A) is None


def test_a_journal_that_is_gone_is_not_replaced(home: Home) -> None:
    home.computation(UUID_A).mkdir(parents=True)
    with pytest.raises(MalformedError, match="missing"):
        Journal(home)
    assert not home.journal.exists()


def test_a_damaged_journal_is_not_replaced(home: Home) -> None:
    home.journal.write_bytes(b"not a database" * 400)
    before = home.journal.read_bytes()
    with pytest.raises(MalformedError, match="cannot be read"):
        Journal(home)
    assert home.journal.read_bytes() == before


@pytest.mark.parametrize(
    ("pragma", "said"), [("user_version", "version"), ("application_id", "not a journal")]
)
def test_a_journal_of_another_kind_is_refused(home: Home, pragma: str, said: str) -> None:
    with Journal(home):
        pass
    connection = sqlite3.connect(home.journal)
    connection.execute(f"PRAGMA {pragma} = 7")
    connection.commit()
    connection.close()
    with pytest.raises(MalformedError, match=said):
        Journal(home)


def test_what_was_noted_survives_a_kill(home: Home) -> None:
    program = (
        "import os, signal, sys; from uuid import UUID\n"
        "from sealroom.client.home import Home; from sealroom.client.journal import Journal\n"
        "journal = Journal(Home.open(sys.argv[1]))\n"
        f"journal.note_computation(UUID('{UUID_A}'), bytes(16))\n"
        "with journal.transaction() as write:\n"
        f"    write.execute('INSERT INTO computation VALUES (?, zeroblob(16), 0, 1)', (bytes(16),))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(home.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(home) as journal:
        assert journal.terms_prefix(UUID_A) == bytes(16)
        assert journal.terms_prefix(UUID(int=0)) is None
