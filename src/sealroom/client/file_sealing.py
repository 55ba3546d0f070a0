"""Sealing and opening from any file object to any other: the quickest way that the two allow.

Two regular files are worked on at all places at once, everything else in order; the container is the same.
Must never: write into a file that somebody else appends to, or that holds something already, at a place.
Spec: docs/spec/container.md.
"""

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, cast

from sealroom.client.container_files import SUPPORTED, Extras, open_file, seal_file
from sealroom.client.container_streams import open_pipe, seal_pipe
from sealroom.client.hashing_streams import HashingSink, HashingSource
from sealroom.client.lanes import DigestInOrder
from sealroom.core.sealing.chunks import Readable, Writable
from sealroom.core.sealing.container_streams import open_container
from sealroom.core.sealing.context import Context
from sealroom.core.sealing.secret import Secret32

Tell = Callable[[int, int], None]
"""Called with the plaintext bytes done and in all; where that is not known, with what is done twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What sealing gave: the plaintext's length and, where asked for, both digests."""

    plain_size: int
    plain_sha256: bytes = b""
    sealed_sha256: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What opening gave: the plaintext's length and, where asked for, its digest."""

    size: int
    sha256: bytes = b""


def seal_between(
    source: IO[bytes],
    sink: IO[bytes],
    *,
    key: Secret32,
    context: Context,
    tell: Tell | None = None,
    hashed: bool = False,
) -> Sealed:
    """Seal what `source` holds from its position on into `sink`, in constant memory.

    Raises `VerificationError` for a regular file that changes its length on the way, and `OSError` as reading
    and writing do; `sink` then holds no container.
    """
    if _are_files(source, sink):
        digests = (DigestInOrder(), DigestInOrder()) if hashed else (None, None)
        extras = Extras(plain=digests[0], sealed=digests[1], tell=tell)
        size = seal_file(source.fileno(), sink.fileno(), key=key, context=context, extras=extras)
        sink.seek(0, os.SEEK_END)
        return Sealed(plain_size=size, plain_sha256=_digest(digests[0]), sealed_sha256=_digest(digests[1]))
    plain = HashingSource(cast("Readable", source)) if hashed else cast("Readable", source)
    out = HashingSink(cast("Writable", sink)) if hashed else cast("Writable", sink)
    size = seal_pipe(plain, out, key=key, context=context, tell=_with_total(tell, _size(source)))
    return Sealed(plain_size=size, plain_sha256=_digest(plain), sealed_sha256=_digest(out))


def open_between(
    source: IO[bytes],
    sink: IO[bytes],
    *,
    key: Secret32,
    context: Context,
    tell: Tell | None = None,
    hashed: bool = False,
) -> Opened:
    """Open the container in `source` from its position on into `sink`, in constant memory.

    Nothing is written before it is authenticated; from a source that can seek, nothing before the last chunk
    is. Raises `MalformedError` or `VerificationError` for what does not open, and `OSError` as reading and
    writing do: what was written until then is no whole.
    """
    if _are_files(source, sink):
        digest = DigestInOrder() if hashed else None
        size = open_file(
            source.fileno(), sink.fileno(), key=key, context=context, extras=Extras(plain=digest, tell=tell)
        )
        sink.seek(0, os.SEEK_END)
        return Opened(size=size, sha256=_digest(digest))
    total = None
    if _size(source) is not None and source.tell() == 0:
        # It can be looked at from its end: a file that was cut writes nothing at all.
        with open_container(cast("Readable", source), key=key, context=context) as reader:  # type: ignore[arg-type]
            total = reader.plain_size
        source.seek(0)
    out = HashingSink(cast("Writable", sink)) if hashed else cast("Writable", sink)
    size = open_pipe(cast("Readable", source), out, key=key, context=context, tell=_with_total(tell, total))
    return Opened(size=size, sha256=_digest(out))


def _are_files(source: IO[bytes], sink: IO[bytes]) -> bool:
    """Say whether both are regular files at their start, the second empty and nobody's to append to."""
    if not SUPPORTED or _size(source) is None or _size(sink) != 0:
        return False
    return source.tell() == 0 and sink.tell() == 0 and not _appends(sink.fileno())


def _size(file: IO[bytes]) -> int | None:
    """Return the length of a regular file, and `None` for anything else."""
    try:
        found = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


if sys.platform == "win32":

    def _appends(descriptor: int) -> bool:
        return True
else:
    import fcntl

    def _appends(descriptor: int) -> bool:
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)


def _digest(hashed: object) -> bytes:
    return hashed.digest() if isinstance(hashed, DigestInOrder | HashingSource | HashingSink) else b""


def _with_total(tell: Tell | None, total: int | None) -> Callable[[int], None] | None:
    if tell is None:
        return None
    return lambda done: tell(done, max(done, total or 0))
