"""The results of a run: their names, their one budget, and their release by a closing.

Nothing of a result opens for anybody until the run has succeeded. Must never let a plaintext, or a digest of
one, leave.
Spec: docs/spec/enclave-session.md, "Results".
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sealroom.core.errors import MalformedError
from sealroom.core.wire import spool as names
from sealroom.core.wire.names import check_file_name
from sealroom.core.wire.receipt_closing import MAX_TOTAL_OUTPUTS, OutputRecord
from sealroom.enclave.opening import Consumer
from sealroom.enclave.result_files import ResultFile

_DEFAULT_NAME = "result"


class OutputLimitError(OSError):
    """The program wrote more than the measured arguments allow; the run ends as `limit`."""


@dataclass(slots=True)
class _Shelf:
    """What was opened for one consumer, in that order; what was discarded stays, and keeps its place."""

    consumer: Consumer
    files: list[ResultFile] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {file.name for file in self.files if not file.discarded}

    @property
    def finished(self) -> list[ResultFile]:
        return [file for file in self.files if file.finished]

    @property
    def unfinished(self) -> list[ResultFile]:
        return [file for file in self.files if not file.finished and not file.discarded]

    def free_name(self) -> str:
        taken, number = self.names, 1
        while (name := _DEFAULT_NAME if number == 1 else f"{_DEFAULT_NAME}-{number}") in taken:
            number += 1
        return name


class MakeResult(Protocol):
    """Makes a result that is not begun yet; `place` is its name in the spool until it is released."""

    def __call__(self, consumer: Consumer, *, place: str, name: str) -> ResultFile:
        """Make it."""


class Outputs:
    """All results of one run. `max_bytes` bounds plaintexts and names, counted once for each consumer."""

    def __init__(self, consumers: tuple[Consumer, ...], *, make: MakeResult, max_bytes: int) -> None:
        self._shelves = [_Shelf(consumer) for consumer in consumers]
        self._make = make
        self._left = self._max_bytes = max_bytes
        # A finalizer of the program's may write wherever something is made, under this lock too.
        self._lock = threading.RLock()
        self._exceeded = False
        self._dropped: list[str] = []

    @property
    def consumers(self) -> int:
        """The number of Result Consumers."""
        return len(self._shelves)

    @property
    def exceeded(self) -> bool:
        """Whether the program ever asked for more than the budget, whatever it made of the error."""
        return self._exceeded

    @property
    def bytes_out(self) -> int:
        """The part of the budget that finished results used."""
        finished = [file for shelf in self._shelves for file in shelf.finished]
        return sum(len(file.name.encode()) + file.plain_size for file in finished)

    @property
    def unfinished(self) -> list[str]:
        """The names of results that nobody finished: those that were dropped, then those still open."""
        return [*self._dropped, *(file.name for shelf in self._shelves for file in shelf.unfinished)]

    def open(self, name: str | None, *, consumers: Sequence[int]) -> list[ResultFile]:
        """Begin one result for each of `consumers`; without a name, each under the next free one.

        Raises `ValueError` for a name that is no file name or is used already, and `OutputLimitError` beyond
        the budget; then none was begun. The bytes of a result that is discarded later stay spent.
        """
        begun: list[ResultFile] = []
        try:
            for consumer in consumers:
                begun.append(self._reserve(name, consumer))
                # The host's disk may take its time: not under the lock, which the end of the run needs.
                begun[-1].begin()
        except BaseException:
            for file in begun:
                file.discard()
            raise
        return begun

    def note_dropped(self, files: Sequence[ResultFile]) -> None:
        """Remember results whose stream was dropped unclosed; comes at any time, so it takes no lock."""
        self._dropped.extend(file.name for file in files)

    def spend(self, size: int) -> None:
        """Take `size` bytes of the budget; raises `OutputLimitError` when there are not enough."""
        with self._lock:
            self._spend(size)

    def release(self) -> tuple[OutputRecord, ...]:
        """Give every finished result its header and its name, discard the others, and list the released.

        They are in the order of consumer and of opening; places are counted anew, without gaps.
        """
        records: list[OutputRecord] = []
        for consumer, shelf in enumerate(self._shelves):
            finished = shelf.finished
            for file in shelf.unfinished:
                file.discard()
            for number, file in enumerate(finished):
                file.release(names.result_name(consumer, number))
                records.append(OutputRecord(consumer=consumer, name=file.name, sha256=file.sha256))
        return tuple(records)

    def discard(self) -> None:
        """Remove every result, the unfinished too: a run that did not succeed releases none."""
        for shelf in self._shelves:
            for file in (*shelf.finished, *shelf.unfinished):
                file.discard()

    def _reserve(self, name: str | None, consumer: int) -> ResultFile:
        with self._lock:
            shelf = self._shelves[consumer]
            name = shelf.free_name() if name is None else name
            _check_name(name, shelf)
            self._check_count(shelf)
            self._spend(len(name.encode()))
            place = names.result_name(consumer, len(shelf.files))
            file = self._make(shelf.consumer, place=place, name=name)
            shelf.files.append(file)
            return file

    def _check_count(self, shelf: _Shelf) -> None:
        total = sum(len(each.files) for each in self._shelves)
        if len(shelf.files) >= names.MAX_RESULT_FILES or total >= MAX_TOTAL_OUTPUTS:
            self._exceeded = True
            raise OutputLimitError("results: too many files")

    def _spend(self, size: int) -> None:
        if size > self._left:
            self._exceeded = True
            raise OutputLimitError(f"output budget: {self._max_bytes} bytes are used up")
        self._left -= size


def _check_name(name: str, shelf: _Shelf) -> None:
    try:
        check_file_name(name, field="result name")
    except MalformedError as exc:
        raise ValueError(str(exc)) from exc
    if name in shelf.names:
        raise ValueError("result name: used already for this consumer")
