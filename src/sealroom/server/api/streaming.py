"""Bodies of any size, in and out, at constant memory."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from sealroom.server.blobs import Blob, BlobBusyError, BlobStore
from sealroom.server.errors import ErrorCode, ServiceError

# What is gathered before one hop to a worker thread.
PIECE = 1 << 20


async def gather(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in pieces of about a mebibyte, whatever the transport's own sizes."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        parts.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


async def receive_into(request: Request, blobs: BlobStore, *, max_bytes: int) -> Blob:
    """Store a whole body as a blob of at most `max_bytes`."""
    with await run_in_threadpool(blobs.create) as writer:
        async for piece in gather(request):
            if writer.size + len(piece) > max_bytes:
                raise ServiceError(ErrorCode.TOO_LARGE, "body too large", expected=max_bytes)
            await run_in_threadpool(writer.write, piece)
        return await run_in_threadpool(writer.commit)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialFile:
    """A blob that arrives in pieces: its name, and the size it will have."""

    name: str
    size: int


async def append_piece(request: Request, blobs: BlobStore, target: PartialFile, offset: int) -> None:
    """Append a body to a partial blob, at its end and alone; what came of a broken-off body is kept."""
    received = blobs.partial_size(target.name)
    _check_offset(offset, received)
    if received == target.size:
        return
    try:
        with blobs.continue_partial(target.name) as file:
            _check_offset(offset, file.tell())
            async for piece in gather(request):
                received += len(piece)
                if received > target.size:
                    raise ServiceError(ErrorCode.TOO_LARGE, "more bytes than announced", expected=target.size)
                await run_in_threadpool(file.write, piece)
            await run_in_threadpool(blobs.flush, file)
    except BlobBusyError as exc:
        raise ServiceError(
            ErrorCode.UPLOAD_BUSY, "another request is sending this file; try again soon"
        ) from exc


def _check_offset(offset: int, received: int) -> None:
    if offset != received:
        raise ServiceError(
            ErrorCode.UPLOAD_OFFSET, "continue where the upload ends", got=offset, expected=received
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """A part of a file: from `start` up to, not including, `end`."""

    start: int
    end: int


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Read a `Range` header with one range of bytes; None when there is none.

    Raises the typed 416 for a range that the file does not have and for any other form.
    """
    if header is None:
        return None
    unit, _, spec = header.partition("=")
    first, dash, last = spec.strip().partition("-")
    numbers = all(part.isdecimal() and len(part) < 20 for part in (first, last) if part)
    if unit.strip().lower() != "bytes" or not dash or not numbers or not (first or last):
        raise ServiceError(ErrorCode.RANGE, "expected one range of bytes", got=header[:100])
    if not first:
        found = ByteRange(start=max(0, size - int(last)), end=size)
    else:
        found = ByteRange(start=int(first), end=min(size, int(last) + 1) if last else size)
    if not found.start < found.end:
        raise ServiceError(ErrorCode.RANGE, "the file has no such bytes", got=header[:100], expected=size)
    return found


def send_blob(
    blobs: BlobStore, name: str, *, size: int, sha256: bytes | None, range_header: str | None
) -> Response:
    """Answer with a blob, or with the asked part of it."""
    part = parse_range(range_header, size)
    start, end = (part.start, part.end) if part else (0, size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if sha256 is not None:
        headers["ETag"] = f'"{sha256.hex()}"'
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(
        _pieces(blobs.open(name), start, end),
        status_code=206 if part else 200,
        headers=headers,
        media_type="application/octet-stream",
    )


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = end - start
        while left and (piece := file.read(min(left, PIECE))):
            left -= len(piece)
            yield piece
