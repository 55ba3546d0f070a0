"""Several processes on one home at once: what they do is what one after the other would have done."""

import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from sealroom.client.delivery_journal import DeliveryJournal, DeliveryKey
from sealroom.client.home import Home
from sealroom.client.journal import Journal, Registration
from sealroom.core.wire.participants import Role

# Two real processes.
pytestmark = pytest.mark.e2e

COMPUTATION = UUID("11111111-1111-4111-8111-111111111111")
PROCESSES = 4
# Every process says that it is there, and goes on when the test makes the file `go`.
START = """
import pathlib, sys, time
from datetime import UTC, datetime
from uuid import UUID
from sealroom.client.delivery_journal import *
from sealroom.client.home import Home
from sealroom.client.journal import Journal, Registration
from sealroom.core.wire.participants import Role
number, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
computation = UUID(sys.argv[3])
journal = Journal(Home.open(folder / "home"))
(folder / f"ready-{number}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
"""
DELIVER = """
noted = NotedDelivery(
    key=DeliveryKey(computation=computation, mrenclave=MRENCLAVE, role=Role.DATA_PROVIDER),
    agreement=bytes(32),
    identity_pk=bytes(32),
    wire=bytes([number]) * 402,
    bundle_sha256=bytes(32),
    noted_at=datetime.now(UTC),
)
try:
    print(DeliveryJournal(journal).note_delivery(noted, Consent())[0])
except DeliveryBlockedError as error:
    print(error.code)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Journal(Home.open(tmp_path / "home")) as journal:
        journal.note_computation(COMPUTATION, bytes(16))
    return tmp_path


def at_once(folder: Path, program: str) -> list[str]:
    """Run `program` in all processes at the same moment, and return what each of them printed."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", START + program, str(number), str(folder), str(COMPUTATION)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    while len(list(folder.glob("ready-*"))) < PROCESSES and all(one.poll() is None for one in running):
        time.sleep(0.01)
    (folder / "go").touch()
    printed = [one.communicate(timeout=60)[0].strip() for one in running]
    assert [one.returncode for one in running] == [0] * PROCESSES
    return printed


def test_of_deliveries_to_several_enclaves_at_once_one_is_recorded(folder: Path) -> None:
    printed = at_once(folder, DELIVER.replace("MRENCLAVE", "bytes([number]) * 32"))
    (sent,) = [line for line in printed if line.isdecimal()]
    assert printed.count("too-many-enclaves") == PROCESSES - 1
    with Journal(Home.open(folder / "home")) as journal:
        (noted,) = DeliveryJournal(journal).deliveries(COMPUTATION)
    assert noted.wire[0] == int(sent)


def test_deliveries_to_one_enclave_at_once_send_identical_bytes(folder: Path) -> None:
    printed = at_once(folder, DELIVER.replace("MRENCLAVE", "bytes(32)"))
    assert len(set(printed)) == 1
    key = DeliveryKey(computation=COMPUTATION, mrenclave=bytes(32), role=Role.DATA_PROVIDER)
    with Journal(Home.open(folder / "home")) as journal:
        noted = DeliveryJournal(journal).delivery(key)
    assert noted is not None
    assert noted.wire[0] == int(printed[0])


def test_one_key_registered_at_once_is_registered(folder: Path) -> None:
    said = 'Registration(role=Role.DATA_PROVIDER, email="a@example.org", public_key=bytes(32))'
    at_once(folder, f"journal.note_registration(computation, {said})")
    with Journal(Home.open(folder / "home")) as journal:
        assert journal.registrations(COMPUTATION) == (
            Registration(role=Role.DATA_PROVIDER, email="a@example.org", public_key=bytes(32)),
        )
