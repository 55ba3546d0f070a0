"""All parallel ways beside the plain reader of the core: each refuses every change, and what one seals the
other opens.
"""

import os
from pathlib import Path

import pytest
from container_cases import CHUNK, CONTEXT, HEADER, KEY, SEALED_CHUNK, Files, ways

from sealroom.client.container_files import open_file
from sealroom.client.container_memory import open_memory, seal_memory
from sealroom.core.errors import MalformedError, SealroomError, VerificationError
from sealroom.core.sealing.container_streams import open_bytes, seal_bytes

NAMES = pytest.mark.parametrize("name", ["files", "memory", "streams"])
PLAIN = os.urandom(5 * CHUNK + 100)
SEALED = seal_bytes(PLAIN, key=KEY, context=CONTEXT)
CHUNKS = [SEALED[start : start + SEALED_CHUNK] for start in range(HEADER, len(SEALED), SEALED_CHUNK)]


def joined(*chunks: bytes) -> bytes:
    return SEALED[:HEADER] + b"".join(chunks)


@NAMES
@pytest.mark.parametrize(
    "size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 4 * CHUNK + 1, 5 * CHUNK + 100]
)
def test_what_is_sealed_on_all_processors_is_a_container_like_any_other(
    name: str, size: int, tmp_path: Path
) -> None:
    seal, reopen = ways(tmp_path)[name]
    container = seal(PLAIN[:size])
    assert open_bytes(container, key=KEY, context=CONTEXT) == PLAIN[:size]
    assert reopen(container) == PLAIN[:size]


@NAMES
@pytest.mark.parametrize("kept", range(6))
def test_a_cut_at_every_chunk_boundary_is_refused(name: str, kept: int, tmp_path: Path) -> None:
    _, reopen = ways(tmp_path)[name]
    with pytest.raises((VerificationError, MalformedError), match=r"cut off|cut or added to"):
        reopen(joined(*CHUNKS[:kept]))


@NAMES
@pytest.mark.parametrize(
    "length", [0, 1, 75, 76, 77, HEADER + 16, HEADER + SEALED_CHUNK + 16, len(SEALED) - 1]
)
def test_a_cut_at_any_other_place_is_refused(name: str, length: int, tmp_path: Path) -> None:
    _, reopen = ways(tmp_path)[name]
    with pytest.raises((MalformedError, VerificationError)):
        reopen(SEALED[:length])


CHANGES = {
    "reordered in one batch": joined(CHUNKS[1], CHUNKS[0], *CHUNKS[2:]),
    "reordered across batches": joined(CHUNKS[4], *CHUNKS[1:4], CHUNKS[0], CHUNKS[5]),
    "repeated": joined(CHUNKS[0], CHUNKS[0], *CHUNKS[1:]),
    "left out": joined(*CHUNKS[:2], *CHUNKS[3:]),
    "spliced": SEALED[: HEADER + SEALED_CHUNK]
    + seal_bytes(PLAIN, key=KEY, context=CONTEXT)[HEADER + SEALED_CHUNK :],
    "a byte behind the end": SEALED + b"\0",
    "a tag behind the end": SEALED + bytes(16),
    "a chunk behind the end": SEALED + bytes(SEALED_CHUNK),
    "a bit of the header": bytes([SEALED[0] ^ 1]) + SEALED[1:],
    "a bit of the salt": SEALED[:12] + bytes([SEALED[12] ^ 1]) + SEALED[13:],
    "a bit of the commitment": SEALED[:44] + bytes([SEALED[44] ^ 1]) + SEALED[45:],
    "a bit of a middle chunk": joined(*CHUNKS[:3], bytes([CHUNKS[3][99] ^ 1]) + CHUNKS[3][1:], *CHUNKS[4:]),
    "a bit of the last chunk": SEALED[:-1] + bytes([SEALED[-1] ^ 1]),
}


@NAMES
@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_refused(name: str, change: str, tmp_path: Path) -> None:
    _, reopen = ways(tmp_path)[name]
    with pytest.raises(SealroomError):
        reopen(CHANGES[change])


def test_a_cut_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    files = Files(tmp_path, joined(*CHUNKS[:3]))
    with pytest.raises(VerificationError, match="last chunk"):
        files.run(open_file)
    assert files.target.read_bytes() == b""


def test_memory_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="sealed: expected room of 92 octets"):
        seal_memory(b"", bytearray(91), key=KEY, context=CONTEXT)
    with pytest.raises(ValueError, match="plaintext: expected room"):
        open_memory(SEALED, bytearray(len(PLAIN) - 1), key=KEY, context=CONTEXT)
