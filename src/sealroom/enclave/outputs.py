"""The results: sealed to each consumer as they are written, within one budget, released only by a closing.

A result lies in the spool under a temporary name until the run has succeeded. Must never let a plaintext, or
a digest of one, leave. Spec: docs/spec/enclave-session.md, "Results".
"""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass, field
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.sealing.chunks import Readable
from sealroom.core.sealing.container import seal_stream
from sealroom.core.sealing.context import Context
from sealroom.core.wire import spool as names
from sealroom.core.wire.names import check_file_name
from sealroom.core.wire.receipt_closing import MAX_TOTAL_OUTPUTS, OutputRecord
from sealroom.enclave.messages import HostFolder
from sealroom.enclave.opening import Consumer

_DEFAULT_NAME = "result"


class OutputLimitError(OSError):
    """The program wrote more than the measured arguments allow; the run ends as `limit`."""


@dataclass(slots=True)
class _Shelf:
    """What was written for one consumer so far."""

    consumer: Consumer
    records: list[OutputRecord] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {record.name for record in self.records}

    def free_name(self) -> str:
        taken, number = self.names, 1
        while (name := _DEFAULT_NAME if number == 1 else f"{_DEFAULT_NAME}-{number}") in taken:
            number += 1
        return name


class Outputs:
    """All results of one run. `max_bytes` bounds plaintexts and names, counted once for each consumer."""

    def __init__(
        self,
        spool: HostFolder,
        consumers: tuple[Consumer, ...],
        *,
        computation: UUID,
        box_pk: bytes,
        max_bytes: int,
    ) -> None:
        self._spool = spool
        self._shelves = [_Shelf(consumer) for consumer in consumers]
        self._computation = computation
        self._box_pk = box_pk
        self._left = self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._exceeded = False

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
        """The part of the budget that is used."""
        return self._max_bytes - self._left

    def write(self, source: Readable, *, consumer: int, name: str | None) -> None:
        """Seal everything that `source` gives to one consumer.

        Raises `ValueError` for a name that is no file name or was used before, and `OutputLimitError` beyond
        the budget.
        """
        with self._lock:
            shelf = self._shelves[consumer]
            name = shelf.free_name() if name is None else name
            _check_name(name, shelf)
            self._check_count(shelf)
            self.spend(len(name.encode()))
            place = names.result_name(consumer, len(shelf.records))
            try:
                digest = self._seal(source, shelf.consumer, place=place, name=name)
            except BaseException:
                self._spool.discard(place)
                raise
            shelf.records.append(OutputRecord(consumer=consumer, name=name, sha256=digest))

    def spend(self, size: int) -> None:
        """Take `size` bytes of the budget; raises `OutputLimitError` when there are not enough."""
        if size > self._left:
            self._exceeded = True
            raise OutputLimitError(f"output budget: {self._max_bytes} bytes are used up")
        self._left -= size

    def release(self) -> tuple[OutputRecord, ...]:
        """Give every result its final name, and return them in the order of consumer and writing."""
        for place in self._places():
            self._spool.publish(place)
        return tuple(record for shelf in self._shelves for record in shelf.records)

    def discard(self) -> None:
        """Remove every result, the unfinished too: a run that did not succeed releases none."""
        for place in self._places(unfinished=1):
            self._spool.discard(place)

    def _places(self, *, unfinished: int = 0) -> list[str]:
        return [
            names.result_name(consumer, number)
            for consumer, shelf in enumerate(self._shelves)
            for number in range(min(len(shelf.records) + unfinished, names.MAX_RESULT_FILES))
        ]

    def _check_count(self, shelf: _Shelf) -> None:
        total = sum(len(each.records) for each in self._shelves)
        if len(shelf.records) >= names.MAX_RESULT_FILES or total >= MAX_TOTAL_OUTPUTS:
            self._exceeded = True
            raise OutputLimitError("results: too many files")

    def _seal(self, source: Readable, consumer: Consumer, *, place: str, name: str) -> bytes:
        context = Context.result(
            computation=self._computation,
            owner_pk=consumer.participant.public_key,
            box_pk=self._box_pk,
            name=name,
        )
        with self._spool.create(place) as file:
            sink = _HashingSink(file)
            seal_stream(_Budgeted(source, self), sink, key=consumer.key, context=context)
        return sink.digest


class _Budgeted:
    """A source that pays for what is read from it, before it is sealed."""

    def __init__(self, source: Readable, outputs: Outputs) -> None:
        self._source = source
        self._outputs = outputs

    def readinto(self, buffer: memoryview, /) -> int | None:
        got = self._source.readinto(buffer)
        if got:
            self._outputs.spend(got)
        return got


class _HashingSink:
    """A file whose digest is known without reading it back from the host."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def write(self, buffer: memoryview, /) -> int:
        written = self._file.write(buffer)
        self._hash.update(buffer[:written])
        return written


def _check_name(name: str, shelf: _Shelf) -> None:
    try:
        check_file_name(name, field="result name")
    except MalformedError as exc:
        raise ValueError(str(exc)) from exc
    if name in shelf.names:
        raise ValueError("result name: used before for this consumer")
