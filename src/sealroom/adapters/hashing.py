"""SHA-256 of files, over all cores.

Never follows what a message says: callers pass paths that they made themselves.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many files of how many are done; from several threads, one at a time."""

# Hashing more than a few KiB releases the interpreter's lock; what it keeps is opening and closing. Batches
# spare the threads from waiting for each other at every file.
_BATCH = 32
_BUFFER_SIZE = 1 << 18


def no_progress(_done: int, _total: int) -> None:
    """Show nothing."""


def hash_file(path: Path) -> bytes:
    """Return the SHA-256 of a file, read in constant memory."""
    return _hash(path, memoryview(bytearray(_BUFFER_SIZE)))


def hash_files(paths: Iterable[Path], *, progress: Progress = no_progress) -> list[bytes]:
    """Return the SHA-256 of each file, in the order of `paths`; `OSError` for one that cannot be read."""
    wanted = list(paths)
    batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
    count = _Count(len(wanted), progress)
    if len(batches) < 2:
        return [digest for batch in batches for digest in _hash_batch(batch, count)]
    # One more than there are cores: while one waits for a file to open, the others hash.
    with ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1) as pool:
        return [digest for done in pool.map(_hash_batch, batches, [count] * len(batches)) for digest in done]


class _Count:
    """Counts files that are done, whichever thread did them."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0
        self._lock = Lock()

    def add(self, files: int) -> None:
        with self._lock:
            self._done += files
            self._progress(self._done, self._total)


def _hash_batch(paths: Sequence[Path], count: _Count) -> list[bytes]:
    buffer = memoryview(bytearray(_BUFFER_SIZE))
    digests = [_hash(path, buffer) for path in paths]
    count.add(len(paths))
    return digests


def _hash(path: Path, buffer: memoryview) -> bytes:
    digest = hashlib.sha256()
    for part in _parts(path, buffer):
        digest.update(part)
    return digest.digest()


def _parts(path: Path, buffer: memoryview) -> Iterator[memoryview]:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - `Path.open` costs as much as the rest
        while size := file.readinto(buffer):
            yield buffer[:size]
