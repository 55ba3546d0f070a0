"""Which inputs were read, as the kernel tells it."""

import ctypes
from pathlib import Path

import pytest

from sealroom.core.wire.spool import OPENING
from sealroom.rehearsal.reads import watch_reads

PLACES = {"inputs/0/0": (0, 0), "inputs/0/1": (0, 1), "inputs/1/0": (1, 0)}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    for place in PLACES:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"sealed")
    return tmp_path


def begin(spool: Path) -> None:
    (spool / "opening.tmp").write_bytes(b"signed")
    (spool / "opening.tmp").rename(spool / OPENING)


def test_only_what_is_opened_after_the_opening_was_read_by_the_program(spool: Path) -> None:
    with watch_reads(spool, PLACES) as reads:
        for place in PLACES:
            (spool / place).read_bytes()
        begin(spool)
        (spool / "inputs/0/1").read_bytes()
    assert reads.seen == {(0, 1)}


def test_without_an_opening_nothing_was_read_by_the_program(spool: Path) -> None:
    with watch_reads(spool, PLACES) as reads:
        (spool / "inputs/0/1").read_bytes()
        (spool / "opening.tmp").write_bytes(b"signed")
    assert reads.seen == set()


def test_a_kernel_without_such_a_watch_says_nothing(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        def inotify_init1(self, _flags: int) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Without())
    with watch_reads(spool, PLACES) as reads:
        begin(spool)
        (spool / "inputs/0/1").read_bytes()
    assert reads.seen == set()
