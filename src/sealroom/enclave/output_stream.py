"""A result that a program writes piece by piece, sealed while it is written.

Must never finish a result that its program did not: a stream that ends in an exception, or is dropped, leaves
nothing. Spec: docs/spec/enclave-session.md, "Results".
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from sealroom.enclave.outputs import Outputs
from sealroom.enclave.result_files import ResultFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputStream(io.BufferedIOBase):
    """A binary file to write to: one result, for one consumer or the same for several.

    `close`, or the end of its `with` block, finishes the result; an exception in the block discards it, and
    so does a write that fails.
    """

    def __init__(self, outputs: Outputs, files: Sequence[ResultFile]) -> None:
        super().__init__()
        self._outputs = outputs
        self._files = tuple(files)
        self._written = 0
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def tell(self) -> int:
        """Give the number of octets written."""
        return self._written

    def write(self, data: ReadableBuffer, /) -> int:
        """Seal all of `data`.

        Raises `OutputLimitError`, an `OSError`, when the budget of the computation is used up: the run then
        ends as `limit`, whatever the program does. Nothing can be written after any failure.
        """
        view = memoryview(data)
        plain = view.cast("B") if view.nbytes else memoryview(b"")
        with self._lock:
            self._check_open()
            try:
                self._outputs.spend(len(plain) * len(self._files))
                for file in self._files:
                    file.write(plain)
            except BaseException:
                self._discard()
                raise
            self._written += len(plain)
        return len(plain)

    def close(self) -> None:
        """Finish the result: it is released when the run succeeds. Raises `OSError` when the disk is full."""
        with self._lock:
            if self.closed:
                return
            try:
                for file in self._files:
                    file.finish()
            except BaseException:
                self._discard()
                raise
            super().close()

    def discard(self) -> None:
        """Give the result up: nothing of it is released, and its name is free again."""
        with self._lock:
            if not self.closed:
                self._discard()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the result, or discard it after an exception, even if something in the block closed it."""
        if kind is None:
            self.close()
            return
        with self._lock:
            self._discard()

    def __del__(self) -> None:
        # Python's own would close, and so finish what nobody finished.
        if hasattr(self, "_lock") and not self.closed:
            self.discard()
            self._outputs.note_dropped(self._files)

    def _discard(self) -> None:
        super().close()
        for file in self._files:
            file.discard()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed result")
