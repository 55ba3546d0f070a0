"""What tests of sealing at home start from: a key, a context, and every way from file to file."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sealroom.client.container_files import Extras, open_file, seal_file
from sealroom.client.container_memory import open_memory, seal_memory
from sealroom.client.container_streams import open_pipe, seal_pipe
from sealroom.core.sealing.container_streams import sealed_size
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.keys import DataKey

KEY = DataKey.from_bytes(b"\x42" * 32)
CONTEXT = Context.input(
    computation=UUID("6a6f1d4e-1f0c-4a1d-9d3c-0c8f6d1b2a33"), owner_pk=b"\x21" * 32, name="table.csv"
)
CHUNK = 1 << 18
SEALED_CHUNK = CHUNK + 16
HEADER = 76
Way = Callable[[bytes], bytes]


class Files:
    """Two files in a folder, and what goes on between them."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self.source = folder / "source"
        self.target = folder / "target"
        self.source.write_bytes(content)

    def run(self, work: Callable[..., int], extras: Extras | None = None) -> int:
        source = os.open(self.source, os.O_RDONLY)
        target = os.open(self.target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            return work(source, target, key=KEY, context=CONTEXT, extras=extras or Extras(lanes=3))
        finally:
            os.close(source)
            os.close(target)

    def through(self, work: Callable[..., int]) -> bytes:
        self.run(work)
        return self.target.read_bytes()


def ways(folder: Path) -> dict[str, tuple[Way, Way]]:
    """Sealing and opening, between files and between streams."""
    return {
        "files": (
            lambda plain: Files(folder, plain).through(seal_file),
            lambda sealed: Files(folder, sealed).through(open_file),
        ),
        "memory": (_sealed_in_memory, _opened_in_memory),
        "streams": (lambda plain: _piped(seal_pipe, plain), lambda sealed: _piped(open_pipe, sealed)),
    }


def _sealed_in_memory(plain: bytes) -> bytes:
    sealed = bytearray(sealed_size(len(plain)))
    seal_memory(plain, sealed, key=KEY, context=CONTEXT)
    return bytes(sealed)


def _opened_in_memory(sealed: bytes) -> bytes:
    room = bytearray(len(sealed))
    return bytes(room[: open_memory(sealed, room, key=KEY, context=CONTEXT)])


def _piped(work: Callable[..., int], content: bytes) -> bytes:
    sink = io.BytesIO()
    work(io.BytesIO(content), sink, key=KEY, context=CONTEXT)
    return sink.getvalue()
