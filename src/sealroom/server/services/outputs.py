"""What left an enclave with its closing, taken from the spool into blobs.

The spool was writable by code that nobody here could read: names are counted, links are not followed, sizes
are bounded by the computation's own budgets, and only what has the digest of the signed closing is kept.
"""

from collections import defaultdict
from typing import BinaryIO
from uuid import UUID

from sealroom.core.errors import MalformedError
from sealroom.core.wire.receipt import Closing
from sealroom.core.wire.spool import LOG, LOG_KEYS, MAX_LOG_KEYS_BYTES, MAX_RESULT_FILES, result_name
from sealroom.server.blobs import CHUNK, Blob, BlobStore
from sealroom.server.launchers.base import Launcher
from sealroom.server.launchers.spool_files import Spool
from sealroom.server.schema import Launch, ResultRow
from sealroom.server.services.endings import Outputs

# Of a container over its contents: header, one tag for each chunk of at least 4 KiB, padding of a log.
_OVERHEAD = 64 * 1024
# Of an empty result: a header and one tag.
_EMPTY_CONTAINER = 92


def take_outputs(launch: Launch, launcher: Launcher, closing: Closing, blobs: BlobStore) -> Outputs:
    """Store every result and the log that `closing` lists; what is not there or differs is missing."""
    spool = launcher.spool(UUID(launch.computation_uuid), launch.epoch)
    computation = launch.computation
    # For all of them together: the program could list thousands, each as large as the whole budget.
    left = 2 * computation.max_output_bytes + _OVERHEAD + _EMPTY_CONTAINER * len(closing.outputs)
    places: dict[int, int] = defaultdict(int)
    results: list[ResultRow] = []
    missing: list[str] = []
    for output in closing.outputs:
        place = places[output.consumer]
        places[output.consumer] += 1
        blob = None
        if place < MAX_RESULT_FILES:
            name = result_name(output.consumer, place)
            blob = _take(spool, name, blobs, sha256=output.sha256, max_bytes=left)
        if blob is None:
            missing.append(f"results/{output.consumer}/{output.name}")
            continue
        left -= blob.size
        row = ResultRow(consumer=output.consumer, place=place, name=output.name, blob=blob.name)
        row.size, row.sha256 = blob.size, blob.sha256
        results.append(row)
    log, log_keys = None, None
    if closing.log_sha256 is not None:
        most = 4 * computation.max_log_bytes + _OVERHEAD
        log = _take(spool, LOG, blobs, sha256=closing.log_sha256, max_bytes=most)
        # Not in the closing: a key that is not the log's opens nothing.
        log_keys = _take(spool, LOG_KEYS, blobs, sha256=None, max_bytes=MAX_LOG_KEYS_BYTES)
        missing += [LOG] * (log is None) + [LOG_KEYS] * (log_keys is None)
    return Outputs(
        results=tuple(results),
        log_blob=log.name if log else None,
        log_keys_blob=log_keys.name if log_keys else None,
        missing=tuple(missing),
    )


def _take(spool: Spool, name: str, blobs: BlobStore, *, sha256: bytes | None, max_bytes: int) -> Blob | None:
    try:
        source = spool.open(name)
    except MalformedError:
        return None
    if source is None:
        return None
    with source:
        blob = _copy(source, blobs, max_bytes=max_bytes)
    if blob is not None and sha256 is not None and blob.sha256 != sha256:
        blobs.delete(blob.name)
        return None
    return blob


def _copy(source: BinaryIO, blobs: BlobStore, *, max_bytes: int) -> Blob | None:
    with blobs.create() as writer:
        while chunk := source.read(CHUNK):
            if writer.size + len(chunk) > max_bytes:
                return None
            writer.write(chunk)
        return writer.commit()
