"""What the program prints, caught at descriptor level: print, os.write, C libraries and crash messages alike.

Descriptors 1 and 2 become one unnamed file in the enclave's own memory, of which no more than the budget ever
leaves; descriptor 0 is empty. Must never let a byte of it reach a descriptor of the host's.
Spec: docs/spec/logs.md; docs/spec/enclave-session.md, "Log".
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_READ_BLOCK = 1 << 20


class LogCapture:
    """The log of one run: the first `max_bytes` of what is printed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._file = _memory_file()
        self._streams: list[io.TextIOWrapper] = []

    def start(self) -> None:
        """Redirect descriptors 0, 1 and 2, for this process and for good."""
        sys.stdout.flush()
        sys.stderr.flush()
        reader, writer = os.pipe()
        os.close(writer)
        os.dup2(reader, _STDIN)
        os.close(reader)
        for descriptor in (_STDOUT, _STDERR):
            os.dup2(self._file, descriptor)
        self._streams = [self._text_stream(_STDOUT), self._text_stream(_STDERR)]
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
        sys.stdout, sys.stderr = self._streams

    def text(self) -> bytes:
        """Return what was printed so far, within the budget."""
        for stream in self._streams:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        _flush_c_streams()
        try:
            return _read(self._file, min(os.fstat(self._file).st_size, self._max_bytes))
        except OSError:
            # The program closed the descriptor behind its log: the log is lost, nothing else.
            return b""

    def _text_stream(self, descriptor: int) -> io.TextIOWrapper:
        buffered = io.BufferedWriter(_LossyWriter(descriptor, max_bytes=self._max_bytes))
        return io.TextIOWrapper(buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True)


class _LossyWriter(io.FileIO):
    """Drops what is beyond the budget: a full log is no error of the program's."""

    def __init__(self, descriptor: int, *, max_bytes: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._max_bytes = max_bytes

    def write(self, content: Buffer, /) -> int:
        with contextlib.suppress(OSError):
            if os.fstat(self.fileno()).st_size < self._max_bytes:
                super().write(content)
        return memoryview(content).nbytes


def _memory_file() -> int:
    """Make an unnamed file to append to.

    The sandbox bounds its size, as that of any file which a program makes.
    """
    try:
        descriptor = os.memfd_create("log", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        # Gramine has no such files; there the temporary folder is enclave memory, whose size is measured.
        with tempfile.TemporaryFile(buffering=0) as file:
            descriptor = os.dup(file.fileno())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)
    return descriptor


def _read(descriptor: int, size: int) -> bytes:
    parts, offset = [], 0
    while offset < size and (part := os.pread(descriptor, min(size - offset, _READ_BLOCK), offset)):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _flush_c_streams() -> None:
    """Flush what C libraries print through stdio, where a runtime has ctypes."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).fflush(None)
