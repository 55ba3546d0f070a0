"""Which inputs a program read, seen from outside: the kernel tells who opens a file of the spool.

The enclave itself reads every input once, to check it; what is opened after it signed the opening, the
program opened. Events of one watch come in their order, so the two cannot be taken for each other. A
convenience for the table: where the kernel has no such watch, nothing is said to be read.
"""

import ctypes
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sealroom.core.wire.spool import OPENING

_IN_OPEN = 0x20
_IN_MOVED_TO = 0x80
_IN_CLOEXEC = 0o2000000
_IN_NONBLOCK = 0o4000
# struct inotify_event: int wd; uint32_t mask, cookie, len; char name[len]
_EVENT = struct.Struct("=iIII")
_BLOCK = 1 << 16


class Reads:
    """What was seen so far: `seen` holds the keys of the files that were opened after the opening."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, int]] = set()


@contextmanager
def watch_reads(spool: Path, places: Mapping[str, tuple[int, int]]) -> Iterator[Reads]:
    """Watch the files `places`, by their paths in `spool`, until the block ends."""
    reads = Reads()
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_IN_CLOEXEC | _IN_NONBLOCK)
    if watch < 0:
        yield reads
        return
    try:
        opening = libc.inotify_add_watch(watch, os.fsencode(spool), _IN_MOVED_TO)
        keys = {
            libc.inotify_add_watch(watch, os.fsencode(spool / place), _IN_OPEN): key
            for place, key in places.items()
        }
        yield reads
        _collect(watch, opening, keys, reads)
    finally:
        os.close(watch)


def _collect(watch: int, opening: int, keys: Mapping[int, tuple[int, int]], reads: Reads) -> None:
    has_begun = False
    while True:
        try:
            block = os.read(watch, _BLOCK)
        except BlockingIOError:
            return
        place = 0
        while place < len(block):
            which, _, _, length = _EVENT.unpack_from(block, place)
            place += _EVENT.size + length
            name = block[place - length : place].rstrip(b"\0")
            has_begun = has_begun or (which == opening and name == OPENING.encode())
            if has_begun and which in keys:
                reads.seen.add(keys[which])
