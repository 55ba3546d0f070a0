"""What the program prints, caught at descriptor level: print, os.write, C libraries and crash messages alike.

Descriptors 1 and 2 become one file in the enclave's own memory that cannot grow beyond the budget; descriptor
0 is empty. What does not fit is lost. Must never let a byte of it reach a descriptor of the host's.
Spec: docs/spec/logs.md; docs/spec/enclave-session.md, "Log".
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import sys
import tempfile

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class LogCapture:
    """The log of one run, at most `max_bytes` long."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._file = _memory_file(max_bytes)
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
        self._streams = [_text_stream(_STDOUT), _text_stream(_STDERR)]
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
        sys.stdout = self._streams[0]
        sys.stderr = self._streams[1]

    def text(self) -> bytes:
        """Return what was written so far, within the budget."""
        self._flush()
        try:
            written = os.lseek(self._file, 0, os.SEEK_CUR)
            return _read(self._file, min(written, self._max_bytes))
        except OSError:
            # The program closed the descriptor that it was captured by: its log is lost, nothing else.
            return b""

    def _flush(self) -> None:
        for stream in self._streams:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        _flush_c_streams()


class _LossyWriter(io.FileIO):
    """A full log is no error of the program's: what does not fit is dropped."""

    def write(self, content: object, /) -> int:
        size = len(memoryview(content).cast("B"))  # type: ignore[arg-type]
        with contextlib.suppress(OSError):
            super().write(content)  # type: ignore[arg-type]
        return size


def _text_stream(descriptor: int) -> io.TextIOWrapper:
    buffered = io.BufferedWriter(_LossyWriter(descriptor, "w", closefd=False))
    return io.TextIOWrapper(buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _memory_file(max_bytes: int) -> int:
    """Make an unnamed file of exactly `max_bytes` that refuses to grow."""
    try:
        descriptor = os.memfd_create("log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, max_bytes)
        seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except (AttributeError, OSError):
        # Gramine has no such files; there the temporary folder is enclave memory, whose size is measured.
        with tempfile.TemporaryFile(buffering=0) as file:
            return os.dup(file.fileno())
    return descriptor


def _read(descriptor: int, size: int) -> bytes:
    parts, offset = [], 0
    while offset < size:
        part = os.pread(descriptor, min(size - offset, 1 << 20), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _flush_c_streams() -> None:
    """Flush what C libraries print through stdio, where a runtime has ctypes."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).fflush(None)
