"""Compute MRENCLAVE from a manifest and a PAL, as the processor does while the enclave is built.

Agrees bit for bit with `gramine-sgx-sign` of Gramine 1.5 to 1.9. Never takes a shortcut over the bytes that
are hashed: a zero page is hashed like any other, only the buffers that hold the records are reused.

Spec: docs/spec/manifest.md, "The hash".
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeAlias

from sealroom.core.measurement.elf import PAGE_SIZE, parse_elf
from sealroom.core.measurement.layout import Region, lay_out
from sealroom.core.measurement.manifest import enclave_settings, parse_manifest

_RECORD_SIZE = 64
_CHUNK_SIZE = 256
_SSA_FRAME_PAGES = 4

# SDM vol. 3D, 38.1: what ECREATE, EADD and EEXTEND feed into the measurement.
_ECREATE = struct.Struct("<8sIQ44x")
_EADD = struct.Struct("<8sQQ40x")
_EEXTEND = struct.Struct("<8sQ48x")

# Free pages are added in blocks that agree in all but the upper five bytes of their addresses.
_BLOCK_SHIFT = 24
_BLOCK_PAGES = (1 << _BLOCK_SHIFT) // PAGE_SIZE


Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many bytes of the enclave of how many are measured."""


class _Hash(Protocol):
    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """MRENCLAVE, and the regions it was computed over, in the order in which they were added."""

    mrenclave: bytes
    regions: tuple[Region, ...]


def measure(manifest: bytes, pal: bytes, *, progress: Progress = lambda _done, _total: None) -> Measurement:
    """Return the MRENCLAVE of the enclave that `manifest` (as signed) and `pal` make.

    Raises `MalformedError` where either is not what its format says, or no such enclave could start.
    """
    settings = enclave_settings(parse_manifest(manifest))
    regions = lay_out(manifest=manifest, settings=settings, pal=parse_elf(pal))
    digest = sha256(_ECREATE.pack(b"ECREATE", _SSA_FRAME_PAGES, settings.enclave_size))
    page = _PageRecord()
    done, total = 0, sum(region.size for region in regions)
    for region in regions:
        if region.measured:
            page.hash_region(digest, region)
        else:
            for size in _hash_added(digest, region):
                progress(done + size, total)
        done += region.size
    progress(total, total)
    return Measurement(mrenclave=digest.digest(), regions=regions)


class _PageRecord:
    """The 5,184 bytes hashed for one measured page; only addresses and contents change between pages."""

    def __init__(self) -> None:
        self._chunk_offsets = range(0, PAGE_SIZE, _CHUNK_SIZE)
        self._positions = range(
            _RECORD_SIZE,
            _RECORD_SIZE + len(self._chunk_offsets) * (_RECORD_SIZE + _CHUNK_SIZE),
            _RECORD_SIZE + _CHUNK_SIZE,
        )
        self._buffer = bytearray(self._positions.stop)
        for position in self._positions:
            _EEXTEND.pack_into(self._buffer, position, b"EEXTEND", 0)
        self._filled = False
        # What the third to sixth byte of every address is, and the second byte of each for a page of 16.
        self._high = bytes(4)
        self._low = tuple(bytes(range(low, low + len(self._positions))) for low in range(0, 256, 16))

    def hash_region(self, digest: _Hash, region: Region) -> None:
        content = memoryview(region.content)
        for offset in range(0, region.size, PAGE_SIZE):
            self._address(region.address + offset, region.flags)
            self._fill(content[offset : offset + PAGE_SIZE])
            digest.update(self._buffer)

    def _address(self, address: int, flags: int) -> None:
        _EADD.pack_into(self._buffer, 0, b"EADD", address, flags)
        # The chunks of a page differ in the lower half of their second byte alone; pages in a row in it and,
        # now and then, in the bytes above.
        start, step = _RECORD_SIZE + 8, _RECORD_SIZE + _CHUNK_SIZE
        self._buffer[start + 1 :: step] = self._low[address >> 12 & 0xF]
        high = (address >> 16).to_bytes(4, "little")
        if high != self._high:
            for index, value in enumerate(high, start=2):
                self._buffer[start + index :: step] = bytes((value,)) * len(self._positions)
            self._high = high

    def _fill(self, content: memoryview) -> None:
        if not content and not self._filled:
            return
        padded = bytes(content).ljust(PAGE_SIZE, b"\0")
        for position, offset in zip(self._positions, self._chunk_offsets, strict=True):
            start = position + _RECORD_SIZE
            self._buffer[start : start + _CHUNK_SIZE] = padded[offset : offset + _CHUNK_SIZE]
        self._filled = bool(content)


def _hash_added(digest: _Hash, region: Region) -> Iterator[int]:
    """Hash the EADD records of pages whose contents are not measured: 64 bytes for 4 KiB of enclave.

    Yields how much of the region is done after each block.
    """
    records = bytearray()
    for page in range(_BLOCK_PAGES):
        records += _EADD.pack(b"EADD", page * PAGE_SIZE, region.flags)
    view = memoryview(records)
    address, upper = region.address, bytes(5)
    while address < region.end:
        block = address >> _BLOCK_SHIFT
        before, upper = upper, block.to_bytes(5, "little")
        for index in range(len(upper)):
            if upper[index] != before[index]:
                records[8 + 3 + index :: _RECORD_SIZE] = upper[index : index + 1] * _BLOCK_PAGES
        first = (address - (block << _BLOCK_SHIFT)) // PAGE_SIZE
        block_end = min(region.end, (block + 1) << _BLOCK_SHIFT)
        count = (block_end - address) // PAGE_SIZE
        digest.update(view[first * _RECORD_SIZE : (first + count) * _RECORD_SIZE])
        address = block_end
        yield address - region.address
